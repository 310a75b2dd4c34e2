"""`archioptrx train ARCHITECTURE`: train one architecture to the end."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from archioptrx.commands.cli import command, new_parser
from archioptrx.core.files import check_writable, next_folder, plain, refuse_used
from archioptrx.search.setup import check_trackers
from archioptrx.search.single import choose, train
from archioptrx.tasks.metrics import OF_OTHERS


def parser() -> argparse.ArgumentParser:
    """The options of this command."""
    new = new_parser("train", "Train one architecture to the end.")
    new.add_argument(
        "architecture",
        metavar="ARCHITECTURE",
        help="bundled name or file; a run (its best) or RUN/ID: that trial again, bit for bit on CPU",
    )
    new.add_argument("--data", metavar="PATH", help="events to train on (default: the run's, else toy events)")
    new.add_argument("--test", metavar="PATH", help="test events (default: a share of the data)")
    new.add_argument("--epochs", type=int, metavar="N", help="epochs")
    new.add_argument("--time", metavar="T", help="stop after this time (4h, 90m), with the best weights so far")
    new.add_argument("--seed", type=int, metavar="N", help="of the weights and the order of events")
    new.add_argument("--output", type=Path, metavar="DIR", help="the model folder (default: models/NAME-n)")
    new.add_argument("--track", action="append", metavar="NAME", help="tensorboard or wandb; may be repeated")
    new.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="training.learning_rate=1e-3 …")
    new.add_argument("--json", action="store_true", help="print one JSON document")
    return new


def run(args: argparse.Namespace) -> int:
    """Check, train, write the model, print its test metrics."""
    choice = choose(args)
    if args.output:
        refuse_used(args.output)
    check_trackers(choice.track)
    for text in choice.experiment.data.notes:
        print(f"data: {text}", file=sys.stderr)
    # torch is imported from here on: what can be wrong without it has been checked.
    from archioptrx.search.run import load_events

    events = load_events(choice.experiment)
    folder = args.output or next_folder(choice.name, Path("models"))
    check_writable(folder)
    metrics = train(choice, events, folder, "--set resources.cpus_per_trial=N")
    if args.json:
        print(json.dumps(plain({"model": str(folder), **metrics}), indent=1, ensure_ascii=False))
    else:
        print("on test events:")
        asked = {goal.metric for goal in choice.experiment.objective.goals}
        for name, spread in metrics["test"].items():
            if name.startswith(OF_OTHERS) and name not in asked:
                continue
            mean = spread["mean"]
            print(f"  {name:26} {mean:,}" if isinstance(mean, int) else f"  {name:26} {mean:.5f}")
        print(f"\nevaluate   archioptrx evaluate {folder}")
    return 0


main = command(parser, run)
