"""Tables and plots of the comparison on NAS-Bench-Graph."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

PUBLISHED = {
    "cora": 82.27, "citeseer": 70.89, "pubmed": 77.96, "cs": 91.04, "physics": 92.44, "photo": 92.44,
    "computers": 84.90, "arxiv": 72.13, "proteins": 78.71,
}  # fmt: skip
"""Best of five published methods with 500 evaluations (proteins: 40), protocol A."""

STRONG = {
    "simple evolution, 200": (82.16, 70.90, 77.96, 91.00, 92.65, 92.49, 85.09, 72.23),
    "simple GP, 200": (82.15, 71.12, 78.09, 91.18, 92.76, 92.51, 85.16, 72.33),
}
"""Strong simple methods with 200 evaluations, protocol A, in the order of PUBLISHED without proteins."""


def format_table(document: Mapping[str, Any]) -> str:
    """Means at the stops, one line for each sampler and stop; in protocol A with published numbers."""
    results = document["results"]
    names = list(next(iter(results.values())))
    heading = "share of the hypervolume" if document["protocol"] == "pareto" else "test accuracy"
    seeds = document["seeds"]
    options = "".join(f", {name}={value}" for name, value in document.get("options", {}).items())
    lines = [f"protocol {document['protocol']}, seeds {seeds[0]} to {seeds[-1]}{options}: mean {heading} in per cent"]
    lines.append(f"{'':28}" + "".join(f"{name:>11}" for name in names))
    for sampler, inner in results.items():
        for stop in next(iter(inner.values()))["mean"]:
            lines.append(f"{sampler + ', ' + stop:28}" + _cells(inner, names, stop) + _verdict(document, inner, stop))
        errors = "".join(f"{inner[name]['error'][stop]:11.2f}" for name in names)
        lines.append(f"{'  standard error':28}{errors}")
    if document["protocol"] == "A":
        lines.append(f"{'published best, 500':28}" + "".join(f"{PUBLISHED[name]:11.2f}" for name in names))
        for title, row in STRONG.items():
            known = dict(zip(PUBLISHED, row, strict=False))
            lines.append(f"{title:28}" + "".join(f"{known[n]:11.2f}" if n in known else f"{'':11}" for n in names))
    return "\n".join(lines)


def _cells(inner: Mapping[str, Any], names: Sequence[str], stop: str) -> str:
    return "".join(f"{inner[name]['mean'][stop]:11.2f}" for name in names)


def _verdict(document: Mapping[str, Any], inner: Mapping[str, Any], stop: str) -> str:
    """Data sets with the published best beaten, without proteins, and ranks among the strong methods, as text."""
    eight = [name for name in PUBLISHED if name != "proteins"]
    if document["protocol"] != "A" or not set(eight) <= set(inner):
        return ""
    means = [inner[name]["mean"][stop] for name in eight]
    beaten = sum(mean > PUBLISHED[name] for mean, name in zip(means, eight, strict=True))
    ranks = [average_rank(means, list(STRONG.values()))] + [
        average_rank(row, [means, *(other for other in STRONG.values() if other is not row)]) for row in STRONG.values()
    ]
    return f"   beats published on {beaten} of 8; ranks {' '.join(f'{rank:.2f}' for rank in ranks)}"


def average_rank(row: Sequence[float], others: Sequence[Sequence[float]]) -> float:
    """Mean over columns of the rank of a row, to two digits; equal ones share the mean rank.

    >>> average_rank([1.0, 2.0], [[0.0, 3.0], [1.0, 1.0]])
    1.75
    """
    ranks = []
    for column, value in enumerate(row):
        rest = [round(other[column], 2) for other in others]
        own = round(value, 2)
        ranks.append(1 + sum(x > own for x in rest) + sum(x == own for x in rest) / 2)
    return statistics.fmean(ranks)


def draw_curves(curves: Mapping[str, Mapping[str, Sequence[Sequence[float]]]], path: Path) -> None:
    """Mean over evaluations with a band of one standard deviation, one panel for each data set."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    names = list(next(iter(curves.values())))
    figure, axes = plt.subplots(
        -(-len(names) // 3), min(3, len(names)), squeeze=False, figsize=(12, 3 * -(-len(names) // 3))
    )
    for axis, name in zip(axes.flat, names, strict=False):
        low = []
        for sampler, inner in curves.items():
            columns = list(zip(*inner[name], strict=True))
            mean = [statistics.fmean(column) for column in columns]
            band = [statistics.pstdev(column) for column in columns]
            x = range(1, len(mean) + 1)
            axis.plot(x, mean, label=sampler)
            axis.fill_between(
                x,
                [m - b for m, b in zip(mean, band, strict=True)],
                [m + b for m, b in zip(mean, band, strict=True)],
                alpha=0.2,
            )
            low.append(mean[min(9, len(mean) - 1)])
        axis.set(title=name, xlabel="evaluations", ylim=(min(low), None))
    axes.flat[0].legend()
    for axis in axes.flat[len(names) :]:
        axis.remove()
    figure.tight_layout()
    figure.savefig(path)
    plt.close(figure)
