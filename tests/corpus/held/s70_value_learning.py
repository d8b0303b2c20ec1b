"""Q-learning on a windy grid with a slowly moving copy of the network."""

import copy
import random
from collections import deque

import torch
from torch import nn

SIZE, GAMMA = 5, 0.95
MOVES = torch.tensor([[0, 1], [1, 0], [0, -1], [-1, 0]])


def features(cells):
    return nn.functional.one_hot(cells[:, 0] * SIZE + cells[:, 1], SIZE * SIZE).float()


def transition(cell, action):
    nxt = (cell + MOVES[action]).clamp(0, SIZE - 1)
    if random.random() < 0.1:
        nxt[1] = max(0, int(nxt[1]) - 1)
    done = bool((nxt == SIZE - 1).all())
    return nxt, (1.0 if done else -0.02), done


def greedy_success(q, episodes=100, limit=20):
    wins = 0
    for _ in range(episodes):
        cell = torch.zeros(2, dtype=torch.long)
        for _ in range(limit):
            with torch.no_grad():
                action = q(features(cell[None])).argmax(1).item()
            cell, _, done = transition(cell, action)
            if done:
                wins += 1
                break
    return wins / episodes


def main():
    torch.manual_seed(0)
    random.seed(0)
    q = nn.Sequential(nn.Linear(SIZE * SIZE, 48), nn.ReLU(), nn.Linear(48, 4))
    target = copy.deepcopy(q)
    opt = torch.optim.Adam(q.parameters(), lr=2e-3)
    memory = deque(maxlen=3000)
    cell = torch.zeros(2, dtype=torch.long)
    for t in range(1800):
        explore = random.random() < max(0.2, 1 - t / 1200)
        with torch.no_grad():
            greedy = q(features(cell[None])).argmax(1).item()
        action = random.randrange(4) if explore else greedy
        nxt, reward, done = transition(cell, action)
        memory.append((cell, action, reward, nxt, done))
        cell = torch.randint(0, SIZE, (2,)) if done or random.random() < 0.03 else nxt
        if t < 300:
            continue
        s, a, r, s2, d = zip(*random.sample(memory, 48))
        with torch.no_grad():
            future = target(features(torch.stack(s2))).max(1).values
            goal = torch.tensor(r) + GAMMA * future * (1 - torch.tensor(d).float())
        value = q(features(torch.stack(s))).gather(1, torch.tensor(a)[:, None]).squeeze(1)
        loss = nn.functional.smooth_l1_loss(value, goal)
        opt.zero_grad()
        loss.backward()
        opt.step()
        with torch.no_grad():
            for slow, fast in zip(target.parameters(), q.parameters()):
                slow.lerp_(fast, 0.02)
        if t % 300 == 0:
            print(f"t={t} loss={loss.item():.5f}")
    print(f"success rate {greedy_success(q):.3f}")


if __name__ == "__main__":
    main()
