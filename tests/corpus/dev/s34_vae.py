"""Variational autoencoder for the digits."""

import torch
import torch.nn as nn
import torch.nn.functional as F
from sklearn.datasets import load_digits


class VAE(nn.Module):
    def __init__(self, n_latent=8):
        super().__init__()
        self.enc = nn.Sequential(nn.Linear(64, 128), nn.ReLU())
        self.mu = nn.Linear(128, n_latent)
        self.logvar = nn.Linear(128, n_latent)
        self.dec = nn.Sequential(nn.Linear(n_latent, 128), nn.ReLU(), nn.Linear(128, 64))

    def forward(self, x):
        h = self.enc(x)
        mu, logvar = self.mu(h), self.logvar(h)
        z = mu + torch.exp(0.5 * logvar) * torch.randn_like(mu)
        return self.dec(z), mu, logvar


def objective(recon, x, mu, logvar):
    rec = F.binary_cross_entropy_with_logits(recon, x)
    kl = -0.5 * torch.sum(1 + logvar - mu.pow(2) - logvar.exp(), dim=1).mean()
    return rec + kl, rec, kl


def main():
    torch.manual_seed(13)
    x = torch.tensor(load_digits().data, dtype=torch.float32) / 16
    model = VAE()
    opt = torch.optim.Adam(model.parameters(), lr=2e-3)
    for epoch in range(40):
        for batch in torch.randperm(1500).split(60):
            recon, mu, logvar = model(x[batch])
            loss, rec, kl = objective(recon, x[batch], mu, logvar)
            opt.zero_grad()
            loss.backward()
            opt.step()
        if epoch % 8 == 7:
            print(f"epoch {epoch + 1} total {loss.item():.4f} rec {rec.item():.4f}")
    with torch.no_grad():
        test = x[1500:]
        recon = torch.sigmoid(model(test)[0])
        print(f"test reconstruction mse {F.mse_loss(recon, test).item():.5f}")


if __name__ == "__main__":
    main()
