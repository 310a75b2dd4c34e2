"""The rates of ColliderML's benchmark `tracking`, counted by its rules.

They differ from those of the TrackML challenge and of Exa.TrkX in what is easy to overlook:

- Hits of no track are one track of their own, -1: the submissions of `predict` hold all hits, and the benchmark doesn't
  know that number. It is nearly always a fake, and makes a duplicate of each particle that has a hit in it and another
  one elsewhere.
- Noise, hits without a particle, is one particle.
- A half is enough, where others ask for more: for the track's hits and for the particle's. Of two particles that share
  a track equally, the one whose hit comes first counts.
- The efficiency divides by all hits of a submission, each of weight 1. The fake rate doesn't ask how many of the
  particle's hits are in the track. The duplicate rate is the share of particles whose hits are in more than one track.

Source: `colliderml/tasks/tracking/metrics.py` (github.com/OpenDataDetector/ColliderML, June 2026). Its fourth number,
`physics_eff_pt1`, is 0 for all submissions without a column of the true particles, and isn't computed here.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]


def benchmark_counts(labels: Ints, particle: Ints, hits: Ints) -> dict[str, tuple[float, float]]:
    """Numerator and denominator of each rate in one event, by its name.

    Parameters
    ----------
    labels, particle : [N]
        Track of each hit in the graphs, and row of its particle; -1 for none.
    hits : [P]
        Hits of each particle in the whole event. Those that aren't among the N are hits of no track.

    >>> benchmark_counts(np.array([0, 0, 0, 1]), np.array([0, 0, 1, 1]), np.array([2, 3]))["efficiency"]
    (2.0, 5.0)
    """
    count = len(hits)
    owner = np.where(particle < 0, count, particle).astype(np.int64)
    total = np.append(hits, (particle < 0).sum())
    seen = np.bincount(owner, minlength=count + 1)
    lost = np.flatnonzero(total - seen > 0)
    # One number for each pair of track and particle; track 0 is none.
    pairs = np.concatenate([(labels.astype(np.int64) + 1) * (count + 1) + owner, lost])
    weight = np.concatenate([np.ones(len(owner), np.int64), (total - seen)[lost]])
    names, first, place = np.unique(pairs, return_index=True, return_inverse=True)
    shared = np.bincount(place, weight, len(names)).astype(np.int64)
    track, owner = np.divmod(names, count + 1)
    size = np.bincount(track, shared).astype(np.int64)
    order = np.lexsort((first, -shared, track))
    leading = order[np.flatnonzero(np.diff(track[order], prepend=-1))]
    real = 2 * shared[leading] >= size[track[leading]]
    right = real & (2 * shared[leading] >= total[owner[leading]])
    tracks_of = np.bincount(owner, minlength=count + 1)
    return {
        "efficiency": (float(shared[leading][right].sum()), float(total.sum())),
        "fake_rate": (float((~real).sum()), float(len(leading))),
        "duplicate_rate": (float((tracks_of > 1).sum()), float((tracks_of > 0).sum())),
    }
