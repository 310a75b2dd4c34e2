"""`archioptrx compare A B …`: models side by side on the same events."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from archioptrx.commands.cli import command, new_parser
from archioptrx.core.config import finish
from archioptrx.core.files import plain

if TYPE_CHECKING:
    from archioptrx.comparison.result import Comparison


def parser() -> argparse.ArgumentParser:
    """The options of this command."""
    new = new_parser("compare", "Compare models on the same events: metrics, cost, and the edges that change sides.")
    new.add_argument(
        "models",
        metavar="MODEL",
        nargs="+",
        help="a run (its best), RUN/ID, a model folder; or an architecture, which is trained first",
    )
    new.add_argument(
        "--data",
        metavar="PATH",
        help="events to compare on (default: the first model's test events); of architectures alone: to train on, too",
    )
    new.add_argument("--cut", type=float, metavar="F", help="probability that accepts (default: 0.5)")
    new.add_argument(
        "--efficiency",
        type=float,
        metavar="F",
        help="instead: each model's own cut that has this efficiency on its validation events",
    )
    new.add_argument("--epochs", type=int, metavar="N", help="of architectures (default: as the first model)")
    new.add_argument(
        "--seed", type=int, metavar="N", help="of their training (default: as the first model), and of the bootstrap"
    )
    new.add_argument("--output", type=Path, metavar="DIR", help="where they are kept (default: models/NAME-n)")
    new.add_argument(
        "--resamples", type=int, metavar="N", help="of the bootstrap (default: 1000; 200 where it is slow)"
    )
    new.add_argument("--html", metavar="FILE", type=Path, help="write a page that needs nothing else")
    new.add_argument("--json", action="store_true", help="print one JSON document")
    return new


def run(args: argparse.Namespace) -> int:
    """Compare and print."""
    found = compare_models(
        args.models,
        data=args.data,
        cut=args.cut,
        efficiency=args.efficiency,
        epochs=args.epochs,
        seed=args.seed,
        output=args.output,
        resamples=args.resamples,
    )
    if args.html:
        from archioptrx.comparison.page import write_comparison

        write_comparison(found, args.html)
    if args.json:
        print(json.dumps(plain(found.to_dict()), indent=1, ensure_ascii=False))
    else:
        print(found.text())
        kept = [one for one in found.entries if one.trained]
        for one in kept:
            print(f"trained: {one.place}")
        if args.html:
            print(f"written: {args.html}")
    return 0


def compare_models(
    models: Sequence[str | Path],
    data: str | Path | None = None,
    cut: float | None = None,
    efficiency: float | None = None,
    epochs: int | None = None,
    seed: int | None = None,
    output: Path | None = None,
    resamples: int | None = None,
) -> Comparison:
    """Compare trained models, and architectures that are trained first.

    Parameters
    ----------
    models
        Runs, RUN/ID, model folders; names or files of architectures. Differences are from the first.
    data
        Path of events that no model was trained on; None: the test events of the first trained model. Where none is
        trained: what they are trained and tested on; None: toy events.
    cut
        Probability that accepts; None: 0.5.
    efficiency
        Instead: each model's own cut that has this efficiency on its validation events.
    epochs, seed, output
        Of the training of architectures; None: as the first model was trained, into `models/NAME-n`.
    resamples
        Of the bootstrap.

    Raises
    ------
    InputError
        One line for every fault.
    """
    _check(cut, efficiency, epochs=(epochs, 1), seed=(seed, 0), resamples=(resamples, 100))
    # torch is imported from here on.
    from archioptrx.commands.evaluate import cut_of
    from archioptrx.comparison.contest import answers, check_tasks, contest
    from archioptrx.comparison.contestants import Schooling, enrol, first_model, read
    from archioptrx.comparison.events import views_of

    names = [str(one) for one in models]
    path = None if data is None else str(data)
    found = read(names)
    trained = first_model(names, found)
    contestants = enrol(names, found, Schooling(path if trained is None else None, epochs, seed, output))
    check_tasks(contestants)
    host = contestants[0] if trained is None else next(one for one in contestants if one.place == trained)
    views, notes = views_of(contestants, host, None if trained is None else path)
    cuts = [0.5 if cut is None else cut] * len(contestants)
    if efficiency is not None:
        cuts = [cut_of(one.model, efficiency) for one in contestants]
    runs = [answers(one, view, own) for one, view, own in zip(contestants, views, cuts, strict=True)]
    origin = f"test events of {host.name}" if trained is None or path is None else f"events of {path}"
    return contest(runs, origin, notes, resamples, seed or 0)


def _check(cut: float | None, efficiency: float | None, **least: tuple[int | None, int]) -> None:
    """Raise InputError for numbers that aren't legal; each whole one with the least that is."""
    faults = [
        f"--{name}: is {value:g}; legal: between 0 and 1"
        for name, value in (("cut", cut), ("efficiency", efficiency))
        if value is not None and not 0 < value < 1
    ]
    if cut is not None and efficiency is not None:
        faults.append("--cut and --efficiency: both set the cut; legal: one of them")
    faults += [
        f"--{name}: is {value}; legal: {low} or more"
        for name, (value, low) in least.items()
        if value is not None and value < low
    ]
    finish(faults)


main = command(parser, run)

if __name__ == "__main__":
    sys.exit(main())
