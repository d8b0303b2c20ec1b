"""Two-layer tanh net for digit parity with plain tensors and explicit steps."""

import torch
from sklearn.datasets import load_digits

gen = torch.Generator().manual_seed(15)
torch.manual_seed(15)

data = load_digits()
x = torch.tensor(data.data, dtype=torch.float32)
x = (x - x.mean()) / x.std()
t = torch.tensor(data.target % 2, dtype=torch.float32)

W = torch.randn(64, 80, generator=gen) / 8.0
V = torch.randn(80, 40, generator=gen) / 80**0.5
u = torch.randn(40, generator=gen) / 40**0.5
b, c, d = torch.zeros(80), torch.zeros(40), torch.zeros(())
weights = (W, V, u, b, c, d)
for w in weights:
    w.requires_grad = True

learning_rate = 8.0


def logit(inputs):
    return torch.tanh(torch.tanh(inputs @ W + b) @ V + c) @ u + d


log = []
for step in range(1200):
    i = torch.randint(0, 1400, (40,), generator=gen)
    loss = torch.nn.functional.binary_cross_entropy_with_logits(logit(x[i]), t[i])
    loss.backward()
    for w in weights:
        w.data -= learning_rate * w.grad
        w.grad.data.zero_()
    log.append(loss.item())
    if step % 200 == 199:
        print(step + 1, sum(log[-200:]) / 200)

with torch.no_grad():
    accuracy = ((logit(x[1400:]) > 0) == (t[1400:] > 0.5)).float().mean().item()
print("accuracy", accuracy)
