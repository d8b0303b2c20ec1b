"""Policy gradient in a corridor with slippery floor, plain REINFORCE with a running baseline."""

import torch
from torch import nn
from torch.distributions import Categorical

LENGTH, HORIZON, EPISODES = 7, 14, 16


class Corridor:
    def __init__(self, n):
        self.position = torch.full((n,), LENGTH // 2)
        self.goal = torch.randint(0, 2, (n,)) * (LENGTH - 1)

    def observe(self):
        here = nn.functional.one_hot(self.position, LENGTH).float()
        side = (self.goal > 0).float().unsqueeze(1) * 2 - 1
        return torch.cat([here, side], 1)

    def act(self, action):
        slip = torch.rand(len(action)) < 0.15
        move = torch.where(slip, torch.randint(0, 3, action.shape), action) - 1
        self.position = (self.position + move).clamp(0, LENGTH - 1)
        return (self.position == self.goal).float() - 0.05 * (move != 0).float()


def rollout(policy, n):
    env = Corridor(n)
    logps, entropies, rewards = [], [], []
    for _ in range(HORIZON):
        dist = Categorical(logits=policy(env.observe()))
        action = dist.sample()
        logps.append(dist.log_prob(action))
        entropies.append(dist.entropy())
        rewards.append(env.act(action))
    rewards = torch.stack(rewards)
    returns = rewards.flip(0).cumsum(0).flip(0)
    return torch.stack(logps), torch.stack(entropies), returns


def main():
    torch.manual_seed(1)
    policy = nn.Sequential(nn.Linear(LENGTH + 1, 32), nn.Tanh(), nn.Linear(32, 3))
    optimizer = torch.optim.Adam(policy.parameters(), lr=5e-3)
    baseline = torch.zeros(HORIZON, 1)
    scores = []
    for update in range(500):
        logps, entropies, returns = rollout(policy, EPISODES)
        loss = -(logps * (returns - baseline)).mean() - 0.01 * entropies.mean()
        baseline = 0.95 * baseline + 0.05 * returns.mean(1, keepdim=True)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        scores.append(returns[0].mean().item())
        if update % 100 == 99:
            print(f"update {update + 1}: return {sum(scores[-50:]) / 50:.3f}")
    print(f"start {sum(scores[:20]) / 20:.3f} end {sum(scores[-50:]) / 50:.3f}")


if __name__ == "__main__":
    main()
