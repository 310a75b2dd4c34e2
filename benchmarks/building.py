"""Time of building the graphs of one large event: `python benchmarks/building.py --data FOLDER`.

One thread; the fastest of some repetitions, because whatever else the machine does only adds. Candidate edges grow with
the square of the density of hits, so random thirds and halves of the event's hits are built too: the time follows the
pairs inside the windows and not the square of the number of hits.
"""

from __future__ import annotations

import argparse
import os
import resource
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before numpy is loaded

import numpy as np

from archioptrx.event import Event
from archioptrx.graph_building import build, building_metadata
from archioptrx.sources.event_files import find_events
from archioptrx.sources.options.building import Cuts
from archioptrx.sources.trackml import read_event

CUTS = {
    "usual": Cuts(),
    "pT > 0.5": Cuts(pt_min=0.5, noise="drop"),
    "skip a layer": Cuts(skip_layers=1),
    "small": Cuts("small", 1.0, slope_max=1e-3, phi_sectors=4, noise="drop", overlaps="drop"),
}
PER_HIT = ("hit_id", "pos", "volume", "layer", "module", "pid", "weight", "cells")


def fastest(what: Callable[[], Any], repeat: int) -> tuple[float, Any]:
    """Seconds of the fastest of some calls, and what the last one returned."""
    seconds, result = [], None
    for _ in range(repeat):
        start = time.perf_counter()
        result = what()
        seconds.append(time.perf_counter() - start)
    return min(seconds), result


def thinned(event: Event, share: float) -> Event:
    """The event with a random share of its hits."""
    keep = np.random.default_rng(0).random(len(event.hit_id)) < share
    parts = {name: getattr(event, name) for name in PER_HIT}
    return replace(event, **{name: value[keep] for name, value in parts.items() if value is not None})


def report(name: str, event: Event, cuts: Cuts, repeat: int) -> None:
    """Build and print one row."""
    metadata = building_metadata("benchmark", cuts, {})
    seconds, made = fastest(lambda: build(event, cuts, metadata), repeat)
    counts, hits = made.counts, len(event.hit_id)
    print(
        f"{name:16}{hits:>10,}{counts['edges']:>11,}{counts['kept_edges'] / max(1, counts['true_edges']):>12.3f}"
        f"{counts['kept_edges'] / counts['edges']:>9.3f}{seconds:>9.2f}{seconds / hits * 1e4:>14.3f}"
    )


def main() -> None:
    """Read the event, build it with several cuts, and parts of it with the usual ones."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, metavar="PATH", help="event files of the TrackML challenge")
    parser.add_argument("--repeat", type=int, default=3, metavar="N", help="repetitions (default: 3)")
    told = parser.parse_args()
    read = [(fastest(lambda files=files: read_event(files), 1), files) for files in find_events(told.data)]
    (seconds, event), _ = max(read, key=lambda one: len(one[0][1].hit_id))
    print(f"{event.name}: {len(event.hit_id):,} hits, read in {seconds:.2f} s\n")
    print(f"{'cuts':16}{'hits':>10}{'edges':>11}{'efficiency':>12}{'purity':>9}{'seconds':>9}{'per 10k hits':>14}")
    for name, cuts in CUTS.items():
        report(name, event, cuts, told.repeat)
    for text, share in (("a half", 1 / 2), ("a third", 1 / 3)):
        report(f"usual, {text}", thinned(event, share), CUTS["usual"], told.repeat)
    print(f"\nlargest memory of the process: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:,.0f} MiB")


if __name__ == "__main__":
    main()
