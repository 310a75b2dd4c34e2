"""Time of one training step against the same network in ordinary PyG form: `python benchmarks/step.py --help`.

Both forms get the same weights, batches (edges sorted by destination), number type, threads and optimizer. Their
outputs and gradients are compared first. Repetitions take turns, so that other work of the machine slows both;
ratios are medians over the repetitions of one run.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from networks import NETWORKS
from torch import Tensor, nn

from archioptrx.data.hitgraph import HitGraph, batch_graphs, sorted_graph
from archioptrx.data.sources import load_dataset
from archioptrx.networks.compile import compile_model


def random_graph(nodes: int, edges: int, seed: int) -> HitGraph:
    """A random graph of the size of a real one, each edge to a hit of a near number."""
    generator = torch.Generator().manual_seed(seed)
    start = torch.randint(0, nodes, (edges,), generator=generator)
    end = (start + torch.randint(1, nodes // 8, (edges,), generator=generator)) % nodes
    content = {
        "x": torch.randn(nodes, 3, generator=generator),
        "edge_index": torch.stack([start, end]),
        "edge_attr": torch.randn(edges, 5, generator=generator),
        "y": torch.randint(0, 2, (edges,), generator=generator).float(),
    }
    return sorted_graph(content, f"random{seed}", 0)


def batches(path: Path | None, size: int, number: int) -> list[HitGraph]:
    """Batches of real graphs, or of random ones of the same size where there are none."""
    if path is not None:
        graphs = load_dataset({"source": "hitgraphs", "path": str(path)}).graphs
    else:
        print("random graphs of 1,150 hits and 4,400 edges; --data PATH takes real ones")
        graphs = [random_graph(1150, 4400, seed) for seed in range(size * number)]
    graphs = (list(graphs) * (1 + size * number // len(graphs)))[: size * number]
    return [batch_graphs(graphs[i : i + size]) for i in range(0, size * number, size)]


def make_step(model: nn.Module, precision: torch.dtype) -> Callable[[Any], Tensor]:
    """One training step, the optimizer's included."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)

    def step(batch: Any) -> Tensor:
        optimizer.zero_grad()
        with torch.autocast(batch.x.device.type, precision, enabled=precision != torch.float32):
            output = model(batch)
        loss = F.binary_cross_entropy_with_logits(output.float(), batch.y)
        loss.backward()
        optimizer.step()
        return loss

    return step


def check_parity(ours: nn.Module, plain: nn.Module, batch: Any, tolerance: float = 1e-4) -> float:
    """Compare outputs and gradients, relative to the largest; SystemExit where they differ."""
    worst = 0.0
    outputs = [model(batch) for model in (ours, plain)]
    for output in outputs:
        output.square().mean().backward()
    pairs = [(outputs[0], outputs[1])]
    pairs += [(p.grad, q.grad) for p, q in zip(ours.parameters(), plain.parameters(), strict=True)]
    for a, b in pairs:
        worst = max(worst, float((a - b).detach().abs().max() / b.detach().abs().max().clamp(min=1e-6)))
    if not worst < tolerance:
        raise SystemExit(f"the two forms differ by {worst:.1e} of the largest value; allowed: {tolerance}")
    return worst


def saved_bytes(model: nn.Module, batch: Any) -> int:
    """Memory that the forward pass keeps for the backward pass, the parameters left out."""
    own = {p.untyped_storage().data_ptr() for p in model.parameters()}
    bytes_of: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            bytes_of[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        output = model(batch)
    del output
    return sum(bytes_of.values())


def pair(name: str, width: int, rounds: int, device: str) -> tuple[nn.Module, nn.Module]:
    """The compiled and the ordinary form with equal weights."""
    make_graph, make_plain = NETWORKS[name]
    ours = compile_model(make_graph(rounds), {"hidden": width}, {"hits": 3, "doublet": 5})
    plain = make_plain(width, rounds, 3, 5)
    plain.load_state_dict(ours.state_dict())
    return ours.to(device), plain.to(device)


def alternate(
    steps: Sequence[Callable[[Any], Tensor]], data: Sequence[Any], repeat: int, wait: Callable[[], None]
) -> list[list[float]]:
    """Seconds of each repetition of each step, by turns."""
    seconds: list[list[float]] = [[] for _ in steps]
    for turn in range(-2, repeat):
        for place, step in enumerate(steps):
            wait()
            begin = time.perf_counter()
            step(data[turn % len(data)])
            wait()
            if turn >= 0:
                seconds[place].append(time.perf_counter() - begin)
    return seconds


def report(arguments: argparse.Namespace, device: str, precision: torch.dtype, wait: Callable[[], None]) -> None:
    """Measure each network and print one line for it."""
    data = [b.to(device) for b in batches(arguments.data, arguments.batch, arguments.batches)]
    hits, edges = (statistics.mean(values) for values in ([len(b.x) for b in data], [b.num_edges for b in data]))
    print(f"{len(data)} batches of {arguments.batch} graphs: {hits:,.0f} hits, {edges:,.0f} edges on average")
    threads = f"{torch.get_num_threads()} threads"
    print(f"width {arguments.width}, {arguments.rounds} rounds, {device}, {precision}, {threads}")
    for name in NETWORKS:
        torch.manual_seed(0)
        ours, plain = pair(name, arguments.width, arguments.rounds, device)
        worst = check_parity(ours, plain, data[0])
        memory = [saved_bytes(model, data[0]) / 2**20 for model in (ours, plain)]
        steps = [make_step(model, precision) for model in (ours, plain)]
        seconds = alternate(steps, data, arguments.repeat, wait)
        fast, slow = (1e3 * statistics.median(times) for times in seconds)
        ratio = statistics.median(b / a for a, b in zip(*seconds, strict=True))
        print(
            f"{name}: compiled {fast:.1f} ms, PyG form {slow:.1f} ms, {ratio:.2f} times as fast; kept for backward "
            f"{memory[0]:.0f} MiB, PyG form {memory[1]:.0f} MiB; same to {worst:.0e}"
        )


def parse(description: str | None) -> argparse.Namespace:
    """The options of both benchmarks."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, metavar="PATH", help="HEP.TrkX .npz files (default: random graphs)")
    parser.add_argument("--batch", type=int, default=8, help="graphs per batch")
    parser.add_argument("--batches", type=int, default=5, help="different batches, used in turn")
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--repeat", type=int, default=15)
    parser.add_argument("--threads", type=int, default=1)
    return parser.parse_args()


if __name__ == "__main__":
    options = parse(__doc__)
    torch.set_num_threads(options.threads)
    report(options, "cpu", torch.float32, lambda: None)
