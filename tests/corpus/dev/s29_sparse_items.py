"""Factorisation of user-item ratings with large embedding tables."""

import numpy as np
import torch
from torch import nn

USERS, ITEMS, RANK = 3000, 5000, 8


class Factors(nn.Module):
    def __init__(self):
        super().__init__()
        self.user = nn.Embedding(USERS, RANK, sparse=True)
        self.item = nn.Embedding(ITEMS, RANK, sparse=True)
        for table in (self.user, self.item):
            nn.init.normal_(table.weight, std=0.3)

    def forward(self, u, i):
        return (self.user(u) * self.item(i)).sum(-1)


def main():
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    true_u, true_i = rng.normal(size=(USERS, 3)), rng.normal(size=(ITEMS, 3))
    popular = np.minimum(rng.zipf(1.3, size=60000), 400) - 1
    users = rng.integers(0, 300, size=60000)
    ratings = (true_u[users] * true_i[popular]).sum(1) / 3**0.5 + 0.1 * rng.normal(size=60000)
    u, i = torch.from_numpy(users), torch.from_numpy(popular)
    r = torch.from_numpy(ratings).float()
    model = Factors()
    opt = torch.optim.SparseAdam(model.parameters(), lr=0.01)
    for step in range(1400):
        pick = torch.randint(0, 55000, (256,))
        loss = (model(u[pick], i[pick]) - r[pick]).pow(2).mean()
        opt.zero_grad()
        loss.backward()
        opt.step()
        if step % 200 == 0:
            print(f"step {step}: train mse {loss.item():.4f}")
    with torch.no_grad():
        test = (model(u[55000:], i[55000:]) - r[55000:]).pow(2).mean() / r[55000:].var()
    print(f"relative test mse {test.item():.4f}")


if __name__ == "__main__":
    main()
