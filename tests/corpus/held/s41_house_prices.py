"""Price model for a synthetic housing table."""

import pandas as pd
import torch
from torch import nn


def make_table(n, generator):
    def uniform(low, high):
        return low + (high - low) * torch.rand(n, generator=generator)

    frame = pd.DataFrame(
        {
            "area_sqft": uniform(400, 4000).numpy(),
            "year_built": uniform(1900, 2020).numpy(),
            "lot_sqft": uniform(1000, 40000).numpy(),
            "bedrooms": uniform(1, 6).round().numpy(),
            "crime_rate": uniform(0, 0.2).numpy(),
            "income": uniform(15000, 150000).numpy(),
        }
    )
    price = (
        0.9 * (frame.area_sqft / 4000)
        + 0.4 * (frame.year_built > 1980) * frame.bedrooms / 6
        - 3.0 * frame.crime_rate * (frame.income / 150000 < 0.5)
        + 0.6 * (frame.income / 150000) ** 2
    )
    return frame, (price - price.mean()) / price.std()


class PriceNet(nn.Module):
    def __init__(self, n):
        super().__init__()
        self.a = nn.Linear(n, 64)
        self.b = nn.Linear(64, 32)
        self.c = nn.Linear(32, 1)

    def forward(self, x):
        return self.c(torch.tanh(self.b(torch.tanh(self.a(x))))).squeeze(1)


def main():
    torch.manual_seed(1)
    frame, price = make_table(2400, torch.Generator().manual_seed(0))
    values = frame.to_numpy()
    x = torch.tensor(values, dtype=torch.float32)
    y = torch.tensor(price.to_numpy(), dtype=torch.float32)
    model = PriceNet(x.shape[1])
    opt = torch.optim.Adam(model.parameters(), lr=3e-3)
    for epoch in range(30):
        order = torch.randperm(2000)
        for batch in order.split(50):
            opt.zero_grad()
            loss = (model(x[batch]) - y[batch]).square().mean()
            loss.backward()
            opt.step()
    with torch.no_grad():
        mse = (model(x[2000:]) - y[2000:]).square().mean().item()
    print(f"unexplained variance: {mse / y[2000:].var().item():.4f}")


if __name__ == "__main__":
    main()
