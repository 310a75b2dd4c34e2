"""Train the network of the talk's notebook and print its accuracy of pairs beside the notebook's own.

    python examples/notebook.py [EVENTS]

The notebook's figures (75.9 % after the first epoch, 95.9 % after the tenth) come from other events, so only the shape
of the two curves can be compared. What is trained is `experiments/notebook.yaml`: data, network, optimizer, batches.
"""

import sys
from collections.abc import Iterator

import torch

from archioptrx.graphs.architecture import Architecture
from archioptrx.models.events import load_splits
from archioptrx.runs.experiment import load_experiment
from archioptrx.tasks import task_from
from archioptrx.training.fit import Report, fit
from archioptrx.training.trial import build

THEIRS = {1: 0.759, 10: 0.959}
"""Accuracy of pairs by epoch; what the notebook says of the epochs between isn't known."""


def epochs(overrides: dict[str, object]) -> Iterator[Report]:
    """Train the notebook's network as the experiment says; one report per epoch."""
    torch.set_num_threads(1)
    experiment = load_experiment("notebook", overrides)
    split = {"validation": experiment.split.validation, "test": experiment.split.test, "seed": experiment.split.seed}
    metadata, splits, _ = load_splits(experiment.data, split, None)
    task = task_from(experiment.task.options)
    architecture = Architecture.load(experiment.references[0])
    model = build(architecture.graph, architecture.hyperparameters, metadata, task, seed=0)
    return fit(model, task, splits.train, splits.validation, experiment.training.but(threads=1))


def main(arguments: list[str]) -> None:
    """Print one line per epoch."""
    overrides: dict[str, object] = {"data.of.events": int(arguments[0])} if arguments else {}
    overrides |= {"split.validation": 0.2, "split.test": 0.2} if arguments else {}
    print(f"{'epoch':>5}  {'accuracy here':>13}  {'accuracy in the notebook':>24}")
    for report in epochs(overrides):
        theirs = f"{THEIRS[report.epoch]:.1%}" if report.epoch in THEIRS else ""
        print(f"{report.epoch:5}  {report.metrics['pair_accuracy']:13.1%}  {theirs:>24}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
