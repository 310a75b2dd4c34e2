"""CPU time of a model's exports beside its own, in one thread, by turns: `python benchmarks/exports.py MODEL`."""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch

from archioptrx.models.export.files import written
from archioptrx.models.export.onnx_file import write_onnx
from archioptrx.models.export.trained import Take
from archioptrx.models.inference import transform
from archioptrx.models.model_folder import load_model, model_folder


def forms(take: Take, folder: Path, edges: int) -> Mapping[str, Callable[[], Any]]:
    """Functions that compute the logits of one random event, by name: the model, exported Python and ONNX."""
    random, hits = np.random.default_rng(0), edges // 5
    columns = len(take.trained.metadata.node_features)
    low, high = (
        np.array([30.0, -np.pi, -800.0, *[0.0] * (columns - 3)]),
        np.array([1000.0, np.pi, 800.0, *[1.0] * (columns - 3)]),
    )
    nodes, index = random.uniform(low, high, (hits, columns)), random.integers(0, hits, (2, edges))
    graph, event = transform(nodes, index, take.trained.metadata), (torch.tensor(nodes), torch.tensor(index))
    code = written(take, folder / "code.py").load()
    write_onnx(take, folder / "model.onnx")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(folder / "model.onnx", options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs() if output.name.endswith("_logit")]
    feed = {"hits": nodes, "edge_index": index}
    return {
        "model": lambda: take.trained.model(graph),
        "python": lambda: code.logits(*event),
        "onnx": lambda: session.run(names, feed),
    }


def times(functions: Mapping[str, Callable[[], Any]], rounds: int) -> dict[str, float]:
    """Median CPU time of each function in ms; all of them in each round, so that a busy machine disturbs them alike."""
    measured: dict[str, list[float]] = {name: [] for name in functions}
    for place in range(rounds + 1):
        for name, function in functions.items():
            start = time.process_time()
            function()
            if place:  # the first round warms up
                measured[name].append(1e3 * (time.process_time() - start))
    return {name: float(np.median(values)) for name, values in measured.items()}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", metavar="MODEL", nargs="+")
    parser.add_argument("--edges", type=int, default=50_000)
    parser.add_argument("--rounds", type=int, default=15)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    for model in arguments.models:
        take = Take.of(load_model(model), model_folder(model), 0.5)
        with tempfile.TemporaryDirectory() as folder, torch.no_grad():
            found = times(forms(take, Path(folder), arguments.edges), arguments.rounds)
        text = ", ".join(f"{name} {value:.0f} ms" for name, value in found.items())
        print(f"{model}: {text}; onnx/python {found['onnx'] / found['python']:.2f}")
