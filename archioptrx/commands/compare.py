"""`archioptrx compare A B …`: models side by side on the same events."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from archioptrx.commands.cli import command, new_parser
from archioptrx.commands.track_options import add_cut_options, add_track_options, track_limits
from archioptrx.core.files import plain
from archioptrx.core.own_files import check_page
from archioptrx.report.comparison.compare import compare_models
from archioptrx.report.comparison.result import SEEDS
from archioptrx.report.comparison.text import comparison_text


def parser() -> argparse.ArgumentParser:
    """The options of this command."""
    new = new_parser("compare", "Compare models on the same events: metrics, cost, and the edges that change sides.")
    new.add_argument(
        "models",
        metavar="MODEL",
        nargs="+",
        help="a run (its best), RUN/ID, a model folder; or an architecture, which is trained first; after these, on "
        "events of Acts: acts:ckf (its track finding), acts:truth (its fit of true tracks)",
    )
    new.add_argument(
        "--data",
        metavar="PATH",
        help="events to compare on (default: the first model's test events); of architectures alone: to train on, too",
    )
    add_cut_options(new, "each model's own cut")
    new.add_argument("--epochs", type=int, metavar="N", help="of architectures (default: as the first model)")
    new.add_argument(
        "--seed", type=int, metavar="N", help="of their training (default: as the first model), and of the bootstrap"
    )
    new.add_argument(
        "--seeds",
        type=int,
        metavar="N",
        default=SEEDS,
        help=f"trainings of each architecture (default: {SEEDS}); 1: these weights alone are compared",
    )
    new.add_argument("--output", type=Path, metavar="DIR", help="where they are kept (default: models/NAME-n)")
    new.add_argument(
        "--resamples", type=int, metavar="N", help="of the bootstrap (default: 1000; 200 where it is slow)"
    )
    add_track_options(new)
    new.add_argument("--html", metavar="FILE", type=Path, help="write a page that needs nothing else")
    new.add_argument("--json", action="store_true", help="print one JSON document")
    return new


def run(args: argparse.Namespace) -> int:
    """Compare and print."""
    limits = track_limits(args)
    if args.html:
        check_page(args.html)
    comparison = compare_models(
        args.models,
        data=args.data,
        cut=args.cut,
        efficiency=args.efficiency,
        epochs=args.epochs,
        seed=args.seed,
        seeds=args.seeds,
        output=args.output,
        resamples=args.resamples,
        matching=args.matching,
        fraction=args.fraction,
        limits=limits,
    )
    if args.html:
        from archioptrx.report.comparison.page import write_comparison

        write_comparison(comparison, args.html)
    if args.json:
        print(json.dumps(plain(comparison.to_dict()), indent=1, ensure_ascii=False))
    else:
        print(comparison_text(comparison))
        trained = [entry for entry in comparison.entries if entry.trained]
        for entry in trained:
            print(f"trained: {entry.place}")
        if args.html:
            print(f"written: {args.html}")
    return 0


main = command(parser, run)
