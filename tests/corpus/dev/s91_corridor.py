"""Q-learning in a corridor of ten places."""

import random
from collections import deque
import torch
from torch import nn

random.seed(0)
torch.manual_seed(0)


class Corridor:
    def reset(self):
        self.p = random.randrange(1, 9)
        return self.p

    def step(self, a):
        self.p += 1 if a else -1
        done = self.p in (0, 9)
        return self.p, (1.0 if self.p == 9 else -1.0 if self.p == 0 else -0.05), done


def enc(p):
    return nn.functional.one_hot(torch.tensor(p), 10).float()


q = nn.Sequential(nn.Linear(10, 32), nn.ReLU(), nn.Linear(32, 2))
t = nn.Sequential(nn.Linear(10, 32), nn.ReLU(), nn.Linear(32, 2))
t.load_state_dict(q.state_dict())
opt = torch.optim.Adam(q.parameters(), lr=2e-3)
env, memory, eps = Corridor(), deque(maxlen=2000), 1.0
s = env.reset()
for step in range(900):
    a = random.randrange(2) if random.random() < eps else int(q(enc(s)).argmax())
    n, r, done = env.step(a)
    memory.append((s, a, r, n, done))
    s = env.reset() if done else n
    eps = max(0.1, eps * 0.997)
    if len(memory) >= 64:
        S, A, R, N, D = zip(*random.sample(memory, 64))
        with torch.no_grad():
            goal = torch.tensor(R) + 0.95 * t(enc(N)).max(1).values * (1 - torch.tensor(D).float())
        loss = nn.functional.smooth_l1_loss(
            q(enc(S)).gather(1, torch.tensor(A)[:, None])[:, 0], goal
        )
        opt.zero_grad()
        loss.backward()
        opt.step()
    if step % 50 == 0:
        t.load_state_dict(q.state_dict())
print("share of right moves", q(enc(list(range(1, 9)))).argmax(1).float().mean().item())
