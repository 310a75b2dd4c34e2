"""Weights of the best trials so far, kept in the run folder."""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from collections.abc import Iterable, Mapping
from typing import Any

from archioptrx.core.files import remove_files, write_atomically, writing
from archioptrx.runs.experiment_sections import Keep
from archioptrx.runs.run_folder import RunFolder


class Retention:
    """Keeper of `weights/` of a run folder.

    The best are those of the highest score of the first goal, of equal ones the earlier proposal. Weights are on disk
    before the trial's line, and those that they displace go after it: at any moment the weights of the best trials
    that have a line are there. Further weights, which a crash may leave, are removed here.

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
        self._order: list[tuple[float, int]] = []  # all trials with a score, best first: its negative, the number

    def known(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Take over the trials from before a resume, and no others."""
        self._order.clear()
        for row in rows:
            self._note(row)

    def wanted(self) -> dict[str, Any]:
        """Rule by which a trial that starts now sends its weights."""
        if self.count == 0:
            return {}
        full = len(self._order) >= self.count
        return {"keep": True, **({"keep_from": -self._order[int(self.count) - 1][0]} if full else {})}

    def store(self, row: Mapping[str, Any], weights: bytes | None, before: Mapping[str, Any] | None = None) -> None:
        """Write the weights of a trial that ends, if it is one of the best; its line follows.

        Parameters
        ----------
        weights
            Weights of its best epoch; None: it has sent none, those from before its pause remain.
        before
            Its row of before, where it had paused.
        """
        if before is not None and before["score"] is not None:
            self._order.remove((-before["score"], before["proposal"]))
        self._note(row)
        if weights is None or row["status"] == "failed" or not self._is_best(row):
            return
        file = self.folder.weights(row["proposal"])
        with writing(file):
            file.parent.mkdir(exist_ok=True)
        write_atomically(file, weights)

    def displaced(self, row: Mapping[str, Any]) -> None:
        """Remove, after the line of a trial, weights that are no longer among the best.

        The work doesn't grow with the number of trials.
        """
        if row["status"] == "failed":  # after a pause, before which it had a score
            self.folder.weights(row["proposal"]).unlink(missing_ok=True)
        if self.count == math.inf:
            return
        for _, number in self._order[int(self.count) : int(self.count) + 1]:
            self.folder.weights(number).unlink(missing_ok=True)

    def tidy(self) -> None:
        """Remove, before the first trial, the weights of all but the best."""
        if not (self.folder.path / "weights").is_dir():
            return
        remove_files(self.folder.path / "weights", r"\.\d{4,}\.pt\.\w{8}")  # of a write that a crash stopped
        for number in set(self.folder.kept()) - self._best():
            self.folder.weights(number).unlink()

    def _note(self, row: Mapping[str, Any]) -> None:
        if row["score"] is not None:
            insort(self._order, (-row["score"], row["proposal"]))

    def _is_best(self, row: Mapping[str, Any]) -> bool:
        """Whether a trial that was noted is one of the best."""
        return bisect_left(self._order, (-row["score"], row["proposal"])) < self.count

    def _best(self) -> set[int]:
        count = len(self._order) if self.count == math.inf else int(self.count)
        return {number for _, number in self._order[:count]}
