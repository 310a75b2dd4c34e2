"""`pool` and `unpool`: hits to the nodes of a smaller graph, and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from archioptrx.graphs.signatures.domains import POOLED, Accepts, Domains, Shape, same_width, wrong_number
from archioptrx.graphs.signatures.parameter import Parameter
from archioptrx.graphs.signatures.signature import Signature, keeps
from archioptrx.graphs.source.step import Expression, LayerSource, SourceStep
from archioptrx.graphs.source.text import call


def _between(inner: str, outer: str) -> Accepts:
    def accepts(domains: Domains, output: str) -> str | None:
        if fault := wrong_number(domains, 1, f"{inner} values"):
            return fault
        return None if (domains[0], output) == (inner, outer) else f"leads from {inner} to {outer} values only"

    return accepts


def _irrelevant(parameters: Mapping[str, Any]) -> set[str]:
    return {"ratio", "clusters"} - {"topk": {"ratio"}, "diff": {"clusters"}}.get(parameters["method"], set())


def _count(inputs: Sequence[Shape], output: Shape, parameters: Mapping[str, Any]) -> int:
    width = output.width
    counts = {"topk": width, "edge": 2 * width + 1, "diff": (width + 1) * parameters.get("clusters", 0)}
    return int(counts[parameters["method"]])


def _pool_source(step: SourceStep) -> LayerSource:
    width, method = step.output.width, step.parameters["method"]
    arguments = (*step.codes, "edge_index")
    if method == "topk":
        maker, keys = call("TopKPooling", f"{width}", f"{float(step.parameters['ratio'])!r}"), {"layer.select.": ""}
    elif method == "edge":
        maker, keys = call("EdgePooling", f"{width}"), {"layer.lin.": "layer."}
    else:
        maker, keys = call("DiffPooling", f"{width}", f"{step.parameters['clusters']}"), {"layer.": "layer."}
    return LayerSource(maker, arguments, keys, doubtful=method)


def _unpool_source(step: SourceStep) -> Expression:
    return Expression(call("unpooled", *step.codes, step.pooling))


BLOCKS = {"pooling": (
    Signature(
        "pool", _between("node", POOLED), same_width,
        (
            Parameter("method", (str,), "topk", ("topk", "edge", "diff")),
            Parameter("ratio", (float,), 0.5, minimum=0.01, below=1),
            Parameter("clusters", (int,), 16, minimum=1),
        ),
        changes_nodes=True, irrelevant=_irrelevant, count=_count, reads=keeps, source=_pool_source,
    ),
    Signature(
        "unpool", _between(POOLED, "node"), same_width, has_weights=False, changes_nodes=True, reads=keeps,
        source=_unpool_source,
    ),
)}  # fmt: skip
"""By the file of `archioptrx.networks.blocks` that implements them."""
