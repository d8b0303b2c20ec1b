"""Small models of many kinds; each takes six samples and gives a score for each of its classes."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import parametrizations
from torch.nn.utils.rnn import pack_padded_sequence
from torch.utils.checkpoint import checkpoint


def mlp(dropout=0.1):
    return nn.Sequential(nn.Linear(8, 16), nn.Tanh(), nn.Dropout(dropout), nn.Linear(16, 3))


def cnn():
    return nn.Sequential(
        nn.Conv2d(1, 4, 3),
        nn.BatchNorm2d(4),
        nn.ReLU(inplace=True),
        nn.Dropout2d(0.2),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(4 * 3 * 3, 3),
    )


def called_often():
    shared = nn.Linear(8, 8)
    return nn.Sequential(shared, nn.ReLU(inplace=True), shared, nn.Tanh(), shared, nn.Linear(8, 3))


def lazy():
    return nn.Sequential(nn.LazyLinear(16), nn.LazyBatchNorm1d(), nn.ReLU(), nn.LazyLinear(3))


def normed():
    return nn.Sequential(
        parametrizations.weight_norm(nn.Linear(8, 16)),
        nn.ReLU(),
        parametrizations.spectral_norm(nn.Linear(16, 8)),
        parametrizations.orthogonal(nn.Linear(8, 3)),
    )


def players():
    maker, judge = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 8)), mlp(0.0)
    return nn.ModuleDict({"maker": maker, "judge": judge})


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.tokens = nn.Embedding(11, 16)
        layer = nn.TransformerEncoderLayer(16, 4, 32, dropout=0.1, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2)
        self.head = nn.Linear(16, 3)

    def forward(self, tokens):
        return self.head(self.encoder(self.tokens(tokens)).mean(1))


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.attention = nn.MultiheadAttention(8, 2, dropout=0.1, batch_first=True)
        self.head = nn.Linear(8, 3)

    def forward(self, x):
        mixed, weights = self.attention(x, x, x, need_weights=True)
        return self.head((x + mixed).mean(1)) + weights.mean()


class Functional(nn.Module):
    """Functional calls, a bare parameter beside modules, a residual branch, in-place addition."""

    def __init__(self):
        super().__init__()
        self.inner = nn.Linear(8, 8)
        self.bare = nn.Parameter(torch.randn(8, 3) * 0.3)

    def forward(self, x):
        h = F.dropout(F.gelu(self.inner(x)), 0.2, self.training)
        h += x
        return torch.relu_(h.clone()) @ self.bare


class Recurrent(nn.Module):
    def __init__(self, kind, *, packed=False):
        super().__init__()
        self.body = kind(4, 8, num_layers=2, dropout=0.1, batch_first=True)
        self.head = nn.Linear(8, 3)
        self._packed = packed

    def forward(self, x):
        if self._packed:
            x = pack_padded_sequence(x, [5, 4, 4, 3, 2, 1], batch_first=True)
        hidden = self.body(x)[1]
        return self.head((hidden[0] if isinstance(hidden, tuple) else hidden)[-1])


class Unrolled(nn.Module):
    def __init__(self):
        super().__init__()
        self.cell = nn.GRUCell(4, 8)
        self.head = nn.Linear(8, 3)

    def forward(self, x):
        h = x.new_zeros(len(x), 8)
        for t in range(x.shape[1]):
            h = self.cell(x[:, t], h)
        return self.head(h)


class Checkpointed(nn.Module):
    def __init__(self, *, reentrant):
        super().__init__()
        self.block = nn.Sequential(nn.Linear(8, 16), nn.Tanh(), nn.Dropout(0.3), nn.Linear(16, 8))
        self.head = nn.Linear(8, 3)
        self._reentrant = reentrant

    def forward(self, x):
        x = x.requires_grad_()
        return self.head(checkpoint(self.block, x, use_reentrant=self._reentrant))


class Tied(nn.Module):
    """A language model whose embedding is its output head."""

    def __init__(self):
        super().__init__()
        self.tokens = nn.Embedding(11, 8)
        self.body = nn.Linear(8, 8)
        self.head = nn.Linear(8, 11, bias=False)
        self.head.weight = self.tokens.weight

    def forward(self, tokens):
        return self.head(torch.tanh(self.body(self.tokens(tokens))).mean(1))


class Embedded(nn.Module):
    def __init__(self, table):
        super().__init__()
        self.table = table
        self.head = nn.Linear(8, 3)

    def forward(self, tokens):
        found = self.table(tokens)
        return self.head(found if found.dim() == 2 else found.mean(1))


class Frozen(nn.Module):
    """A backbone that is neither trained nor in training mode."""

    def __init__(self):
        super().__init__()
        self.backbone = nn.Sequential(nn.Linear(8, 16), nn.BatchNorm1d(16), nn.Dropout(0.5))
        self.backbone.requires_grad_(requires_grad=False)
        self.head = nn.Linear(16, 3)
        self.train()

    def train(self, mode=True):
        super().train(mode)
        self.backbone.eval()
        return self

    def forward(self, x):
        return self.head(self.backbone(x))


class Complex(nn.Module):
    def __init__(self):
        super().__init__()
        self.turn = nn.Linear(8, 8, dtype=torch.complex64)
        self.head = nn.Linear(8, 3)

    def forward(self, x):
        return self.head(self.turn(torch.complex(x, x.flip(0))).abs())


@dataclass
class Answer:
    scores: Tensor
    rest: tuple[Tensor | None, ...] = ()


class Part(nn.Module):
    """A layer that packs what it returns in some way; the packing is part of its signature."""

    def __init__(self, pack):
        super().__init__()
        self.inner = nn.Linear(8, 8)
        self.pack = pack

    def forward(self, x, *, scale=1.0):
        return self.pack(self.inner(x) * scale)


class Packing(nn.Module):
    """Layers that return a dictionary, a tuple, a data class and nothing, and take keywords."""

    def __init__(self):
        super().__init__()
        self.named = Part(lambda h: {"h": h, "none": None, "nested": [h.detach()]})
        self.paired = Part(lambda h: (None, (h, 3)))
        self.answered = Part(lambda h: Answer(h, (None,)))
        self.silent = Part(self.keep)
        self.head = nn.Linear(8, 3)

    def keep(self, h):
        self.kept = [h]

    def forward(self, x, *, scale):
        h = self.named(x, scale=scale)["h"]
        h = self.paired(h)[1][0]
        h = self.answered(torch.relu(h), scale=scale).scores
        assert self.silent(h) is None
        return self.head(self.kept.pop())


class Doubled(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * 2

    @staticmethod
    def backward(ctx, grad):
        return grad * ctx.saved_tensors[0].sign().abs() * 2


class Custom(nn.Module):
    """An autograd function of the user's, views that are changed in place, a retained gradient."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(8, 8), nn.Linear(8, 3)

    def forward(self, x):
        h = Doubled.apply(self.first(x))
        if h.requires_grad:
            h.retain_grad()
        h = h.clone()
        h[:, :4].mul_(0.5)
        return self.second(h.t().contiguous().t())


class Halves(torch.autograd.Function):
    """Two outputs; the gradient of one that nobody uses stays undefined, as does what it gives."""

    @staticmethod
    def forward(ctx, x):
        ctx.set_materialize_grads(False)
        return x * 2, x * 3

    @staticmethod
    def backward(ctx, grad, _):
        return grad * 2 if ctx.needs_input_grad[0] and grad is not None else None


class Undefined(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second, self.head = nn.Linear(8, 8), nn.Linear(8, 8), nn.Linear(8, 3)

    def forward(self, x):
        used, _ = Halves.apply(self.first(x))
        _, without_gradient = Halves.apply(self.second(x))
        return self.head(used + without_gradient)


def hooked():
    """A model with hooks of the user's own, some of which replace what they are given."""
    net = mlp()
    net[0].register_forward_pre_hook(lambda _, args: (args[0] * 1.5,))
    net[0].register_forward_hook(lambda _, __, out: out + 0.1)
    net[3].register_full_backward_hook(lambda _, grads, __: (grads[0] * 0.5,))
    net[0].weight.register_hook(lambda grad: grad * 2)
    return net
