import torch
from sklearn.datasets import load_digits

torch.manual_seed(0)
data = load_digits()
x = torch.tensor(data.data, dtype=torch.float32)
y = torch.tensor(data.target)
x = (x - x.mean()) / x.std()
perm = torch.randperm(len(x))
x, y = x[perm], y[perm]
xtr, ytr, xte, yte = x[:1400], y[:1400], x[1400:], y[1400:]


def log_softmax(z):
    return z - z.exp().sum(-1).log().unsqueeze(-1)


def nll(lp, t):
    return -lp[range(t.shape[0]), t].mean()


w1 = torch.full((64, 48), 0.02)
b1 = torch.zeros(48)
w2 = torch.full((48, 10), 0.02)
b2 = torch.zeros(10)
params = [w1, b1, w2, b2]
for p in params:
    p.requires_grad_()


def model(xb):
    h = (xb @ w1 + b1).clamp_min(0.0)
    return log_softmax(h @ w2 + b2)


lr, bs = 0.1, 64
for epoch in range(25):
    for i in range(0, len(xtr), bs):
        xb, yb = xtr[i : i + bs], ytr[i : i + bs]
        loss = nll(model(xb), yb)
        loss.backward()
        with torch.no_grad():
            for p in params:
                p -= lr * p.grad
                p.grad.zero_()
    if epoch % 5 == 0:
        print(epoch, loss.item())

with torch.no_grad():
    acc = (model(xte).argmax(-1) == yte).float().mean()
print("accuracy", acc.item())
