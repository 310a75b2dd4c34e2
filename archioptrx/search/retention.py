"""Weights of the best trials so far, kept in the run folder."""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from collections.abc import Container, Iterable, Mapping
from pathlib import Path
from typing import Any

from archioptrx.core.errors import InputError
from archioptrx.core.files import remove_files, write_atomically, writing
from archioptrx.runs.experiment_sections import Keep
from archioptrx.runs.run_folder import RunFolder

Key = tuple[float, int]


class Retention:
    """Keeper of `weights/` of a run folder.

    The best are those of the highest score of the first goal, of equal ones the earlier proposal. Weights are on disk
    before the trial's line, and those that they displace go after it: at any moment the weights of the best trials
    that have a line are there. Further weights, which a crash may leave, are removed here.

    A paused trial displaces nothing: it may fail when it goes on, and its weights are none then. So as long as there
    are such, those of the best trials that have ended for good are there, and of the paused ones that are better. Only
    when no trial goes on (`settle`) are the weights of more trials than the number removed.

    Parameters
    ----------
    folder
        A locked run folder.
    keep
        Settings of the number of trials that keep their weights.
    """

    def __init__(self, folder: RunFolder, keep: Keep) -> None:
        self.folder = folder
        self.count = math.inf if keep.weights is None else keep.weights
        self._order: list[Key] = []  # all trials with a score, best first
        self._final: list[Key] = []  # those among them that don't pause
        self._held: list[Key] = []  # those among all whose weights may be there

    def known(self, rows: Iterable[Mapping[str, Any]], paused: Container[int] = ()) -> None:
        """Take over the trials from before a resume, and no others; `paused`: numbers of those that may go on."""
        for keys in (self._order, self._final, self._held):
            keys.clear()
        there = set(self.folder.kept())
        for row in rows:
            self._note(row, row["proposal"] in paused)
            if row["score"] is not None and row["proposal"] in there:
                insort(self._held, _key(row))

    def wanted(self) -> dict[str, Any]:
        """Rule by which a trial that starts now sends its weights."""
        if self.count == 0:
            return {}
        last = self._last()
        return {"keep": True, **({"keep_from": -last[0]} if last is not None else {})}

    def store(
        self,
        row: Mapping[str, Any],
        weights: bytes | None,
        before: Mapping[str, Any] | None = None,
        pauses: bool = False,
    ) -> None:
        """Write the weights of a trial that ends, if it is one of the best; its line follows.

        Parameters
        ----------
        weights
            Weights of its best epoch; None: it has sent none, those from before its pause remain.
        before
            Its row of before, where it had paused.
        pauses
            Whether it may go on later.
        """
        held = before is not None and before["score"] is not None and _removed(self._held, _key(before))
        if before is not None and before["score"] is not None:
            self._order.remove(_key(before))
        self._note(row, pauses)
        if row["status"] == "failed" or row["score"] is None:
            return
        if weights is None or not self._is_best(row):
            if held:
                insort(self._held, _key(row))
            return
        file = self.folder.weights(row["proposal"])
        with writing(file):
            file.parent.mkdir(exist_ok=True)
        write_atomically(file, weights)
        insort(self._held, _key(row))

    def displaced(self, row: Mapping[str, Any]) -> None:
        """Remove, after the line of a trial, weights that are no longer among the best.

        All in all no weights are removed more often than they are written.
        """
        if row["status"] == "failed":  # after a pause, before which it had a score
            self.folder.weights(row["proposal"]).unlink(missing_ok=True)
        self._remove_after(self._last())

    def settle(self) -> None:
        """Remove the weights of all but the best, paused ones among them: no trial goes on."""
        self._final = list(self._order)
        self._remove_after(self._last())

    def tidy(self, rows: Iterable[Mapping[str, Any]] = ()) -> None:
        """Remove, before the first trial, the weights of all but the best.

        A trial that went on may have left those of a later epoch than its row's, where its next line was lost: they go,
        too. `rows`: the trials.
        """
        if not (self.folder.path / "weights").is_dir():
            return
        remove_files(self.folder.path / "weights", r"\.\d{4,}\.pt\.\w{8}")  # of a write that a crash stopped
        self._remove_after(self._last())
        for number in set(self.folder.kept()) - {number for _, number in self._held}:
            self.folder.weights(number).unlink()
        for row in rows:
            file = self.folder.weights(row["proposal"])
            if row["status"] == "pruned" and file.is_file() and _digest_of(file) != row["weights_digest"]:
                file.unlink()

    def _note(self, row: Mapping[str, Any], paused: bool) -> None:
        if row["score"] is not None:
            insort(self._order, _key(row))
            if not paused:
                insort(self._final, _key(row))

    def _last(self) -> Key | None:
        """The last trial whose weights are kept; None: all are kept so far."""
        if self.count == 0:
            return (-math.inf, -1)
        return self._final[int(self.count) - 1] if len(self._final) >= self.count else None

    def _is_best(self, row: Mapping[str, Any]) -> bool:
        """Whether a trial that was noted is one of the best."""
        last = self._last()
        return last is None or _key(row) <= last

    def _remove_after(self, last: Key | None) -> None:
        while last is not None and self._held and self._held[-1] > last:
            self.folder.weights(self._held.pop()[1]).unlink(missing_ok=True)


def _key(row: Mapping[str, Any]) -> Key:
    """Place of a trial with a score in the order: its negative score, and its number."""
    return -row["score"], row["proposal"]


def _removed(keys: list[Key], key: Key) -> bool:
    """Take a key out of a sorted list; whether it was there."""
    place = bisect_left(keys, key)
    found = keys[place : place + 1] == [key]
    del keys[place : place + found]
    return found


def _digest_of(file: Path) -> str | None:
    """Digest of the weights of a file; None: it holds none."""
    from archioptrx.models.model_folder import digest_of  # here, since it loads torch

    try:
        return digest_of(file)
    except InputError:
        return None
