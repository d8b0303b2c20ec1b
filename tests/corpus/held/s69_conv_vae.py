"""Convolutional variational autoencoder for the digits with a warm-up of the prior term."""

import torch
import torch.nn as nn
import torch.nn.functional as F
from sklearn.datasets import load_digits


class ConvVAE(nn.Module):
    def __init__(self, latent=10):
        super().__init__()
        self.enc = nn.Sequential(
            nn.Conv2d(1, 16, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(16, 32, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Flatten(),
        )
        self.to_stats = nn.Linear(32 * 4, 2 * latent)
        self.from_latent = nn.Linear(latent, 32 * 4)
        self.dec = nn.Sequential(
            nn.ConvTranspose2d(32, 16, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.ConvTranspose2d(16, 1, 4, stride=2, padding=1),
        )

    def forward(self, x):
        mu, logvar = self.to_stats(self.enc(x)).chunk(2, dim=1)
        z = mu + torch.randn_like(mu) * torch.exp(0.5 * logvar)
        return self.dec(F.relu(self.from_latent(z)).view(-1, 32, 2, 2)), mu, logvar


def main():
    torch.manual_seed(0)
    images = torch.tensor(load_digits().images, dtype=torch.float32).unsqueeze(1) / 16
    model = ConvVAE()
    opt = torch.optim.Adam(model.parameters(), lr=3e-3)
    for epoch in range(30):
        beta = min(0.2, epoch / 50)
        totals = [0.0, 0.0]
        for rows in torch.randperm(1500).split(64):
            x = images[rows]
            recon, mu, logvar = model(x)
            rec = F.binary_cross_entropy_with_logits(recon, x, reduction="sum") / len(x)
            kl = -0.5 * (1 + logvar - mu**2 - logvar.exp()).sum(1).mean()
            opt.zero_grad()
            (rec + beta * kl).backward()
            opt.step()
            totals[0] += rec.item() * len(x) / 1500
            totals[1] += kl.item() * len(x) / 1500
        if epoch % 6 == 5:
            print(f"epoch {epoch + 1} rec {totals[0]:.2f} kl {totals[1]:.2f} beta {beta:.1f}")
    with torch.no_grad():
        x = images[1500:]
        mse = F.mse_loss(torch.sigmoid(model(x)[0]), x).item()
        base = (x - images[:1500].mean(0)).square().mean().item()
    print(f"test mse relative to the mean image {mse / base:.4f}")


if __name__ == "__main__":
    main()
