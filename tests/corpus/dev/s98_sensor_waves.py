import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(71)
N_CLASS, CH, LEN = 5, 4, 32
protos = torch.randn(N_CLASS, CH, LEN).cumsum(-1)
protos = (protos - protos.mean((0, 2), keepdim=True)) / protos.std((0, 2), keepdim=True)


def draw(n):
    y = torch.randint(0, N_CLASS, (n,))
    x = 0.06 * (protos[y] + 2.5 * torch.randn(n, CH, LEN))
    return x, y


def unit(i, o):
    return nn.Sequential(
        nn.Conv1d(i, o, 5, padding=2),
        nn.BatchNorm1d(o, eps=1e-3, momentum=0.001),
        nn.ReLU(),
    )


class SensorNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            unit(CH, 24), nn.MaxPool1d(2), unit(24, 32), nn.MaxPool1d(2), unit(32, 32), unit(32, 32)
        )
        self.fc = nn.Linear(32, N_CLASS)

    def forward(self, x):
        return self.fc(self.features(x).mean(-1))


xtr, ytr = draw(1200)
xte, yte = draw(500)
net = SensorNet()
opt = torch.optim.Adam(net.parameters(), lr=2e-3)
for epoch in range(8):
    net.train()
    seen = correct = 0
    for idx in torch.randperm(len(xtr)).split(64):
        out = net(xtr[idx])
        loss = F.cross_entropy(out, ytr[idx])
        opt.zero_grad()
        loss.backward()
        opt.step()
        seen += len(idx)
        correct += (out.argmax(1) == ytr[idx]).sum().item()
    net.eval()
    with torch.no_grad():
        acc = (net(xte).argmax(1) == yte).float().mean().item()
    print(f"epoch {epoch} loss {loss.item():.4f} train acc {correct / seen:.3f} val acc {acc:.3f}")

print("final val acc", round(acc, 4))
