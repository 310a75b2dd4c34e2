"""Number of processors that this process may use, by all that limits it."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path

from archioptrx.core.errors import InputError

THREADS = "OMP_NUM_THREADS"
"""The environment variable by which users of OpenMP limit threads; batch systems set it, too."""
GROUPS = Path("/sys/fs/cgroup")
"""Folder of Linux's control groups: those of version 2, and in `cpu` those of version 1."""
OWN_GROUPS = Path("/proc/self/cgroup")
"""File with the groups of this process: `number:controllers:/group/in/group`, without controllers in version 2."""


def processors() -> int:
    """Number of processors: those that this process is bound to, or fewer where a container limits its time."""
    affinity = getattr(os, "sched_getaffinity", None)  # not known on macOS
    bound = len(affinity(0)) if affinity else os.cpu_count() or 1
    quota = _quota()
    return bound if quota is None else max(1, min(bound, math.ceil(quota)))


def threads() -> int:
    """Number of threads for computations: as `OMP_NUM_THREADS` says, else one for each processor.

    More threads than processors wait for each other: a training on two busy processors took twenty times as long with
    two threads as with one.

    Raises
    ------
    InputError
        The variable is no whole number from 1.
    """
    value = os.environ.get(THREADS, "").partition(",")[0].strip()  # further numbers are for nested regions
    if not value:
        return processors()
    if not value.isdecimal() or int(value) < 1:
        raise InputError(f"{THREADS}: is {value!r}; allowed: a whole number from 1")
    return int(value)


def limit_threads() -> None:
    """Let libraries compute with no more threads than a container's quota allows: they know nothing of it.

    Torch and others read the variable when they are imported. One that is set stays.
    """
    if not os.environ.get(THREADS) and _quota() is not None:
        os.environ[THREADS] = str(processors())


def _quota() -> float | None:
    """Processors' worth of time that this process gets; None: no limit, or none that is known.

    A limit holds for all groups inside a group, so the smallest counts. A container sees its own group as the root; a
    service or a batch job has one somewhere below it.
    """
    return min((quota for folder in _groups() if (quota := _quota_of(folder)) is not None), default=None)


def _groups() -> Iterator[Path]:
    """Folders of the control groups that this process is in."""
    yield from (GROUPS, GROUPS / "cpu")
    try:
        lines = OWN_GROUPS.read_text().splitlines()
    except OSError:
        return
    for line in lines:
        controllers, _, path = line.partition(":")[2].partition(":")
        parts = [part for part in path.split("/") if part]
        if ".." not in parts and (not controllers or "cpu" in controllers.split(",")):
            root = GROUPS / "cpu" if controllers else GROUPS
            yield from (root.joinpath(*parts[:depth]) for depth in range(1, len(parts) + 1))


def _quota_of(group: Path) -> float | None:
    """Processors' worth of time that one group gets; None: no limit, or none that is known."""
    for name in ("cpu.max", "cpu.cfs_quota_us"):
        try:
            words = (group / name).read_text().split()
            if name == "cpu.max":
                return None if words[0] == "max" else int(words[0]) / int(words[1])
            period = int((group / "cpu.cfs_period_us").read_text())
            return int(words[0]) / period if int(words[0]) > 0 else None
        except (OSError, ValueError, IndexError, ZeroDivisionError):
            continue
    return None
