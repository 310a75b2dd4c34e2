"""Latencies that were measured again, alone, and the scores that follow from them.

A trial measures the latency of its network before it trains, while other trials run beside it; then a forward pass
takes up to five times as long. The sampler learned from these figures, so they stay in `trials.jsonl`, from which a
resumed search replays the sampler. After the trials, the search measures these networks once more, one at a time, into
`latencies.jsonl`; tables, ranking and the choice of the winner use those figures instead.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from archioptrx.training.objective import Objective


def side_by_side(rows: Sequence[Mapping[str, Any]]) -> list[int]:
    """Numbers of the ended trials with a score during which another trial ran, in the order of their start.

    >>> times = [(0, 3), (1, 2), (3, 4), (6, 7)]
    >>> rows = [{"proposal": n, "score": 0.5, "started": a, "ended": b} for n, (a, b) in enumerate(times)]
    >>> side_by_side(rows)
    [0, 1]
    """
    numbers: list[int] = []
    ordered = sorted(rows, key=lambda row: float(row["started"]))
    busy = float("-inf")  # the time until which the trials before ran
    for place, row in enumerate(ordered):
        following = ordered[place + 1]["started"] if place + 1 < len(ordered) else float("inf")
        if row["score"] is not None and (row["started"] < busy or following < row["ended"]):
            numbers.append(row["proposal"])
        busy = max(busy, row["ended"])
    return numbers


def with_latency(row: Mapping[str, Any], objective: Objective, milliseconds: float | None) -> dict[str, Any]:
    """Line of a trial or of a retraining with another latency, and with the scores that follow from it.

    The latency of a network is the same in all epochs: the curve of each goal moves as a whole.
    """
    if milliseconds is None or row["score"] is None or "latency" not in row["metrics"]:
        return dict(row)
    metrics = {**row["metrics"], "latency": milliseconds}
    before, after = objective.scores(row["metrics"]), objective.scores(metrics)
    if before is None or after is None or before == after:
        return {**row, "metrics": metrics}
    moved = [new - old for new, old in zip(after, before, strict=True)]
    curve = [None if value is None else value + moved[0] for value in row["curve"]]  # None: an epoch without a score
    changed = {**row, "metrics": metrics, "score": after[0], "curve": curve}
    if row.get("scores"):
        changed["scores"] = list(after)
        changed["curves"] = [
            None if scores is None else [value + step for value, step in zip(scores, moved, strict=True)]
            for scores in row["curves"]
        ]
    return changed
