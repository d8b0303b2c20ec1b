"""Character language model: a two-layer transformer encoder with a causal mask."""

import argparse
import codecs
import contextlib
import io

import torch
from torch import nn

with contextlib.redirect_stdout(io.StringIO()):
    import this


class CharModel(nn.Module):
    def __init__(self, vocab, width, heads, depth, context):
        super().__init__()
        self.tok = nn.Embedding(vocab, width)
        self.pos = nn.Embedding(context, width)
        block = nn.TransformerEncoderLayer(
            width, heads, 4 * width, dropout=0.0, batch_first=True, norm_first=True
        )
        self.body = nn.TransformerEncoder(block, depth, enable_nested_tensor=False)
        self.head = nn.Linear(width, vocab)

    def forward(self, idx):
        t = idx.shape[1]
        mask = nn.Transformer.generate_square_subsequent_mask(t)
        h = self.tok(idx) + self.pos(torch.arange(t))
        return self.head(self.body(h, mask=mask))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--lr", type=float, default=0.1)
    parser.add_argument("--context", type=int, default=32)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()

    torch.manual_seed(args.seed)
    text = codecs.decode(this.s, "rot13")
    chars = sorted(set(text))
    data = torch.tensor([chars.index(c) for c in text])
    model = CharModel(len(chars), 48, 4, 2, args.context)
    opt = torch.optim.Adam(model.parameters(), lr=args.lr)
    ema = None
    for step in range(args.steps):
        start = torch.randint(0, len(data) - args.context - 1, (24,))
        window = torch.stack([data[s : s + args.context + 1] for s in start])
        logits = model(window[:, :-1])
        loss = nn.functional.cross_entropy(logits.flatten(0, 1), window[:, 1:].flatten())
        opt.zero_grad()
        loss.backward()
        opt.step()
        ema = loss.item() if ema is None else 0.95 * ema + 0.05 * loss.item()
        if step % 50 == 0 or step == args.steps - 1:
            print(f"step {step:4d} | loss {loss.item():.3f} | ema {ema:.3f}")


if __name__ == "__main__":
    main()
