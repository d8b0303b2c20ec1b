"""Linear model on very noisy observations, tiny batches, decaying steps."""

import torch

torch.manual_seed(10)
n, d = 8000, 12
true_w = torch.randn(d)
X = torch.randn(n, d)
noise_std = 3.0
y = X @ true_w + noise_std * torch.randn(n)

w = torch.zeros(d, requires_grad=True)
average = torch.zeros(d)
base_lr = 0.02
trace = []
for t in range(1500):
    i = torch.randint(0, n, (4,))
    loss = 0.5 * (X[i] @ w - y[i]).pow(2).mean()
    loss.backward()
    w.data -= base_lr / (1 + t / 300) * w.grad
    w.grad = None
    trace.append(loss.item())

error = (w.detach() - true_w).norm().item() / true_w.norm().item()
print("mean loss, first 50 steps:", sum(trace[:50]) / 50)
print("mean loss, last 300 steps:", sum(trace[-300:]) / 300, "noise floor:", noise_std**2 / 2)
print("relative error of the weights:", error)
