import torch
import torch.nn.functional as F
from sklearn.datasets import make_classification
from torch.func import functional_call, grad_and_value

torch.manual_seed(9)
Xn, yn = make_classification(
    n_samples=3000,
    n_features=20,
    n_informative=8,
    n_clusters_per_class=3,
    weights=[0.7],
    class_sep=1.2,
    random_state=4,
)
X = torch.tensor(Xn, dtype=torch.float32)
X = (X - X.mean(0)) / X.std(0)
y = torch.tensor(yn, dtype=torch.float32)
Xtr, ytr, Xte, yte = X[:2400], y[:2400], X[2400:], y[2400:]


class Scorer(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.a = torch.nn.Linear(20, 64)
        self.b = torch.nn.Linear(64, 64)
        self.c = torch.nn.Linear(64, 1)

    def forward(self, x):
        x = F.elu(self.a(x))
        x = F.elu(self.b(x))
        return torch.sigmoid(self.c(x)).squeeze(-1)


module = Scorer()
params = {k: v.detach().clone() for k, v in module.named_parameters()}
velocity = {k: torch.zeros_like(v) for k, v in params.items()}


def objective(p, xb, yb):
    return F.binary_cross_entropy_with_logits(functional_call(module, p, (xb,)), yb)


step_fn = grad_and_value(objective)
lr, mom = 0.05, 0.9
for step in range(1500):
    i = torch.randint(0, len(Xtr), (64,))
    g, val = step_fn(params, Xtr[i], ytr[i])
    for k in params:
        velocity[k] = mom * velocity[k] + g[k]
        params[k] = params[k] - lr * velocity[k]
    if step % 200 == 0:
        print(f"step={step} loss={val.item():.4f}")

with torch.no_grad():
    out = functional_call(module, params, (Xte,))
    pred = (out > 0.5).float()
    print(
        f"accuracy {(pred == yte).float().mean():.3f} bce {objective(params, Xte, yte).item():.4f}"
    )
