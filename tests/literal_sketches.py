"""Sketches run literally, loop by loop and layer by layer, in plain torch; and random ones to try it on."""

from __future__ import annotations

import random
from typing import Any

import torch
from reference_networks import PlainMLP, incoming
from torch import Tensor

HIDDEN, DEPTH = 4, 2


def random_sketch(rng: random.Random) -> dict[str, Any]:
    """A sketch of a dozen layers at most: loops one after the other and one in the other, earlier values read."""
    width = {"mlp": True}
    layers: dict[str, Any] = {
        "input": {"type": "node", **width},
        "edges": {"type": "edge", **width},
        "score": {"type": "edge", "convolution": "end_concatenation", **width},
    }
    nodes, edges = ["input"], ["edges"]
    for number in range(rng.randint(1, 4)):
        if rng.random() < 0.4:
            name = f"edge{number}"
            features = rng.sample(edges, rng.randint(0, min(2, len(edges))))
            layers[name] = {"type": "edge", "convolution": "end_concatenation", "features": features, **width}
            layers[name] |= {"pooling": rng.choice(["agg", "mean", "max"])} if rng.random() < 0.5 else {}
            edges.append(name)
        else:
            name = f"node{number}"
            layers[name] = _node_layer(rng, nodes, edges)
            nodes.append(name)
    body = [name for name in layers if name not in ("input", "edges")]
    if rng.random() < 0.3:
        body.append("join")
        layers["join"] = {"type": "node", "convolution": "shortcut_concatenation"}
    loops: dict[str, Any] = {}
    pipeline = ["input", "edges", *rng.sample(body, rng.randint(0, len(body)))]
    for number in range(rng.randint(1, 2)):
        inner = [rng.choice(body) for _ in range(rng.randint(1, 5))]
        if loops and rng.random() < 0.2:
            inner.insert(rng.randint(0, len(inner)), "loop0")
        loops[f"loop{number}"] = {"pipeline": inner, "iterations": rng.randint(1, 3)}
        pipeline += [f"loop{number}", *rng.sample(body, rng.randint(0, 2))]
    pipeline.append("score")
    used = {name for names in (pipeline, *(loop["pipeline"] for loop in loops.values())) for name in names}
    return {
        "pipeline": pipeline,
        "architecture": {name: layer for name, layer in layers.items() if name in used},
        "loops": loops,
        "hyperparameters": {"hidden": HIDDEN, "depth": DEPTH, "activation": "tanh"},
    }


def _node_layer(rng: random.Random, nodes: list[str], edges: list[str]) -> dict[str, Any]:
    convolution = rng.choice(
        [
            {"attention": "score"},
            {"agg": rng.choice(edges)},
            {rng.choice(["sum", "mean", "max"]): rng.choice(edges)},
            {"shortcut_concatenation": rng.choice(["hits", *nodes])},
            {"shortcut_addition": rng.choice(nodes)},
        ]
    )
    plain = "shortcut_addition" in convolution and rng.random() < 0.7
    features = rng.sample(nodes, 1) if rng.random() < 0.2 and not plain else []
    return {"type": "node", "convolution": convolution, "mlp": not plain, "features": features}


class Literal:
    """What a sketch says, done as it stands: no joined steps, no heads.

    Parameters
    ----------
    content
        The sketch.
    weights
        The state dict of the compiled model, whose keys begin with the layers' names.
    """

    def __init__(self, content: dict[str, Any], weights: dict[str, Tensor]) -> None:
        self.content, self.layers, self.weights = content, content["architecture"], weights

    def __call__(self, data: Any) -> Tensor:
        """The target: [E]."""
        self.src, self.dst = data.edge_index
        self.values = {"hits": data.x, "node": data.x, "doublet": data.edge_attr, "edge": data.edge_attr}
        self.runs = 0
        self._run(self.content["pipeline"])
        return self.values["score"].squeeze(1)

    def _run(self, names: list[str]) -> None:
        for name in names:
            loop = self.content["loops"].get(name)
            if loop is None:
                result = self._layer(name, self.layers[name])
                self.values[name] = self.values[self.layers[name]["type"]] = result
                self.runs += 1
            for _ in range(loop["iterations"] if loop else 0):
                self._run(loop["pipeline"])

    def _layer(self, name: str, layer: dict[str, Any]) -> Tensor:
        convolution = layer.get("convolution")
        method, of = next(iter(convolution.items())) if isinstance(convolution, dict) else (convolution, None)
        own = self.values[layer["type"]]
        beside = [self.values[feature] for feature in layer.get("features", [])]
        last = {} if name == "score" else {"last": "tanh"}
        wide = 1 if name == "score" else HIDDEN
        if method == "end_concatenation":
            node = self.values["node"]
            parts = [node[self.src], node[self.dst], *beside]
        elif method == "attention":
            share = torch.sigmoid(self.values[of])
            own = torch.cat([own, *beside], 1)
            parts = [*self._both(share * own[self.src], share * own[self.dst], "sum"), own]
        elif method == "shortcut_concatenation":
            parts = [own, self.values[of or "hits"], *beside]
        elif method == "shortcut_addition":
            parts = [own + self.values[of], *beside]
        elif method is None:
            return self._perceptron(name, [own], [wide], last)
        else:
            reduce = self.layers[of].get("pooling", "agg") if method == "agg" else method
            parts = [own, *self._both(self.values[of], self.values[of], reduce), *beside]
        if not layer.get("mlp"):
            return torch.cat(parts, 1)
        return self._perceptron(name, parts, [HIDDEN] * (DEPTH - 1) + [wide], last)

    def _both(self, arriving: Tensor, leaving: Tensor, reduce: str) -> list[Tensor]:
        return [self._gather(arriving, self.dst, reduce), self._gather(leaving, self.src, reduce)]

    def _gather(self, values: Tensor, index: Tensor, reduce: str) -> Tensor:
        nodes = len(self.values["hits"])
        if reduce in ("sum", "agg"):
            return incoming(values, index, nodes)
        empty = torch.zeros(nodes, values.shape[1], dtype=values.dtype)
        spread = index.unsqueeze(1).expand_as(values)
        return empty.scatter_reduce(0, spread, values, {"mean": "mean", "max": "amax"}[reduce], include_self=False)

    def _perceptron(self, name: str, parts: list[Tensor], widths: list[int], last: dict[str, str]) -> Tensor:
        joined = torch.cat(parts, 1)
        mlp = PlainMLP(joined.shape[1], *widths, activation="tanh", **last).to(joined.dtype)
        own = {k[len(name) + 1 :]: v for k, v in self.weights.items() if k.startswith(f"{name}.")}
        if own:  # else the target doesn't depend on it, and any weights do
            mlp.load_state_dict(own)
        return mlp(joined)
