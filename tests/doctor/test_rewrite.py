"""How a change is written in scripts of many styles: the lines that differ, or none."""

import subprocess

import pytest
import torch

from gainstage.doctor.candidates import Change
from gainstage.doctor.rewrite import rewritten
from gainstage.interventions.changes.reinitialise import draw

MODULE = """\
import torch
import torch.nn.functional as F
from torch import nn
model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3), nn.Softmax(dim=1))
opt = torch.optim.SGD(model.parameters(), lr=5.0, weight_decay=0.5)  # optimizer
for x, y in data:
    loss = F.cross_entropy(model(x), y)
    loss.backward()  # backward
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1e-3)
    opt.step()  # step
"""
SCHEDULES = """
sched = torch.optim.lr_scheduler.StepLR(opt, 5)
self.plateau = ReduceLROnPlateau(opt)
def after():
    self.plateau.step(loss)
clock.step()
sched.step()
"""
TRAINER = """\
import argparse
import torch
from torch import nn
parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float, default=0.1)
args = parser.parse_args()
def validate(model):
    model.eval()
def epoch(model, optimizer):
    for x, y in data:
        out = model(x)
        nn.functional.cross_entropy(out, y).backward()  # backward
        optimizer.step()  # step
def main():
    net = Net()
    opt = torch.optim.Adam(net.encoder.parameters(), args.lr)  # optimizer
    epoch(net, opt)
"""


@pytest.fixture
def lines(tmp_path, monkeypatch):
    """The lines that a change takes away and adds."""
    monkeypatch.chdir(tmp_path)

    def write(text, *changes):
        (tmp_path / "train.py").write_text(text)
        made = {
            what: f"{tmp_path / 'train.py'}:{i}"
            for i, line in enumerate(text.splitlines(), start=1)
            for what in ("optimizer", "backward", "step")
            if line.endswith(f"# {what}")
        }
        where, diff, _ = rewritten(changes, made)
        rows = [r for r in diff.splitlines() if r[:1] in "+-" and r[:3] not in {"+++", "---"}]
        return where, [r[0] + r[1:].strip().partition("  #")[0] for r in rows]

    return write


@pytest.mark.parametrize(
    ("text", "change", "wanted"),
    [
        (
            MODULE,
            Change.of("scale-learning-rate", factor=0.01),
            [
                "-opt = torch.optim.SGD(model.parameters(), lr=5.0, weight_decay=0.5)",
                "+opt = torch.optim.SGD(model.parameters(), lr=0.05, weight_decay=0.5)",
            ],
        ),
        (
            TRAINER,
            Change.of("scale-learning-rate", factor=0.1),
            [
                '-parser.add_argument("--lr", type=float, default=0.1)',
                '+parser.add_argument("--lr", type=float, default=0.01)',
            ],
        ),
        (
            MODULE,
            Change.of("drop-weight-decay"),
            [
                "-opt = torch.optim.SGD(model.parameters(), lr=5.0, weight_decay=0.5)",
                "+opt = torch.optim.SGD(model.parameters(), lr=5.0, weight_decay=0)",
            ],
        ),
        (MODULE, Change.of("zero-gradients"), ["+opt.zero_grad()"]),
        (TRAINER, Change.of("zero-gradients"), ["+optimizer.zero_grad()"]),
        (
            MODULE,
            Change.of("clip-gradients", norm=1.0),
            ["+torch.nn.utils.clip_grad_norm_(model.parameters(), 1)"],
        ),
        (
            TRAINER,
            Change.of("clip-gradients", norm=1.0),
            [
                (
                    "+torch.nn.utils.clip_grad_norm_("
                    '[p for g in optimizer.param_groups for p in g["params"]], 1)'
                )
            ],
        ),
        (
            MODULE,
            Change.of("skip-non-finite"),
            [
                "-opt.step()",
                '+grads = [p.grad for g in opt.param_groups for p in g["params"]]',
                "+if all(grad is None or torch.isfinite(grad).all() for grad in grads):",
                "+opt.step()",
            ],
        ),
        (
            MODULE + SCHEDULES,
            Change.of("hold-learning-rate"),
            ["-sched.step()", "-self.plateau.step(loss)", "+pass"],
        ),
        (
            MODULE,
            Change.of("unclip"),
            ["-torch.nn.utils.clip_grad_norm_(model.parameters(), 1e-3)"],
        ),
        (
            MODULE,
            Change.of("remove-softmax"),
            [
                (
                    "-model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3), "
                    "nn.Softmax(dim=1))"
                ),
                (
                    "+model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3), "
                    "torch.nn.Identity())"
                ),
            ],
        ),
        (
            MODULE.replace(", nn.Softmax(dim=1)", "").replace(
                "(model(x)", "(F.softmax(model(x), 1)"
            ),
            Change.of("remove-softmax"),
            [
                "-loss = F.cross_entropy(F.softmax(model(x), 1), y)",
                "+loss = F.cross_entropy(model(x), y)",
            ],
        ),
        (
            MODULE.replace(", nn.Softmax(dim=1)", "").replace("model(x)", "model(x).softmax(1)"),
            Change.of("remove-softmax"),
            [
                "-loss = F.cross_entropy(model(x).softmax(1), y)",
                "+loss = F.cross_entropy(model(x), y)",
            ],
        ),
        (TRAINER, Change.of("train-mode"), ["+model.train()"]),
        (
            TRAINER,
            Change.of("add-missing-parameters"),
            [
                "-opt = torch.optim.Adam(net.encoder.parameters(), args.lr)",
                "+opt = torch.optim.Adam(net.parameters(), args.lr)",
            ],
        ),
        (
            MODULE.replace(", nn.Softmax(dim=1)", ""),
            Change.of("leaky-activation", slope=0.1),
            [
                "-model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))",
                "+model = nn.Sequential(nn.Linear(4, 8), nn.LeakyReLU(0.1), nn.Linear(8, 3))",
            ],
        ),
        (
            MODULE.replace("nn.ReLU", "nn.Sigmoid"),
            Change.of("rectify"),
            [
                (
                    "-model = nn.Sequential(nn.Linear(4, 8), nn.Sigmoid(), nn.Linear(8, 3), "
                    "nn.Softmax(dim=1))"
                ),
                (
                    "+model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3), "
                    "nn.Softmax(dim=1))"
                ),
            ],
        ),
        (
            MODULE.replace("nn.ReLU()", "nn.Tanh()"),
            Change.of("normalise-batches"),
            [
                (
                    "-model = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 3), "
                    "nn.Softmax(dim=1))"
                ),
                (
                    "+model = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Tanh(), "
                    "nn.Linear(8, 3), nn.Softmax(dim=1))"
                ),
            ],
        ),
        (
            MODULE,
            Change.of("scale-output-layer", factor=0.1, layer="2"),
            [
                "+with torch.no_grad():",
                '+for p in model.get_submodule("2").parameters():',
                "+p.mul_(0.1)",
            ],
        ),
        (
            MODULE,
            Change.of("reinitialise", activation="relu", recurrent=("2",)),
            [
                "+for layer in model.modules():",
                "+if isinstance(layer, torch.nn.Linear):",
                '+torch.nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")',
                "+if layer.bias is not None:",
                "+torch.nn.init.zeros_(layer.bias)",
                '+torch.nn.init.orthogonal_(model.get_submodule("2").weight)',
            ],
        ),
    ],
)
def test_a_change_is_one_number_one_call_or_a_few_lines(lines, text, change, wanted):
    where, told = lines(text, change)
    assert sorted(told) == sorted(wanted)
    assert where.startswith("train.py:")


def test_layers_that_are_drawn_in_other_ways_are_drawn_so_in_the_file(lines):
    text = MODULE.replace("nn.ReLU()", "nn.Embedding(4, 4), nn.GRU(4, 4)")
    _, told = lines(text, Change.of("reinitialise", activation="linear", recurrent=()))
    assert "+if isinstance(layer, torch.nn.Linear):" in told
    assert "+elif isinstance(layer, torch.nn.Embedding):" in told
    assert "+elif isinstance(layer, torch.nn.GRU):" in told
    _, told = lines(
        text.replace("GRU", "Transformer"), Change.of("reinitialise", activation="relu")
    )
    assert told == []


def test_what_is_written_to_draw_weights_again_is_what_was_tried(lines, tmp_path):
    """The same distributions: written into a file and run, and injected."""
    text = (
        "import torch\nfrom torch import nn\n"
        "model = nn.ModuleList([nn.Linear(64, 99), nn.Embedding(9, 64), nn.GRU(64, 64)])\n"
        "for p in model.parameters():\n    p.data.fill_(7.0)\n"
        "opt = torch.optim.SGD(model.parameters(), lr=5.0)  # optimizer\n"
    )
    lines(text, change := Change.of("reinitialise", activation="tanh", recurrent=()))
    _, diff, _ = rewritten([change], {"optimizer": f"{tmp_path / 'train.py'}:6"})
    subprocess.run(["git", "apply"], input=diff.encode(), cwd=tmp_path, check=True)  # noqa: S607
    written, tried = {}, {}
    for names, code in ((written, (tmp_path / "train.py").read_text()), (tried, text)):
        exec(code, names)  # noqa: S102 - what was just written
    for module in tried["model"].modules():
        draw(module, "tanh")
    for one, other in zip(written["model"].parameters(), tried["model"].parameters(), strict=True):
        assert one.std().item() == pytest.approx(other.std().item(), rel=0.1)
    hidden = written["model"][2].weight_hh_l0[:64]
    assert torch.allclose(hidden @ hidden.T, torch.eye(64), atol=1e-5)


def test_two_changes_are_one_diff(lines):
    _, told = lines(
        MODULE, Change.of("zero-gradients"), Change.of("scale-learning-rate", factor=0.1)
    )
    assert len(told) == 3


@pytest.mark.parametrize(
    ("text", "change"),
    [
        (MODULE, Change.of("standardise-input")),
        (MODULE, Change.of("train-mode")),  # no eval() to take back
        (MODULE, Change.of("hold-learning-rate")),  # there is no schedule
        (TRAINER, Change.of("drop-weight-decay")),  # there is none
        (TRAINER, Change.of("unclip")),
        (TRAINER, Change.of("reinitialise", activation="relu", recurrent=())),  # Net is elsewhere
        (MODULE.replace("lr=5.0", "lr=rate()"), Change.of("scale-learning-rate", factor=0.1)),
        (  # two numbers of that name: which one counts is not known
            "lr = 1.0\n" + TRAINER.replace("args.lr", "lr"),
            Change.of("scale-learning-rate", factor=0.1),
        ),
        (MODULE + "z = F.cross_entropy(F.softmax(a, 1), y)\n", Change.of("remove-softmax")),
    ],
)
def test_what_cannot_be_said_in_a_few_lines_has_a_place_but_no_diff(lines, text, change):
    where, told = lines(text, change)
    assert told == []
    assert where.startswith("train.py:")


def test_without_a_place_there_is_nothing_to_write():
    assert rewritten([Change.of("zero-gradients")], {})[:2] == ("", "")
    assert rewritten([Change.of("zero-gradients")], {"optimizer": "/nowhere.py:3"})[:2] == ("", "")


BLOCKS = """\
import torch
from torch import nn
class Block(nn.Module):
    def forward(self, x):
        h = torch.log(x + 1) / self.norm(x).sqrt()
        return h
class Net(nn.Module):
    def __init__(self):
        self.layers = nn.ModuleList(Block() for _ in range(9))
    def forward(self, x):
        for layer in self.layers:
            x = layer(x)
        return self.head(x.detach())
x, x_test = load()
model = Net().to(torch.bfloat16)
opt = torch.optim.SGD(model.parameters(), lr=5.0, momentum=0.99)  # optimizer
for batch in data:
    loss = model(x[batch]).half().sum()
    loss.backward()  # backward
    opt.step()  # step
model(x_test)
"""
STANDARDISED = [
    "+mean, deviation = x.mean(0), x.std(0)",
    "+deviation[deviation <= 1e-3 * deviation[deviation > 0].median()] = 1.0",
    "+x = (x - mean) / deviation",
    "+x_test = (x_test - mean) / deviation",
]


@pytest.mark.parametrize(
    ("change", "wanted"),
    [
        (Change.of("skip-connections"), ["-return h", "+return x + h"]),
        (Change.of("keep-graph"), ["-return self.head(x.detach())", "+return self.head(x)"]),
        (
            Change.of("damp-momentum", most=0.9),
            [
                "-opt = torch.optim.SGD(model.parameters(), lr=5.0, momentum=0.99)",
                "+opt = torch.optim.SGD(model.parameters(), lr=5.0, momentum=0.9)",
            ],
        ),
        (
            Change.of("guard-functions", least=1e-7),
            [
                "-h = torch.log(x + 1) / self.norm(x).sqrt()",
                "+h = torch.log((x + 1).clamp_min(1e-07)) / self.norm(x).clamp_min(1e-07).sqrt()",
            ],
        ),
        (
            Change.of("full-precision"),
            [
                "-model = Net().to(torch.bfloat16)",
                "+model = Net().to(torch.float32)",
                "-loss = model(x[batch]).half().sum()",
                "+loss = model(x[batch]).float().sum()",
            ],
        ),
        (Change.of("standardise-input"), STANDARDISED),
    ],
)
def test_changes_to_the_model_and_its_data(lines, change, wanted):
    _, told = lines(BLOCKS, change)
    assert sorted(told) == sorted(wanted)


@pytest.mark.parametrize(
    ("old", "new", "change"),
    [
        ("        return h", "        return h if a else x\n        return x", "skip-connections"),
        ("model(x_test)", "model(other(x_test))", "standardise-input"),
        ("x, x_test = load()", "x = load()", "standardise-input"),
    ],
)
def test_what_is_not_plain_is_not_written(lines, old, new, change):
    _, told = lines(BLOCKS.replace(old, new), Change.of(change))
    assert told == []


@pytest.mark.parametrize(
    ("layers", "wanted"),
    [
        ("[nn.Linear(4, 4), nn.Tanh()]", "nn.ModuleList([nn.Linear(4, 4), nn.Tanh()])"),
        ("[nn.Linear(4, 4) for _ in a]", "nn.ModuleList([nn.Linear(4, 4) for _ in a])"),
        ("[nn.Linear(4, 4), other()]", None),
        ("[1, 2]", None),
    ],
)
def test_a_list_of_layers_becomes_one_that_counts(lines, layers, wanted):
    text = BLOCKS.replace("nn.ModuleList(Block() for _ in range(9))", layers)
    _, told = lines(text, Change.of("add-missing-parameters"))
    pair = [f"-self.layers = {layers}", f"+self.layers = {wanted}"]
    assert told == (pair if wanted else [])


def test_a_variable_that_is_assigned_again_is_kept_for_the_skip(lines):
    text = BLOCKS.replace("        h = torch.log(x + 1)", "        x = h = torch.log(x + 1)")
    _, told = lines(text, Change.of("skip-connections"))
    assert told == ["+skipped = x", "-return h", "+return skipped + h"]


def test_an_option_that_was_given_is_not_written_into_its_default(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "train.py").write_text(TRAINER)
    made = {"optimizer": f"{tmp_path / 'train.py'}:16"}
    change = Change.of("scale-learning-rate", factor=0.1)
    assert "+parser" in rewritten([change], made, ["--epochs", "3"])[1]
    for args in (["--lr", "0.5"], ["--lr=0.5"]):
        where, diff, _ = rewritten([change], made, args)
        assert (where, diff) == ("train.py:16", "")


def test_a_file_elsewhere_is_called_by_its_last_name(tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    (tmp_path / "train.py").write_text(MODULE)
    made = {"optimizer": f"{tmp_path / 'train.py'}:5"}
    _, diff, _ = rewritten([Change.of("scale-learning-rate", factor=0.1)], made)
    assert diff.startswith("--- a/train.py\n+++ b/train.py\n")


CONFIGURED = """\
import torch
cfg, hist = {}, {}
cfg["epochs"] = 30
base_lr = 0.1
model = torch.nn.Linear(4, 3)
opt = torch.optim.SGD(model.parameters(), lr=cfg["lr"])  # optimizer
"""


@pytest.mark.parametrize("given", ['cfg["lr"]', "base_lr * 32", "rate()"])
def test_a_rate_that_has_no_name_is_written_nowhere(lines, given):
    text = CONFIGURED.replace('lr=cfg["lr"]', f"lr={given}")
    where, told = lines(text, Change.of("scale-learning-rate", factor=0.1))
    assert (where, told) == ("train.py:6", [])


@pytest.mark.parametrize(
    "given",
    [
        "wrap(torch.optim.SGD(model.parameters(), lr=0.5), 3.0)",
        "torch.optim.SGD(list(model.parameters()), lr=0.5)",
        'torch.optim.SGD([{"params": model.parameters()}], lr=0.5)',
    ],
)
def test_the_rate_is_that_of_the_call_that_is_given_the_parameters(lines, given):
    text = CONFIGURED.replace('torch.optim.SGD(model.parameters(), lr=cfg["lr"])', given)
    _, told = lines(text, Change.of("scale-learning-rate", factor=0.1))
    assert told == [f"-opt = {given}", f"+opt = {given.replace('lr=0.5', 'lr=0.05')}"]


def test_what_logs_is_no_logarithm(lines):
    text = (
        "import math, torch, wandb\n"
        "opt = torch.optim.SGD(ps, lr=0.1)  # optimizer\n"
        "p = torch.sigmoid(h)\n"
        "loss = -torch.log(p).mean()\n"
        'wandb.log({"loss": loss})\n'
        "logger.log(20, loss)\n"
        'self.log("loss", loss)\n'
        "journal.log()\n"
        "math.log(3)\n"
    )
    _, told = lines(text, Change.of("guard-functions", least=1e-7))
    assert told == ["-loss = -torch.log(p).mean()", "+loss = -torch.log(p.clamp_min(1e-07)).mean()"]


CROWDED = """\
import torch
model = torch.nn.Linear(4, 3)
opt = torch.optim.SGD(model.parameters(), lr=0.5)  # optimizer
for x, y in data:
    loss = model(x).sum(); loss.backward()  # backward
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1e-3); opt.step()  # step
"""


@pytest.mark.parametrize(
    "change",
    [
        Change.of("unclip"),
        Change.of("zero-gradients"),
        Change.of("clip-gradients", norm=1.0),
        Change.of("skip-non-finite"),
    ],
)
def test_a_line_of_several_statements_is_left_as_it_is(lines, change):
    where, told = lines(CROWDED, change)
    assert where.startswith("train.py:")
    assert told == []


ACCUMULATED = MODULE.replace("    opt.step()", "    if step % 4 == 3:\n        opt.step()")


def test_gradients_that_add_up_over_several_passes_are_cleared_after_the_step(lines, tmp_path):
    _, told = lines(ACCUMULATED, change := Change.of("zero-gradients"))
    assert told == ["+opt.zero_grad()"]
    made = {"optimizer": 5, "backward": 8, "step": 11}
    _, diff, _ = rewritten([change], {k: f"{tmp_path / 'train.py'}:{n}" for k, n in made.items()})
    assert "         opt.step()  # step\n+        opt.zero_grad()\n" in diff


@pytest.mark.parametrize(("extra", "number"), [("", 2), ("scaler.unscale_(opt)\n    ", 1)])
def test_gradients_are_clipped_as_they_are_and_not_as_they_were_scaled(lines, extra, number):
    text = MODULE.replace("opt.step()", f"{extra}scaler.step(opt)")
    _, told = lines(text, Change.of("clip-gradients", norm=1.0))
    unscaled = ["+scaler.unscale_(opt)", "+torch.nn.utils.clip_grad_norm_(model.parameters(), 1)"]
    assert told == unscaled[2 - number :]


def test_a_step_that_makes_its_own_gradients_has_nothing_before_it(lines):
    text = MODULE.replace("opt.step()", "opt.step(closure)")
    assert lines(text, Change.of("clip-gradients", norm=1.0))[1] == []


ANSWERING = """\
import torch
from torch import nn
class Net(nn.Module):
    def __init__(self):
        self.first, self.last = nn.Linear(4, 4), nn.Linear(4, 1)
        self.act = nn.Tanh()
        self.prob = nn.Sigmoid()
    def forward(self, x):
        p = self.prob(self.last(self.act(self.first(x))))
        return p
opt = torch.optim.SGD(net.parameters(), lr=5.0)  # optimizer
"""


def test_an_activation_that_gives_the_models_answer_is_no_hidden_one(lines):
    _, told = lines(ANSWERING, Change.of("rectify"))
    assert told == ["-self.act = nn.Tanh()", "+self.act = nn.ReLU()"]
    assert lines(ANSWERING.replace("nn.Tanh()", "wrap(x=nn.Tanh())"), Change.of("rectify"))[1] == []


@pytest.mark.parametrize(
    "unclear",
    [
        MODULE + "h = torch.tanh(model(x))\n",
        MODULE.replace("nn.Linear(4, 8), nn.ReLU()", "nn.Linear(4, 8), wrap(), nn.ReLU()"),
        MODULE.replace("nn.Linear(4, 8), nn.ReLU()", "nn.LazyLinear(8), nn.ReLU()"),
        MODULE.replace("nn.Linear(4, 8)", "Linear(4, 8)"),
        MODULE.replace("nn.Linear(4, 8)", "nn.Linear(4, next(sizes))"),
        MODULE.replace("nn.Linear(4, 8)", "nn.Linear(*sizes)"),
        MODULE.replace("nn.Linear(4, 8)", "nn.LayerNorm(4), nn.Linear(4, 8)"),
        MODULE + "nn.init.zeros_(model[2].weight)\n",
        MODULE + "a, r, b = nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 1)\n",
        MODULE + "rows = nn.ModuleList([nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 1)])\n",
        MODULE + "net = Block(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 1))\n",
    ],
)
def test_normalisation_is_written_for_all_activations_or_none(lines, unclear):
    assert lines(unclear, Change.of("normalise-batches"))[1] == []


def test_the_answer_is_not_normalised(lines):
    text = MODULE.replace("nn.Softmax(dim=1)", "nn.Sigmoid()").replace(
        "nn.Linear(4, 8)", "nn.Conv2d(4, out_channels=n + 1, kernel_size=3)"
    )
    _, told = lines(text, Change.of("normalise-batches"))
    assert told[1].count("BatchNorm2d(n + 1), nn.ReLU()") == 1
    assert "BatchNorm1d" not in told[1]


def test_a_block_whose_shapes_may_differ_gets_no_skip_connection(lines):
    text = BLOCKS.replace("Block() for _ in range(9)", "Block(8, 16) for _ in range(9)")
    assert lines(text, Change.of("skip-connections"))[1] == []


PROBABLE = """\
import torch
import torch.nn.functional as fn
from torch import nn
class Net(nn.Module):
    def __init__(self):
        self.fc, self.out, self.soft = nn.Linear(4, 4), nn.Linear(4, 3), nn.LogSoftmax(1)
        self.gate = nn.Sigmoid()
    def forward(self, x):
        h = self.out(self.gate(self.fc(x)))
        return fn.softmax(h, dim=1)
opt = torch.optim.SGD(net.parameters(), lr=5.0)  # optimizer
criterion = nn.CrossEntropyLoss()
loss = criterion(net(x), y)
"""


@pytest.mark.parametrize(
    ("old", "new", "wanted"),
    [
        ("", "", ["-return fn.softmax(h, dim=1)", "+return h"]),
        ("fn.softmax(h, dim=1)", "torch.sigmoid(h)", ["-return torch.sigmoid(h)", "+return h"]),
        ("fn.softmax(h, dim=1)", "h.sigmoid()", ["-return h.sigmoid()", "+return h"]),
        (
            "        return fn.softmax(h, dim=1)",
            "        p = fn.softmax(h, 1)\n        return p",
            ["-p = fn.softmax(h, 1)", "+p = h"],
        ),
        (
            "fn.softmax(h, dim=1)",
            "h\n    def predict(self, x):\n        return fn.softmax(self(x), dim=1)",
            [],
        ),
        (
            "return fn.softmax(h, dim=1)",
            "p = fn.softmax(h, 1)\n        return p.log(), p",
            [],
        ),
        ("fn.softmax(h, dim=1)", "self.out(fn.softmax(h, dim=1))", []),
        (
            "fn.softmax(h, dim=1)\n",
            "h\nnet = Net()\nlogits = net(x)\nloss = nn.CrossEntropyLoss()(logits.softmax(1), y)\n",
            [
                "-loss = nn.CrossEntropyLoss()(logits.softmax(1), y)",
                "+loss = nn.CrossEntropyLoss()(logits, y)",
            ],
        ),
        (
            "return fn.softmax(h, dim=1)\n",
            "return h\nprobs = fn.softmax(net(x), 1)\nloss = criterion(probs, y)\n",
            ["-probs = fn.softmax(net(x), 1)", "+probs = net(x)"],
        ),
    ],
)
def test_only_what_the_loss_is_given_is_handed_over_as_scores(lines, old, new, wanted):
    text = PROBABLE.replace(old, new) if old else PROBABLE
    assert sorted(lines(text, Change.of("remove-softmax"))[1]) == sorted(wanted)


def test_a_softmax_that_is_a_part_of_the_model_becomes_nothing(lines):
    text = PROBABLE.replace("nn.LogSoftmax(1)", "1\n        self.soft = nn.Softmax(1)")
    text = text.replace("fn.softmax(h, dim=1)", "self.soft(h)")
    _, told = lines(text, Change.of("remove-softmax"))
    assert told == ["-self.soft = nn.Softmax(1)", "+self.soft = torch.nn.Identity()"]


def test_a_feature_that_hardly_varies_is_not_blown_up_where_it_does(lines):
    _, told = lines(BLOCKS, Change.of("standardise-input"))
    x = torch.randn(100, 4, generator=torch.Generator().manual_seed(0))
    x[:, 0] = 0.0
    x[:, 1] *= 1e-9
    x_test = torch.ones(1, 4)
    names = {"x": x, "x_test": x_test}
    exec("\n".join(line[1:] for line in told), names)  # noqa: S102 - what was just written
    assert names["x"][:, 2:].std(0).tolist() == pytest.approx([1.0, 1.0])
    assert names["x_test"].abs().max() < 10


@pytest.mark.parametrize(
    ("old", "new", "seen", "told"),
    [
        ("", "", {"rate": 5.0, "optimizers": 1}, True),
        ("", "", {"rate": 0.2}, False),  # OneCycleLR sets another one
        ("", "", {"optimizers": 2}, False),
        ("model.parameters(), lr", '[{"params": ps, "lr": 3.0}], lr', {"rate": 5.0}, False),
    ],
)
def test_a_rate_is_written_where_it_is_the_one_that_counts(tmp_path, old, new, seen, told):
    (tmp_path / "train.py").write_text(MODULE.replace(old, new) if old else MODULE)
    made = {"optimizer": f"{tmp_path / 'train.py'}:5"}
    written = rewritten([Change.of("scale-learning-rate", factor=0.1)], made, **seen)
    assert ("+opt" in written[1]) == told
    assert written[0]


def test_the_file_that_a_diff_makes_is_told_too(tmp_path):
    file = tmp_path / "train.py"
    file.write_text(MODULE)
    change = Change.of("scale-learning-rate", factor=0.1)
    patch = rewritten([change], {"optimizer": f"{file}:5"}).patch
    assert patch.file == str(file)
    assert patch.text == MODULE.replace("lr=5.0", "lr=0.5")


EARLY = """\
import torch
from torch import nn
from torch.utils.data import DataLoader
loader = DataLoader(data, batch_size=16)
tests = DataLoader(other, 16, shuffle=False)
model = nn.Linear(4, 3)
opt = torch.optim.SGD(model.parameters(), lr=0.1)  # optimizer
for x, y in loader:
    loss = nn.functional.cross_entropy(model(x), y)
    loss.backward()  # backward
    opt.zero_grad()
    opt.step()  # step
"""


@pytest.mark.parametrize(
    ("old", "new", "name", "wanted"),
    [
        ("", "", "keep-gradients", ["+opt.zero_grad()", "-opt.zero_grad()"]),
        ("    opt.zero_grad()\n", "", "keep-gradients", []),
        ("    opt.zero_grad()\n", "    opt.zero_grad()\n" * 2, "keep-gradients", []),
        (
            "",
            "",
            "shuffle-data",
            [
                "-loader = DataLoader(data, batch_size=16)",
                "+loader = DataLoader(data, batch_size=16, shuffle=True)",
            ],
        ),
        (
            "batch_size=16)",
            "shuffle=False)",
            "shuffle-data",
            [
                "-loader = DataLoader(data, shuffle=False)",
                "+loader = DataLoader(data, shuffle=True)",
            ],
        ),
        ("batch_size=16)", "sampler=mine)", "shuffle-data", []),
        ("batch_size=16)", "**options)", "shuffle-data", []),
        ("in loader", "in zip(loader, tests)", "shuffle-data", []),  # which one is not known
        ("in loader", "in enumerate(batches)", "shuffle-data", []),
    ],
)
def test_gradients_are_cleared_before_and_the_trainings_data_shuffled(
    lines, old, new, name, wanted
):
    _, told = lines(EARLY.replace(old, new, 1) if old else EARLY, Change.of(name))
    assert told == wanted


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("(a - b).pow(2).sum(-1) ** 0.5", "(a - b).pow(2).sum(-1).clamp_min(1e-07) ** 0.5"),
        ("randn(9, 9) / 9 ** 0.5", None),  # a number
        ("a.sum(-1) ** 2", None),
        ("sum(a) ** 0.5", None),  # who knows of what
    ],
)
def test_a_root_that_is_a_power_is_guarded_where_it_is_surely_one_of_a_tensor(lines, old, new):
    _, told = lines(MODULE + f"d = {old}\n", Change.of("guard-functions", least=1e-7))
    assert told == ([] if new is None else [f"-d = {old}", f"+d = {new}"])
