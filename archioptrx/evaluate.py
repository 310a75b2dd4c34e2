"""`archioptrx evaluate MODEL`: score a trained model on any data."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archioptrx.cli import command, new_parser
from archioptrx.errors import InputError

if TYPE_CHECKING:
    from archioptrx.hitgraph import HitGraph
    from archioptrx.model_folder import TrainedModel

BIN_COLUMNS = ("edges", "auc", "efficiency", "purity")
BIN_UNITS = {"eta": "|η|", "pt": "pT [GeV]"}


def parser() -> argparse.ArgumentParser:
    """The options of this command."""
    new = new_parser("evaluate", "Score a trained model on any data.")
    new.add_argument("model", metavar="MODEL", help="folder that `train` wrote, or a run, which stands for its best")
    new.add_argument("--data", metavar="PATH", help="events to score, all of them (default: the model's test events)")
    new.add_argument("--cut", type=float, default=0.5, metavar="F", help="probability that accepts (default: 0.5)")
    new.add_argument("--json", action="store_true", help="print one JSON document")
    return new


def run(args: argparse.Namespace) -> int:
    """Load the model and the events, and print the scores."""
    if not 0 < args.cut < 1:
        raise InputError(f"--cut: is {args.cut:g}; legal: between 0 and 1")
    # torch is imported from here on.
    from archioptrx.fit import evaluate_model
    from archioptrx.model_folder import load_model
    from archioptrx.run_folder import plain

    model = load_model(args.model)
    graphs = events_for(model, args.data)
    scores = evaluate_model(model.model, model.task, graphs, cut=args.cut)
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
    from archioptrx.search.run import load_splits
    from archioptrx.sources import load_dataset

    provenance = model.provenance
    if path is not None:
        known = provenance.data["source"]
        spec = {"source": "hitgraphs" if known == "toy" else known, "path": str(Path(path).expanduser())}
        return load_dataset(spec).scaled_like(model.metadata).graphs
    _, splits, fingerprint = load_splits(provenance.data, provenance.split, provenance.test)
    if fingerprint != provenance.fingerprint:
        raise InputError("data: have changed since the training; legal: --data PATH")
    return splits.test


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
    lines = [f"{name:16}" + "".join(f"{column:>12}" for column in BIN_COLUMNS)]
    for row in rows:
        limits = f"{row['from']:g} … " + ("∞" if row["to"] is None else f"{row['to']:g}")
        cells = [row.get(column) for column in BIN_COLUMNS]
        texts = ["–" if v is None else f"{v:,}" if isinstance(v, int) else f"{v:.4f}" for v in cells]
        lines.append(f"{limits:16}" + "".join(f"{text:>12}" for text in texts))
    return lines


main = command(parser, run)

if __name__ == "__main__":
    sys.exit(main())
