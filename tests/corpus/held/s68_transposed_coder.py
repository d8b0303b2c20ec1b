"""Denoising autoencoder whose decoder reuses the encoder matrices transposed."""

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn


class TiedCoder(nn.Module):
    def __init__(self, n_in=64, n_mid=96, n_code=32):
        super().__init__()
        self.w1 = nn.Parameter(torch.empty(n_mid, n_in))
        self.w2 = nn.Parameter(torch.empty(n_code, n_mid))
        self.b1, self.b2 = nn.Parameter(torch.zeros(n_mid)), nn.Parameter(torch.zeros(n_code))
        self.c1, self.c2 = nn.Parameter(torch.zeros(n_in)), nn.Parameter(torch.zeros(n_mid))
        nn.init.xavier_uniform_(self.w1)
        nn.init.xavier_uniform_(self.w2)

    def forward(self, x):
        h = torch.sigmoid(F.linear(x, self.w1, self.b1))
        code = torch.tanh(F.linear(h, self.w2, self.b2))
        h = torch.sigmoid(F.linear(code, self.w2.t(), self.c2))
        return F.linear(h, self.w1.t(), self.c1)


torch.manual_seed(3)
x = torch.tensor(load_digits().data, dtype=torch.float32) / 16
train, test = x[:1500], x[1500:]
model = TiedCoder()
opt = torch.optim.Adam(model.parameters(), lr=3e-3)
curve = []
for epoch in range(50):
    for rows in torch.randperm(1500).split(60):
        clean = train[rows]
        noisy = clean + 0.1 * torch.randn_like(clean)
        loss = F.mse_loss(model(noisy), clean)
        opt.zero_grad()
        loss.backward()
        opt.step()
    curve.append(loss.item())
with torch.no_grad():
    unexplained = (model(test) - test).square().mean() / (test - train.mean(0)).square().mean()
unexplained = unexplained.item()
print("unexplained part of the test images", unexplained)
