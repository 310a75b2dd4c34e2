"""Searches whose scores can be compared. Torch-free."""

from __future__ import annotations

from archioptrx.runs.experiment import Experiment
from archioptrx.tasks.options.meaning import differing_losses, differing_meaning, kind_of_task


def differing_scores(first: Experiment, other: Experiment) -> str:
    """Reason why scores of two searches by the same metrics mean different things; empty where they mean the same."""
    one, two = (search.task.options for search in (first, other))
    if (kind := kind_of_task(one)) != (other_kind := kind_of_task(two)):
        return f"tasks {kind} and {other_kind}"
    metrics = {goal.metric for search in (first, other) for goal in search.objective.goals}
    if losses := sorted(metrics & set(differing_losses(one, two))):
        return f"options of the task by which {losses[0]} means something else"
    return differing_meaning(one, two)
