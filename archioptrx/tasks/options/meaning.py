"""Meaning of a task's metrics: which options two tasks must share, so that their scores can be compared."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

from archioptrx.tasks.options.base import TaskOptions

LOSS = "loss"


def kind_of_task(options: TaskOptions) -> str:
    """Name of a task; of several targets with theirs and those of their tasks."""
    targets = getattr(options, "targets", ())
    inside = ", ".join(f"{target.name}: {target.options.name}" for target in targets)
    return options.name + f" ({inside})" * bool(targets)


def differing_meaning(options: TaskOptions, other: TaskOptions) -> str:
    """Options by which the metrics of two tasks judge different things; empty where all mean the same.

    The tasks are of one kind, see `kind_of_task`.

    >>> from archioptrx.tasks.options.node_regression import RegressionOptions
    >>> differing_meaning(RegressionOptions(parameters=("phi",)), RegressionOptions(parameters=("eta",)))
    'parameters [phi] and [eta]'
    """
    return "; ".join(
        f"{at}{name} {_text(getattr(ours, name))} and {_text(getattr(theirs, name))}"
        for at, ours, theirs in _pairs(options, other)
        for name in _differing(ours, theirs, getattr(ours, "meaning", ()))
    )


def differing_losses(options: TaskOptions, other: TaskOptions) -> tuple[str, ...]:
    """Losses of two tasks of one kind that are computed in different ways: `loss`, of one of several `score.loss`."""
    names = [f"{at}{LOSS}" for at, ours, theirs in _pairs(options, other) if _differing(ours, theirs, _of_loss(ours))]
    weights = [[target.weight for target in getattr(each, "targets", ())] for each in (options, other)]
    # The loss of several targets is the weighted sum of theirs.
    return tuple(dict.fromkeys([*([LOSS] if names or weights[0] != weights[1] else []), *names]))


def _pairs(options: TaskOptions, other: TaskOptions) -> Iterator[tuple[str, Any, Any]]:
    """Options of each target of two tasks, and the start of its metrics' names; of one target: of the task itself."""
    targets, others = (getattr(each, "targets", ()) for each in (options, other))
    if not targets:
        yield "", options, other
    for target, match in zip(targets, others, strict=True):
        yield f"{target.name}.", target.options, match.options


def _of_loss(options: Any) -> Sequence[str]:
    every = tuple(field.name for field in dataclasses.fields(options))
    return getattr(options, "of_loss", every)


def _differing(options: Any, other: Any, names: Sequence[str]) -> list[str]:
    return [name for name in names if getattr(options, name) != getattr(other, name)]


def _text(value: Any) -> str:
    return f"[{', '.join(map(str, value))}]" if isinstance(value, tuple) else str(value)
