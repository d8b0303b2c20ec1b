"""Policy gradient on a cart on a line."""

import torch
from torch import nn


class CartLine:
    def __init__(self, g):
        self.g = g

    def reset(self):
        self.s = torch.rand(2, generator=self.g) * 2 - 1
        self.t = 0
        return self.s.clone()

    def step(self, a):
        self.s[1] += 0.2 * (2 * a - 1)
        self.s[0] += 0.2 * self.s[1]
        self.t += 1
        r = 1.0 if self.s.abs().max() < 1.5 else 0.0
        return self.s.clone(), r, r == 0.0 or self.t >= 40


torch.manual_seed(0)
g = torch.Generator().manual_seed(0)
env = CartLine(g)
policy = nn.Sequential(nn.Linear(2, 32), nn.Tanh(), nn.Linear(32, 2))
opt = torch.optim.Adam(policy.parameters(), lr=1e-2)
lengths = []
for episode in range(250):
    s, logp, rewards, done = env.reset(), [], [], False
    while not done:
        dist = torch.distributions.Categorical(logits=policy(s))
        a = dist.sample()
        logp.append(dist.log_prob(a))
        s, r, done = env.step(int(a))
        rewards.append(r)
    returns, total = [], 0.0
    for r in reversed(rewards):
        total = r + 0.97 * total
        returns.insert(0, total)
    returns = torch.tensor(returns)
    returns = (returns - returns.mean()) / (returns.std() + 1e-6) if len(returns) > 1 else returns
    loss = -(torch.stack(logp) * returns).sum()
    opt.zero_grad()
    loss.backward()
    opt.step()
    lengths.append(len(rewards))
print("mean length", sum(lengths[-30:]) / 30)
