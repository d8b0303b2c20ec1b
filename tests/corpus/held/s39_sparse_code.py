"""Overcomplete ReLU autoencoder on digit patches with an L1 penalty on the code."""

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import nn


class SparseCoder(nn.Module):
    def __init__(self, n_in=16, n_code=64):
        super().__init__()
        self.encode = nn.Linear(n_in, n_code)
        self.decode = nn.Linear(n_code, n_in)
        self.encode.bias.data.fill_(-2.5)

    def forward(self, x):
        code = torch.relu(self.encode(x))
        return self.decode(code), code


def patches(images, rng, count):
    rows, cols = rng.integers(0, 5, size=(2, count))
    which = rng.integers(0, len(images), size=count)
    cut = [images[w, r : r + 4, c : c + 4] for w, r, c in zip(which, rows, cols)]
    return torch.tensor(np.stack(cut).reshape(count, 16), dtype=torch.float32)


torch.manual_seed(0)
rng = np.random.default_rng(0)
images = load_digits().images
images = (images - images.mean()) / images.std()
data = patches(images, rng, 4000)
held_out = patches(images, rng, 500)

model = SparseCoder()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
for step in range(1000):
    x = data[torch.randint(0, len(data), (100,))]
    recon, code = model(x)
    loss = nn.functional.mse_loss(recon, x) + 1e-3 * code.abs().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 200 == 0:
        print(f"step {step}, loss {loss.item():.4f}")

with torch.no_grad():
    recon_error = nn.functional.mse_loss(model(held_out)[0], held_out).item()
print("reconstruction error", recon_error)
