"""Paused trials of a search: their states are kept in the run folder until they go on, or lose their rung."""

from __future__ import annotations

import math
import re
from bisect import insort
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from archioptrx.core.files import remove_files, write_atomically, writing
from archioptrx.runs.run_folder import RunFolder

MOST = 64
"""Paused trials of equal epochs whose states are kept: a search of 10,000 trials must not fill the disk."""


class Pauses:
    """Keeper of `paused/` of a run folder.

    A state is on disk before the line of its trial, and is removed after the line that ends it. Its name has the
    epochs, so one that a crash left beside an older line is recognised, and removed here.

    Parameters
    ----------
    folder
        A locked run folder.

    Attributes
    ----------
    lines
        Lines of `proposals.jsonl` of the trials whose states are there, by their numbers.
    """

    def __init__(self, folder: RunFolder) -> None:
        self.folder = folder
        self.lines: dict[int, dict[str, Any]] = {}
        self._of_epochs: dict[int, list[tuple[float, int]]] = {}  # negative score and number, the best first

    def known(self, rows: Iterable[Mapping[str, Any]], lines: Mapping[int, dict[str, Any]]) -> None:
        """Take over the trials from before a resume whose states are there, and remove all other states."""
        place = self.folder.path / "paused"
        if not place.is_dir():
            return
        found = {path.name for path in place.iterdir() if re.fullmatch(r"\d{4,}-\d+\.pt", path.name)}
        for row in rows:
            file = self._file(row)
            if row["status"] == "pruned" and file.name in found:
                found.remove(file.name)
                self._note(row, lines[row["proposal"]])
        for name in found:
            (place / name).unlink()
        remove_files(place, r"\.\d{4,}-\d+\.pt\.\w{8}")  # of a write that a crash stopped

    def store(self, row: Mapping[str, Any], line: dict[str, Any], state: bytes) -> None:
        """Write the state of a trial that pauses; its row follows."""
        file = self._file(row)
        with writing(file):
            file.parent.mkdir(exist_ok=True)
        write_atomically(file, state)
        self._note(row, line)

    def forget(self, before: Mapping[str, Any]) -> None:
        """Leave out a trial that paused with the row `before` and ends now; its state remains on disk."""
        self._leave_out(before["proposal"], before["epochs"])

    def displaced(self, row: Mapping[str, Any], before: Mapping[str, Any] | None) -> list[int]:
        """Remove states after the line of a trial; the numbers of other trials that lost theirs.

        They are its own of before, and those of the worst that paused after as many epochs, where there are too many.
        """
        if before is not None:
            self._file(before).unlink(missing_ok=True)
        worst = [number for _, number in self._of_epochs.get(row["epochs"], [])[MOST:]]
        for number in worst:
            self._leave_out(number, row["epochs"])
            self._file({"proposal": number, "epochs": row["epochs"]}).unlink(missing_ok=True)
        return worst

    def state(self, row: Mapping[str, Any]) -> bytes | None:
        """State of a trial that paused with this row; None: it is gone."""
        file = self._file(row)
        return file.read_bytes() if row["proposal"] in self.lines and file.is_file() else None

    def _leave_out(self, number: int, epochs: int) -> None:
        self.lines.pop(number, None)
        rivals = self._of_epochs.get(epochs, [])
        self._of_epochs[epochs] = [rival for rival in rivals if rival[1] != number]

    def _note(self, row: Mapping[str, Any], line: dict[str, Any]) -> None:
        self.lines[row["proposal"]] = line
        worth = math.inf if row["score"] is None else -row["score"]
        insort(self._of_epochs.setdefault(row["epochs"], []), (worth, row["proposal"]))

    def _file(self, row: Mapping[str, Any]) -> Path:
        return self.folder.path / "paused" / f"{row['proposal']:04d}-{row['epochs']}.pt"
