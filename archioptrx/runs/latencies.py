"""Latencies that were measured again, alone, and the scores that follow from them.

A trial measures the latency of its network before it trains, while other trials run beside it; then a forward pass
takes up to five times as long. The sampler learned from these figures, so they stay in `trials.jsonl`, from which a
resumed search replays the sampler. After the trials of a search with several workers, it measures all networks once
more, one at a time, into `latencies.jsonl`; tables, ranking and the choice of the winner use those figures instead.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from archioptrx.training.objective import Objective


def to_measure(rows: Sequence[Mapping[str, Any]], workers: int) -> list[int]:
    """Numbers of the ended trials with a score whose latency may be wrong, in the order of their start.

    With one worker there are none. With several, all: in a resumed search nobody knows any more beside which trials,
    killed since, another one ran.

    >>> rows = [{"proposal": n, "score": score, "started": -n} for n, score in enumerate((0.5, None, 0.7))]
    >>> to_measure(rows, 2), to_measure(rows, 1)
    ([2, 0], [])
    """
    scored = [row for row in rows if row["score"] is not None] if workers > 1 else []
    return [row["proposal"] for row in sorted(scored, key=lambda row: float(row["started"]))]


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
