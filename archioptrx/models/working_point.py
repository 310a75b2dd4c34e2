"""Working point of a model: the cut on its scores with a given efficiency."""

from __future__ import annotations

from archioptrx.core.errors import InputError
from archioptrx.models.events import own_splits
from archioptrx.models.model_folder import TrainedModel
from archioptrx.tasks.binary import BinaryClassification
from archioptrx.tasks.classification_metrics import Cut
from archioptrx.tasks.several import parts_of
from archioptrx.training.fit import predict


def cut_of(model: TrainedModel, efficiency: float) -> Cut:
    """The cut with a given efficiency on the model's validation events, which no test metric uses.

    With several targets, the first that has a cut counts.

    Raises
    ------
    InputError
        No target has a cut, or there is no true edge among the events.
    """
    classifiers = (
        (place, part) for place, part in enumerate(parts_of(model.task)) if isinstance(part, BinaryClassification)
    )
    place, task = next(classifiers, (0, None))
    if task is None:
        raise InputError(f"--efficiency: {model.task.name} has no cut; allowed: models of edges or triplets")
    graphs = own_splits(model).validation
    outputs = [part[place] if isinstance(part, tuple) else part for part in predict(model.model, graphs)]
    cut = task.cut(outputs, graphs, efficiency)
    if cut is None:
        raise InputError(f"--efficiency: the validation events have no true {task.domain}; allowed: --cut")
    return cut


def chosen_cut(model: TrainedModel, cut: float | None, efficiency: float | None) -> float:
    """The cut of a model by `--cut` and `--efficiency`, of which one at most is given; 0.5 without both."""
    return cut_of(model, efficiency) if efficiency is not None else 0.5 if cut is None else cut
