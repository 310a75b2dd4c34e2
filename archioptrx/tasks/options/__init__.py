"""Options of the tasks, read and checked without torch. Importing this package registers those of all bundled tasks."""

from archioptrx.tasks.options.base import PlainTaskOptions, TaskOptions
from archioptrx.tasks.options.edge_classification import EdgeOptions, TripletOptions
from archioptrx.tasks.options.node_embedding import EmbeddingOptions
from archioptrx.tasks.options.node_regression import RegressionOptions
from archioptrx.tasks.options.registry import (
    TASKS,
    ObjectiveMetrics,
    TaskDescription,
    headlines,
    metrics_judging,
    objective_metrics,
    read_task,
    task,
)
from archioptrx.tasks.options.several import SeveralOptions
from archioptrx.tasks.options.track_count import CountOptions
from archioptrx.tasks.options.track_set import SetOptions
from archioptrx.tasks.options.tracks import TrackOptions

__all__ = [
    "TASKS",
    "CountOptions",
    "EdgeOptions",
    "EmbeddingOptions",
    "ObjectiveMetrics",
    "PlainTaskOptions",
    "RegressionOptions",
    "SetOptions",
    "SeveralOptions",
    "TaskDescription",
    "TaskOptions",
    "TrackOptions",
    "TripletOptions",
    "headlines",
    "metrics_judging",
    "objective_metrics",
    "read_task",
    "task",
]
