"""`archioptrx evaluate MODEL`: score a trained model on any data."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archioptrx.cli import command, new_parser
from archioptrx.config import finish
from archioptrx.errors import InputError

if TYPE_CHECKING:
    from archioptrx.dataset import Splits
    from archioptrx.hitgraph import HitGraph
    from archioptrx.model_folder import TrainedModel

BIN_COLUMNS = ("edges", "triplets", "auc", "efficiency", "purity")
BIN_UNITS = {"eta": "|η|", "pt": "pT [GeV]"}


def parser() -> argparse.ArgumentParser:
    """The options of this command."""
    new = new_parser("evaluate", "Score a trained model on any data.")
    new.add_argument("model", metavar="MODEL", help="folder that `train` wrote, or a run, which stands for its best")
    new.add_argument("--data", metavar="PATH", help="events to score, all of them (default: the model's test events)")
    new.add_argument("--cut", type=float, metavar="F", help="probability that accepts (default: 0.5)")
    new.add_argument(
        "--efficiency", type=float, metavar="F", help="instead: the cut that has this efficiency on validation events"
    )
    new.add_argument("--json", action="store_true", help="print one JSON document")
    return new


def run(args: argparse.Namespace) -> int:
    """Load the model and the events, and print the scores."""
    options = (("--cut", args.cut), ("--efficiency", args.efficiency))
    given = [(name, value) for name, value in options if value is not None]
    faults = [f"{name}: is {value:g}; legal: between 0 and 1" for name, value in given if not 0 < value < 1]
    if args.cut is not None and args.efficiency is not None:
        faults.append("--cut and --efficiency: both set the cut; legal: one of them")
    finish(faults)
    # torch is imported from here on.
    from archioptrx.fit import evaluate_model
    from archioptrx.model_folder import load_model
    from archioptrx.run_folder import plain

    model = load_model(args.model)
    graphs = events_for(model, args.data)
    cut = 0.5 if args.cut is None else args.cut
    if args.efficiency is not None:
        cut = cut_of(model, args.efficiency)
    scores = evaluate_model(model.model, model.task, graphs, cut=cut)
    if args.json:
        print(json.dumps(plain(scores), indent=1, ensure_ascii=False))
    else:
        print(as_text(scores, graphs))
    return 0


def events_for(model: TrainedModel, path: str | None) -> Sequence[HitGraph]:
    """All events of a path, in the model's scales; without one the test events that the model never saw.

    Raises
    ------
    InputError
        The data are missing, wrong, of another kind, or no longer those of the training.
    """
    from archioptrx.sources import load_dataset, with_path

    provenance = model.provenance
    if path is not None:
        return load_dataset(with_path(provenance.data, str(Path(path).expanduser())), like=model.metadata).graphs
    return own_splits(model).test


def own_splits(model: TrainedModel) -> Splits:
    """The events that the model was trained, validated and tested on.

    Raises
    ------
    InputError
        They are gone or no longer the same.
    """
    from archioptrx.search.run import load_splits

    provenance = model.provenance
    _, splits, fingerprint = load_splits(provenance.data, provenance.split, provenance.test)
    if fingerprint != provenance.fingerprint:
        raise InputError("data: have changed since the training; legal: --data PATH")
    return splits


def cut_of(model: TrainedModel, efficiency: float) -> float:
    """The cut that has an efficiency on the model's validation events: chosen on other events than it is judged on.

    Raises
    ------
    InputError
        There is no true edge among them.
    """
    from archioptrx.fit import predict
    from archioptrx.tasks.binary import BinaryClassification

    if not isinstance(model.task, BinaryClassification):
        raise InputError(f"--efficiency: {model.task.name} has no cut; legal: models of edges or triplets")
    graphs = own_splits(model).validation
    cut = model.task.cut(predict(model.model, graphs), graphs, efficiency)
    if cut is None:
        raise InputError("--efficiency: the validation events have no true edge; legal: --cut")
    return cut


def as_text(scores: Mapping[str, Any], graphs: Sequence[HitGraph]) -> str:
    """Scores for reading, bins below."""
    lines = [f"{len(graphs)} graphs, {len({graph.event for graph in graphs})} events"]
    for name, value in scores.items():
        if not isinstance(value, list):
            text = "–" if value is None else f"{value:,}" if isinstance(value, int) else f"{value:.5f}"
            lines.append(f"  {name:26} {text}")
    for name, rows in scores.items():
        if isinstance(rows, list):
            lines += ["", *_bins(BIN_UNITS.get(name, name), rows)]
    return "\n".join(lines)


def _bins(name: str, rows: Sequence[Mapping[str, Any]]) -> list[str]:
    columns = [column for column in BIN_COLUMNS if any(column in row for row in rows)]
    lines = [f"{name:16}" + "".join(f"{column:>12}" for column in columns)]
    for row in rows:
        limits = f"{row['from']:g} … " + ("∞" if row["to"] is None else f"{row['to']:g}")
        cells = [row.get(column) for column in columns]
        texts = ["–" if v is None else f"{v:,}" if isinstance(v, int) else f"{v:.4f}" for v in cells]
        lines.append(f"{limits:16}" + "".join(f"{text:>12}" for text in texts))
    return lines


main = command(parser, run)

if __name__ == "__main__":
    sys.exit(main())
