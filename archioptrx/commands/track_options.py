"""Options of the commands that judge models: the cut, limits of particles and tracks, a project's way to count."""

from __future__ import annotations

import argparse
import math

from archioptrx.core.config import finish

LIMITS = ("pt_min", "eta_max", "min_hits", "track_hits")


def add_cut_options(parser: argparse.ArgumentParser, chosen: str) -> None:
    """Add the cut; `chosen`: name of the cut that an efficiency chooses."""
    parser.add_argument("--cut", type=float, metavar="F", help="probability that accepts (default: 0.5)")
    parser.add_argument(
        "--efficiency", type=float, metavar="F", help=f"instead: {chosen} that has this efficiency on validation events"
    )


def add_track_options(parser: argparse.ArgumentParser) -> None:
    """Add the options to those of a command."""
    parser.add_argument(
        "--matching",
        metavar="NAME",
        help="tracks: also as another project counts: acts, acts:single, trackml, acorn, acorn:one_way, acorn:two_way, "
        "gnn_tracking, colliderml",
    )
    parser.add_argument(
        "--fraction", type=float, metavar="F", help="of hits that a match of acts or acorn needs (default: 0.5)"
    )
    parser.add_argument(
        "--pt-min",
        type=float,
        metavar="GEV",
        help="tracks: only particles of this pT or more (default: the signal)",
    )
    parser.add_argument("--eta-max", type=float, metavar="F", help="tracks: only particles of this |η| or less")
    parser.add_argument(
        "--min-hits",
        type=int,
        metavar="N",
        help="tracks: fewer hits make no particle or track that counts (default: 3)",
    )
    parser.add_argument(
        "--track-hits", type=int, metavar="N", help="tracks: least hits of a track (default: --min-hits)"
    )


def track_limits(args: argparse.Namespace, faults: list[str] | None = None) -> dict[str, float]:
    """Limits that are given, fields of `Selection`.

    Raises
    ------
    InputError
        One is out of range; one line for each, after those of `faults`.
    """
    faults = [] if faults is None else faults
    if args.pt_min is not None and not 0 <= args.pt_min < math.inf:
        faults.append(f"--pt-min: is {args.pt_min:g}; allowed: 0 or more")
    if args.eta_max is not None and not args.eta_max > 0:
        faults.append(f"--eta-max: is {args.eta_max:g}; allowed: above 0")
    for name, hits in (("--min-hits", args.min_hits), ("--track-hits", args.track_hits)):
        if hits is not None and hits < 1:
            faults.append(f"{name}: is {hits}; allowed: 1 or more")
    finish(faults)
    return {name: getattr(args, name) for name in LIMITS if getattr(args, name) is not None}
