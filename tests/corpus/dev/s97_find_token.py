import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(88)
V, L, C = 12, 14, 6


def build(n):
    x = torch.randint(C, V, (n, L))
    y = torch.randint(0, C, (n,))
    where = torch.randint(0, L, (n,))
    x[torch.arange(n), where] = y
    return x, y


class Tagger(nn.Module):
    def __init__(self, emb=24, hid=48):
        super().__init__()
        self.emb = nn.Embedding(V, emb)
        self.gru = nn.GRU(emb, hid, batch_first=True, bidirectional=True)
        self.drop = nn.Dropout(0.1)
        self.fc = nn.Linear(2 * hid, C)

    def forward(self, x):
        _, h = self.gru(self.emb(x))
        return self.fc(self.drop(torch.cat([h[0], h[1]], 1)))


train_loader = DataLoader(TensorDataset(*build(1600)), batch_size=40, shuffle=True)
xv, yv = build(500)
model = Tagger()
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
scheduler = torch.optim.lr_scheduler.ExponentialLR(optimizer, gamma=0.85)
loss_fn = nn.CrossEntropyLoss()

for epoch in range(10):
    model.train()
    for xb, yb in train_loader:
        optimizer.zero_grad()
        loss = loss_fn(model(xb), yb)
        loss.backward()
        optimizer.step()
        scheduler.step()
    model.eval()
    with torch.no_grad():
        val = (model(xv).argmax(1) == yv).float().mean().item()
    print(f"epoch {epoch} loss {loss.item():.4f} val {val:.4f}")

print("final accuracy", val)
