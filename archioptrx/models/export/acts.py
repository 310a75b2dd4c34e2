"""Writing of an export for the GNN plugin of Acts: a network that it loads unchanged, and the settings for it.

Acts (github.com/acts-project/acts, Plugins/Gnn) gives inputs by their place, in single precision, with node features
divided by `featureScales`, takes one output, and applies the sigmoid itself. Its graph builders read r, φ, z and η in
the first four columns; those that make edge features make the six of `form.EDGE_FEATURES` of scaled hits.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from archioptrx.core.errors import InputError
from archioptrx.core.files import write_atomically
from archioptrx.models.export import EXPORTERS
from archioptrx.models.export.edge_scores import check_edge_scores, onnx_logits, scale_of, script_logits
from archioptrx.models.export.form import EDGE_FEATURES, Scaled, single
from archioptrx.models.export.trained import Take

FIRST = ("R", "Phi", "Z", "Eta")
"""Node features that graph builders of Acts read in the first columns."""
DIRECTIONS = (("local", "Loc"), ("length", "Length"))
NODE_FEATURES = (
    {"r": "R", "φ": "Phi", "z": "Z", "η": "Eta", "eta": "Eta", "x": "X", "y": "Y"}
    | {"cells": "CellCount", "charge": "ChargeSum"}
    | {
        f"cluster_{axis}_{number}": f"Cluster{number}{axis.capitalize()}"
        for number in (1, 2)
        for axis in ("x", "y", "z", "r", "phi", "eta")
    }
    | {
        f"{name}_{number}": f"{feature}{number}"
        for number in (1, 2)
        for name, feature in (
            ("count", "CellCount"),
            ("loc_eta", "LocEta"),
            ("loc_phi", "LocPhi"),
            ("glob_eta", "GlobEta"),
            ("glob_phi", "GlobPhi"),
            ("eta_angle", "EtaAngle"),
            ("phi_angle", "PhiAngle"),
            *((f"{kind}Dir{axis}", f"{short}Dir{axis}") for axis in "012" for kind, short in DIRECTIONS),
        )
    }
)
"""Name in Acts (`NodeFeature`) of each column of hits that it has, under acorn's names where it has them from there."""
NAMES = {name: name for name in ("x", "edge_index", "edge_attr", "output")}


@EXPORTERS.registering("acts")
def export_acts(take: Take, path: Path) -> str:
    """Write ONNX or TorchScript for Acts' GNN plugin, and its settings for `addGnn`."""
    check_edge_scores(take, "acts")
    names = node_features(take.trained.metadata.node_features)
    form = _form(take, names)
    scaled = take.in_form(form)
    if path.suffix == ".onnx":
        content, error = onnx_logits(scaled, form, NAMES, True, "acts")
    else:
        content, error = script_logits(scaled, form, True, "acts")
    settings = _settings(scaled, path, names, _scales(take, names))
    texts = {".json": json.dumps(settings, indent=2, ensure_ascii=False) + "\n", ".py": snippet(settings)}
    for suffix, text in texts.items():
        write_atomically(path.with_suffix(suffix), text.encode())
    write_atomically(path, content)
    inputs = ", ".join(f"{item['name']} {item['shape']}" for item in settings["inputs"])
    files = f"{path}, {path.with_suffix('.py').name} and {path.with_suffix('.json').name}"
    return (
        f"{files}: {inputs} -> output [E, 1], a logit\n"
        f"node features {', '.join(names)}\ndiffers from the model by {error:.1e} at most, on random graphs"
    )


def node_features(columns: Sequence[str]) -> list[str]:
    """Node features that Acts has to make for columns of hits: the four of its graph builders, then the others.

    Raises
    ------
    InputError
        Acts has no such feature, or two columns are the same one.

    >>> node_features(["r", "φ", "z", "cells"])
    ['R', 'Phi', 'Z', 'Eta', 'CellCount']
    """
    unknown = [name for name in columns if name not in NODE_FEATURES]
    if unknown:
        raise InputError(
            f"--format acts: Acts can't make {', '.join(unknown)} of hits; allowed: {', '.join(NODE_FEATURES)}"
        )
    names = [NODE_FEATURES[name] for name in columns]
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise InputError(f"--format acts: {', '.join(sorted(twice))} stands twice in the hits; allowed: once")
    return [*FIRST, *(name for name in names if name not in FIRST)]


def _form(take: Take, names: Sequence[str]) -> Scaled:
    columns, scales = take.trained.metadata.node_features, _scales(take, names)
    places = tuple(names.index(NODE_FEATURES[name]) for name in columns)
    return Scaled(places, tuple(scales[place] for place in places), edges=True)


def _scales(take: Take, names: Sequence[str]) -> list[float]:
    """`featureScales`, in single precision as Acts has them."""
    metadata = take.trained.metadata
    known = {
        NODE_FEATURES[name]: single(scale_of(name, scale))
        for name, scale in zip(metadata.node_features, metadata.node_scale, strict=True)
    }
    return [known.get(name, 1.0) for name in names]  # η, where the model doesn't read it


def _settings(take: Take, path: Path, names: list[str], scales: list[float]) -> dict[str, Any]:
    """Settings that a configuration of Acts holds, and facts of the model."""
    shapes = {"x": ("float32", f"[N, {len(names)}]"), "edge_index": ("int64", "[2, E]")}
    shapes["edge_attr"] = ("float32", f"[E, {len(EDGE_FEATURES)}]")
    reads_edges = "edge_attr" in take.program.arguments
    return {
        "model": path.name,
        "nodeFeatures": names,
        "featureScales": scales,
        "edgeFeatures": list(EDGE_FEATURES) if reads_edges else [],
        "cut": take.cut,
        "inputs": [{"name": n, "type": shapes[n][0], "shape": shapes[n][1]} for n in take.program.arguments],
        "output": {"name": "output", "type": "float32", "shape": "[E, 1]", "meaning": "logit"},
        "facts": take.facts,
    }


def snippet(settings: dict[str, Any]) -> str:
    """The settings as Python, for Acts' `addGnn`."""
    onnx = settings["model"].endswith(".onnx")
    stage = "OnnxEdgeClassifier" if onnx else "TorchEdgeClassifier"
    options = [("cut", "cut")]
    if not onnx:  # the network sums over all edges of a hit: no part of them alone, none twice
        options += [("useEdgeFeatures", str(bool(settings["edgeFeatures"]))), ("undirected", "False"), ("nChunks", "1")]
    needs = f"\n\nThe graph builder has to make edge features: {', '.join(EDGE_FEATURES)}, of scaled hits."
    rows = [
        f'"""Settings of Acts\' addGnn for {settings["model"]}: nodeFeatures, featureScales and the edge classifier.',
        "",
        f"    from acts.examples.gnn import {stage}",
        f"    edgeClassifiers = [{stage}(level=acts.logging.INFO, **edgeClassifier)]",
        "    addGnn(s, graphConstructor, edgeClassifiers, trackBuilder, nodeFeatures, featureScales)",
        *(needs.split("\n")[1:] if settings["edgeFeatures"] else []),
        '"""',
        "",
        "from pathlib import Path",
        "",
        "from acts.examples.gnn import NodeFeature  # in older versions: acts.examples",
        "",
        f"nodeFeatures = [NodeFeature.{', NodeFeature.'.join(settings['nodeFeatures'])}]",
        f"featureScales = {settings['featureScales']}",
        f"cut = {settings['cut']}",
        "edgeClassifier = {",
        f'    "modelPath": str(Path(__file__).with_name("{settings["model"]}")),',
        *(f'    "{name}": {value},' for name, value in options),
        "}",
    ]
    return "\n".join(rows) + "\n"
