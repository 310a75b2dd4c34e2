"""Time of building the graphs of one large event: `python benchmarks/building.py --data FOLDER`.

One thread; the fastest of some repetitions, because other work of the machine only adds time. Parts of the event in φ,
as dense as the whole, show that the time grows with the number of hits and not with its square. (In denser events there
are more candidate edges a hit, whatever way they are looked for.)
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

from archioptrx.data.event import Event
from archioptrx.data.graph_construction import build, building_metadata
from archioptrx.data.options.building import Cuts
from archioptrx.data.sources.event_files import find_events
from archioptrx.data.sources.trackml import read_event

CUTS = {
    "usual": Cuts(signal_pt=1.0),
    "pT > 0.5": Cuts(pt_min=0.5, noise="drop", signal_pt=1.0),
    "skip a layer": Cuts(skip_layers=1, signal_pt=1.0),
    "small": Cuts("small", 1.0, signal_pt=1.0, slope_max=1e-3, phi_sectors=4, noise="drop", overlaps="drop"),
}
COLUMNS = {
    "hits": 10,
    "edges": 11,
    "efficiency": 12,
    "pT > 1 GeV": 11,
    "purity": 9,
    "seconds": 9,
    "per 10k hits": 14,
}
PER_HIT = ("hit_id", "pos", "volume", "layer", "module", "pid", "weight", "cells")


def fastest(call: Callable[[], Any], repeat: int) -> tuple[float, Any]:
    """Seconds of the fastest of some calls, and the result of the last one."""
    seconds, result = [], None
    for _ in range(repeat):
        start = time.perf_counter()
        result = call()
        seconds.append(time.perf_counter() - start)
    return min(seconds), result


def slice_of(event: Event, share: float) -> Event:
    """The hits of the event in a share of the full angle."""
    keep = event.phi < -np.pi + 2 * np.pi * share
    parts = {name: getattr(event, name) for name in PER_HIT}
    return replace(event, **{name: value[keep] for name, value in parts.items() if value is not None})


def report(name: str, event: Event, cuts: Cuts, repeat: int) -> None:
    """Build and print one row."""
    metadata = building_metadata("benchmark", cuts, {})
    seconds, built = fastest(lambda: build(event, cuts, metadata), repeat)
    counts, hits = built.counts, len(event.hit_id)
    print(
        f"{name:16}{hits:>10,}{counts['edges']:>11,}{counts['kept_edges'] / counts['true_edges']:>12.3f}"
        f"{counts['kept_signal_edges'] / counts['signal_edges']:>11.3f}"
        f"{counts['kept_edges'] / counts['edges']:>9.4f}{seconds:>9.2f}{seconds / hits * 1e4:>14.3f}"
    )


def main() -> None:
    """Read the event, build it with several cuts, and parts of it with the usual ones."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, metavar="PATH", help="event files of the TrackML challenge")
    parser.add_argument("--repeat", type=int, default=3, metavar="N", help="repetitions (default: 3)")
    args = parser.parse_args()
    read = [(fastest(lambda files=files: read_event(files), 1), files) for files in find_events(args.data)]
    (seconds, event), _ = max(read, key=lambda timed: len(timed[0][1].hit_id))
    print(f"{event.name}: {len(event.hit_id):,} hits, read in {seconds:.2f} s\n")
    columns = "".join(f"{name:>{width}}" for name, width in COLUMNS.items())
    print(f"{'cuts':16}{columns}")
    for name, cuts in CUTS.items():
        report(name, event, cuts, args.repeat)
    for parts in (2, 4, 8):
        report(f"usual, 1/{parts} in φ", slice_of(event, 1 / parts), CUTS["usual"], args.repeat)
    print(f"\nlargest memory of the process: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:,.0f} MiB")


if __name__ == "__main__":
    main()
