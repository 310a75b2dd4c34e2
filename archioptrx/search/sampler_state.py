"""State of a sampler in the run folder, for a quick resume, and its probabilities over the search, for inspection.

The journals `proposals.jsonl` and `trials.jsonl` decide: a new sampler that receives their results in the recorded
order and proposes again has the state of the old one. That takes long for a sampler whose proposals are expensive
(`gp`), so its state is written from time to time as a snapshot, with a digest of the lines and rows that it has seen.

Invariant: a snapshot is used only if its digest equals that of the first lines of the journals, its origin (sampler,
options, seed, space, version) is the same and its file is undamaged. In all other cases all proposals are drawn again,
which gives the same search.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from archioptrx.core.errors import ArchiOpTrXError, error_text
from archioptrx.core.files import plain, write_atomically
from archioptrx.core.version import __version__
from archioptrx.runs.run_folder import RunFolder
from archioptrx.sampling.samplers import Sampler

EVERY = 10
"""Least number of proposals between two snapshots. It is also at least a tenth of all proposals: the state grows with
the search, and so the time for all snapshots stays proportional to the last one."""


Rows = Mapping[int, Sequence[Mapping[str, Any]]]
"""Rows of the trials by number: one, and where a trial had paused one more for each part of it."""


def next_row(rows: Rows, number: int, received: Counter[int]) -> Mapping[str, Any] | None:
    """The next row of a trial for the sampler, which receives each one once; None: the trial was refused.

    `received` counts those that it has; it is increased here.
    """
    received[number] += 1
    return rows[number][received[number] - 1] if number in rows else None


class SnapshotError(ArchiOpTrXError):
    """A snapshot that fits the journals, but after which the sampler proposes something else than was recorded."""


class History:
    """Digest of all that a sampler has seen: its proposals, and the results that it received before each of them.

    Attributes
    ----------
    proposals, observed
        Numbers of proposals and of results that the sampler has received.
    """

    def __init__(self) -> None:
        self.proposals = self.observed = 0
        self._digest = hashlib.sha256()
        self._received: Counter[int] = Counter()

    def add(self, line: Mapping[str, Any], rows: Rows) -> None:
        """Add a line of `proposals.jsonl`."""
        self.proposals, self.observed = self.proposals + 1, self.observed + len(line["observed"])
        received = [next_row(rows, number, self._received) for number in line["observed"]]
        self._digest.update(canonical_json([line, *received]).encode())

    @property
    def digest(self) -> str:
        """SHA-256 of all lines and rows so far."""
        return self._digest.hexdigest()


def canonical_json(content: Any) -> str:
    """Canonical JSON text: equal for equal content, whether it comes from memory or from a journal."""
    return json.dumps(plain(content), sort_keys=True, ensure_ascii=False, allow_nan=False)


class Keeper:
    """Writes `sampler.json` and `learned.jsonl` of a run folder.

    Parameters
    ----------
    folder
        A locked run folder.
    identity
        Origin of the sampler: its name and options, the seed, the space.
    note
        Function that shows a message to the user.
    trusting
        True: snapshots are read; False: all proposals are drawn again.
    """

    def __init__(
        self,
        folder: RunFolder,
        identity: Mapping[str, Any],
        note: Callable[[str], None],
        trusting: bool = True,
    ) -> None:
        self.path, self._journal = folder.path / "sampler.json", folder.learned
        self.identity, self.note, self.trusting = {**plain(identity), "version": __version__}, note, trusting
        self._history = History()
        self._snapshot_at = 0
        self._not_serialisable = False
        noted = self._journal.read()
        self._learned: Mapping[str, float] = noted[-1]["functions"] if noted else {}
        self._noted: int = noted[-1]["proposal"] if noted else -1

    def restore(self, sampler: Sampler, lines: Sequence[Mapping[str, Any]], rows: Rows) -> int:
        """Load the snapshot into a new sampler; the number of lines that it stands for (0: no snapshot is used).

        Raises
        ------
        SnapshotError
            The sampler can't read the state.
        """
        if not (self.trusting and self.path.exists()):
            return 0
        content = read_snapshot(self.path)
        count = content["proposals"] if content else 0
        why = "is damaged" if content is None else self._misfit(content, lines, rows)
        if content is None or why:
            self.note(f"{self.path}: {why}: all proposals are drawn again instead")
            return 0
        try:
            sampler.load_state_dict(content["state"])
        except (ArchiOpTrXError, ValueError, TypeError, LookupError, AttributeError, RuntimeError) as error:
            raise SnapshotError(f"{self.path}: can't be loaded: {error_text(error)}") from error
        self._snapshot_at = count
        return int(count)

    def _misfit(self, content: Mapping[str, Any], lines: Sequence[Mapping[str, Any]], rows: Rows) -> str | None:
        """Reason why a snapshot doesn't belong to this search; None: it does."""
        if content["identity"] != self.identity:
            return "is of another sampler, seed, space or version"
        if content["proposals"] > len(lines):
            return f"is ahead of the journals, by {content['proposals'] - len(lines)} proposals"
        history = History()
        for line in lines[: content["proposals"]]:
            history.add(line, rows)
        same = (history.digest, history.observed) == (content["history"], content["told"])
        return None if same else "is of another history"

    def replayed(self, sampler: Sampler | None, line: Mapping[str, Any], rows: Rows) -> None:
        """Add a recorded proposal to the history; `sampler` None: it was part of the snapshot."""
        self._history.add(line, rows)
        if sampler is not None:
            self._note_learned(sampler, line["proposal"])

    def proposed(self, sampler: Sampler, line: Mapping[str, Any], rows: Rows, last: bool) -> None:
        """Add a new proposal to the history, and write a snapshot if one is due; `last`: no further one is planned."""
        self._history.add(line, rows)
        self._note_learned(sampler, line["proposal"])
        due = self._history.proposals >= max(self._snapshot_at + EVERY, 1.1 * self._snapshot_at)
        if (due or last) and not self._not_serialisable:
            self._write(sampler)

    def _note_learned(self, sampler: Sampler, proposal: int) -> None:
        """Append a line to `learned.jsonl` if the probabilities have changed since the last one."""
        learned = {name: round(float(p), 6) for name, p in sampler.learned().items()}
        if proposal > self._noted and learned != self._learned:
            self._journal.append({"proposal": proposal, "functions": learned})
            self._noted, self._learned = proposal, learned

    def _write(self, sampler: Sampler) -> None:
        history = self._history
        try:
            state = json.dumps(sampler.state_dict(), allow_nan=False)
        except (TypeError, ValueError) as error:
            self._not_serialisable = True
            self.note(f"{self.path}: isn't written: the sampler's state is no plain data ({error})")
            return
        header = {
            "identity": self.identity,
            "proposals": history.proposals,
            "told": history.observed,
            "history": history.digest,
        }
        body = f'{canonical_json(header)[:-1]}, "state": {state}}}'
        write_atomically(self.path, f"{hashlib.sha256(body.encode()).hexdigest()}\n{body}\n")
        self._snapshot_at = history.proposals


def read_snapshot(path: Path) -> dict[str, Any] | None:
    """Content of `sampler.json`; None: its digest doesn't match."""
    digest, _, body = path.read_bytes().partition(b"\n")
    if hashlib.sha256(body.removesuffix(b"\n")).hexdigest().encode() != digest:
        return None
    content: dict[str, Any] = json.loads(body)
    return content
