"""Time of finding tracks in a random event of layers: `python benchmarks/tracks.py --help`.

Edges join hits of one layer to the next, 15 % of them with a high score; the scores may also be all the same or
uniform, as those of a network that has learned nothing: the hard case for a walk, since everything branches.
"""

from __future__ import annotations

import argparse
import time

import numpy as np

from archioptrx.tasks.tracks.finding import components, walk_through


def main() -> None:
    """Time each method on each kind of scores; the fastest of some runs, in one thread."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hits", type=int, default=53_793)
    parser.add_argument("--edges", type=int, nargs="+", default=[30_000, 100_000, 300_000])
    parser.add_argument("--layers", type=int, default=10)
    parser.add_argument("--repeat", type=int, default=3)
    args = parser.parse_args()
    print(f"{'edges':>9}  {'scores':10}{'walk_through':>14}{'components':>14}{'tracks':>9}")
    for count in args.edges:
        random = np.random.default_rng(0)
        bounds = np.linspace(0, args.hits, args.layers + 1).astype(int)
        layer = random.integers(0, args.layers - 1, count)
        ends = [random.integers(bounds[layer + step], bounds[layer + step + 1]) for step in (0, 1)]
        good = random.random(count) < 0.15
        kinds = {
            "trained": np.where(good, random.beta(8, 1, count), random.beta(1, 12, count)),
            "equal": np.full(count, 0.9),
            "uniform": random.random(count),
        }
        for kind, scores in kinds.items():
            walked, joined = [], []
            for _ in range(args.repeat):
                start = time.perf_counter()
                labels = walk_through(np.stack(ends), scores, args.hits)
                middle = time.perf_counter()
                components(np.stack(ends), scores >= 0.5, args.hits)
                walked.append(middle - start)
                joined.append(time.perf_counter() - middle)
            tracks = labels.max() + 1
            print(f"{count:>9,}  {kind:10}{min(walked):>12.2f} s{min(joined):>12.3f} s{tracks:>9,}")


if __name__ == "__main__":
    main()
