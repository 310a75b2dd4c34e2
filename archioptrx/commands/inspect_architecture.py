"""One architecture in `archioptrx inspect FILE`: the network, its identity, its size. No data, no search."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from archioptrx.core.config import ARCHITECTURES, bundled, bundled_names, finish
from archioptrx.core.errors import GraphError, InputError, did_you_mean
from archioptrx.graphs.architecture import Architecture
from archioptrx.graphs.computation_graph import ComputationGraph
from archioptrx.graphs.drawing.network import draw_architecture
from archioptrx.graphs.parameter_count import count_parameters
from archioptrx.runs.text import hyperparameters_text
from archioptrx.search.space import load_architecture

USUAL_WIDTHS = {"x": 3, "pos": 3, "edge_attr": 5}
"""Channels of the fields of usual hit graphs: r, φ, z; x, y, z; Δr, Δφ, Δz, Δφ/Δr, z0."""
OF_RUNS = ("fingerprint", "functions", "effects", "html")
"""Options of `inspect` that are for runs alone."""


def is_architecture(path: Path) -> bool:
    """Whether a path of `inspect` is an architecture (a file, a model folder or a bundled name), and no run."""
    if path.is_dir():
        return (path / "weights.pt").is_file() and (path / "architecture.yaml").is_file()
    return path.is_file() or (str(path) == path.name and path.stem in bundled_names(ARCHITECTURES))


def show_architecture(args: argparse.Namespace) -> int:
    """Print one architecture file, sketch, model folder or bundled architecture."""
    name = args.run_folder
    misplaced = [option for option in OF_RUNS if getattr(args, option, None)]
    finish([f"--{option}: is for a search; allowed: a run in place of {name}" for option in misplaced])
    path = bundled(ARCHITECTURES, name)
    architecture = load_architecture(path)
    title = architecture.name or path.stem
    content = document(architecture, title)
    if args.draw:
        usual = {name: width for name, width in source_widths(architecture.graph).items() if width is not None}
        drawn = draw_architecture(architecture.graph, args.draw, title, usual, architecture.hyperparameters, title)
        content |= {"drawings": [str(file) for file in drawn]}
    if args.json:
        print(json.dumps(content, indent=1, ensure_ascii=False))
        return 0
    print(as_text(content))
    for file in content.get("drawings", ()):
        print(f"drawn: {file}")
    return 0


def check_exists(path: Path) -> None:
    """Raise InputError where a name is neither a path nor a bundled architecture."""
    if not path.exists() and str(path) == path.name:
        near = did_you_mean(path.stem, bundled_names(ARCHITECTURES))
        raise InputError(f"{path}: is no folder or file here, and no bundled architecture; {near}, or a path")


def document(architecture: Architecture, title: str) -> dict[str, Any]:
    """Content of the report on an architecture, for JSON."""
    graph = architecture.graph
    return {
        "name": title,
        "about": architecture.about,
        "fingerprint": graph.fingerprint,
        "text": str(graph),
        "hyperparameters": dict(architecture.hyperparameters),
        "steps": len(graph.steps),
        "executed": graph.executed,
        "rounds": graph.rounds,
        "widths": source_widths(graph),
        "parameters": parameters_of(architecture),
    }


def as_text(content: Mapping[str, Any]) -> str:
    """Report on an architecture as text."""
    hyperparameters = hyperparameters_text(content["hyperparameters"])
    lines = [content["name"] + (f": {content['about']}" if content["about"] else ""), "", content["text"], ""]
    lines += [f"fingerprint      {content['fingerprint']}", f"hyperparameters  {hyperparameters}"]
    steps = f"{content['steps']}, executed {content['executed']}, message-passing rounds {content['rounds']}"
    lines += [f"steps            {steps}", f"parameters       {_size(content['parameters'], content['widths'])}"]
    return "\n".join(lines)


def _size(parameters: int | None, widths: Mapping[str, int | None]) -> str:
    if parameters is None:
        unknown = ", ".join(name for name, width in widths.items() if width is None)
        return f"depend on the data (channels of {unknown})"
    return f"{parameters:,} ({', '.join(f'{width} channels of {name}' for name, width in widths.items())})"


def source_widths(graph: ComputationGraph) -> dict[str, int | None]:
    """Channels of each source as usual data has them; None where there is no usual one."""
    return {name: USUAL_WIDTHS.get(str(graph.type[name].field)) for name in graph.sources}


def parameters_of(architecture: Architecture) -> int | None:
    """Number of parameters for usual data and one output channel; None where a source has no usual width.

    Raises
    ------
    InputError
        The network can't be built (as where a class of torch_geometric.nn doesn't take its arguments).
    """
    graph, hyperparameters = architecture.graph, architecture.hyperparameters
    widths = {name: width for name, width in source_widths(graph).items() if width is not None}
    if len(widths) < len(graph.sources):
        return None
    counted = count_parameters(graph, hyperparameters, widths)
    if counted is not None:
        return counted
    # Some blocks' sizes are known to torch alone, which takes seconds to load.
    from archioptrx.networks.compile import compile_model

    try:
        model = compile_model(graph, hyperparameters, widths)
    except GraphError as error:
        raise InputError(*(fault.splitlines()[0] for fault in error.faults)) from error
    return sum(parameter.numel() for parameter in model.parameters())
