"""One rank of a training: ranks.py WAY RANK WORLD PORT FOLDER [watched|plain|killed].

Leaves in FOLDER what the test asks for: the gathered full tensors of every step, the weights in
the end, and how many calls of torch.distributed there were.
"""

import os
import pickle
import signal
import sys
from contextlib import nullcontext
from datetime import timedelta
from pathlib import Path

import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.fsdp import fully_shard
from torch.nn.parallel import DistributedDataParallel

import gainstage as gs

STEPS = 3
CALLS = (
    "all_gather_into_tensor", "all_gather_object", "all_gather", "all_reduce", "barrier",
    "broadcast", "gather", "reduce", "reduce_scatter_tensor", "scatter", "send", "recv",
)  # fmt: skip


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(6, 10), nn.ReLU(), nn.Linear(10, 3))

    def forward(self, x):
        return self.layers(x)


def build(way, world):
    torch.manual_seed(0)
    model = Net()
    if way == "ddp":
        return DistributedDataParallel(model)
    if way == "hsdp":
        mesh = dist.init_device_mesh("cpu", (2, world // 2), mesh_dim_names=("copies", "shards"))
        return fully_shard(model, mesh=mesh)
    for layer in (model.layers[0], model.layers[2]):
        fully_shard(layer)
    return fully_shard(model)


def full(tensor):
    """The whole of a parameter: what the product must never ask for."""
    return (tensor.full_tensor() if hasattr(tensor, "full_tensor") else tensor).detach().clone()


def listen(model, seen):
    """Note what the stages put out and which gradient comes back, before anybody can change it."""
    plain = getattr(model, "module", model)

    def hook(module, inputs, output, name):
        seen[name, "output"] = output.detach().clone()
        output.register_hook(lambda grad: seen.update({(name, "output_grad"): grad.clone()}))

    for index, layer in enumerate(plain.layers):
        name = f"layers.{index}"
        layer.register_forward_hook(lambda m, i, o, name=name: hook(m, i, o, name))


def train(model, optimizer, rank, world, *, die=False, notes=None):
    seen = {}
    if notes is not None:
        listen(model, seen)
    for step in range(STEPS):
        generator = torch.Generator().manual_seed(100 * step + rank)
        x = torch.randn(4 + rank, 6, generator=generator)
        optimizer.zero_grad()
        loss = model(x).square().mean()
        if die and rank == 1 and step == 2:
            os.kill(os.getpid(), signal.SIGKILL)
        loss.backward()
        before = {n: full(p) for n, p in model.named_parameters()} if notes is not None else {}
        grads = {n: full(p.grad) for n, p in model.named_parameters()} if notes is not None else {}
        optimizer.step()
        if notes is None:
            continue
        everybody = [None] * world
        dist.all_gather_object(everybody, seen)
        note = {key: torch.cat([one[key] for one in everybody]) for key in seen}
        for name, parameter in model.named_parameters():
            plain = name.removeprefix("module.")
            note[plain, "weight"], note[plain, "grad"] = before[name], grads[name]
            note[plain, "update"] = full(parameter) - before[name]
        losses = [None] * world
        dist.all_gather_object(losses, loss.item())
        notes.append((note, losses))


def count_calls():
    """Count every call of torch.distributed by its public name, and by the backend itself."""
    count = [0]

    def counted(original):
        def call(*args, **kwargs):
            count[0] += 1
            return original(*args, **kwargs)

        return call

    for name in CALLS:
        for home in (dist, dist.distributed_c10d):
            setattr(home, name, counted(getattr(home, name)))
    return count


def backend_calls():
    """How many collectives the backend has seen so far, in all groups."""
    return sum(
        group._get_sequence_number_for_group() for group in dist.distributed_c10d._world.pg_map
    )


def main():
    way, rank, world, port, folder, how = sys.argv[1:7]
    rank, world, folder = int(rank), int(world), Path(folder)
    torch.set_num_threads(1)
    dist.init_process_group(
        "gloo",
        f"tcp://127.0.0.1:{port}",
        rank=rank,
        world_size=world,
        timeout=timedelta(seconds=60),
    )
    if how == "killed":
        model = build(way, world)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        with gs.watch(model, optimizer, dir=folder / "runs", detail="exact"):
            train(model, optimizer, rank, world, die=True)
    notes, found = [], {}
    model = build(way, world)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    with gs.watch(model, optimizer, dir=folder / "runs", detail="exact"):
        train(model, optimizer, rank, world, notes=notes)
    count = count_calls()
    for name, watched in (("watched", True), ("plain", False)):
        model = build(way, world)
        optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
        count[0], start = 0, backend_calls()
        watch = gs.watch(model, optimizer, dir=folder / "more") if watched else nullcontext()
        with watch:
            train(model, optimizer, rank, world)
        calls = count[0], backend_calls() - start
        weights = [full(p).numpy().tobytes() for p in model.parameters()]
        state = [full(s["exp_avg_sq"]).numpy().tobytes() for s in optimizer.state.values()]
        found[name] = calls, weights, state, torch.get_rng_state().numpy().tobytes()
    count[0], start = 0, backend_calls()
    dist.all_reduce(torch.ones(1))
    found["control"] = count[0], backend_calls() - start
    (folder / f"rank{rank}.pickle").write_bytes(pickle.dumps((notes, found)))
    dist.barrier()
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
