"""Keeps in the run folder what a sampler knows, so that a resume is quick, and what it has learned, to be looked at.

The journals are the truth: a fresh sampler that is told all of them is where the old one was. For a sampler whose
proposals are dear that takes a while, so its state is written now and then, with a digest of the history that it
stands for. What doesn't fit the journals to the letter is not used.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from archioptrx.core.errors import ArchiOpTrXError
from archioptrx.core.files import plain, write_atomically
from archioptrx.core.version import __version__
from archioptrx.runs.run_folder import RunFolder
from archioptrx.sampling.samplers import Sampler

EVERY = 10
"""Proposals between two snapshots, at least; and at least a tenth of all, for states grow with a search."""


class SnapshotError(ArchiOpTrXError):
    """A snapshot fits the journals, but not the sampler: what it proposes is not what was proposed."""


class History:
    """A digest of what happened to a sampler: its proposals, and the rows that it was told before each.

    Attributes
    ----------
    proposals, told
        How many.
    """

    def __init__(self) -> None:
        self.proposals = self.told = 0
        self._digest = hashlib.sha256()

    def add(self, line: Mapping[str, Any], rows: Mapping[int, Mapping[str, Any]]) -> None:
        """One more line of `proposals.jsonl`; `rows` by proposal."""
        self.proposals, self.told = self.proposals + 1, self.told + len(line["observed"])
        self._digest.update(canonical_json([line, *(rows.get(number) for number in line["observed"])]).encode())

    @property
    def digest(self) -> str:
        """Of all so far."""
        return self._digest.hexdigest()


def canonical_json(content: Any) -> str:
    """One text for equal content, whether it comes from memory or from a journal."""
    return json.dumps(plain(content), sort_keys=True, ensure_ascii=False, allow_nan=False)


class Keeper:
    """Writes `sampler.json` and `learned.jsonl` of a run folder.

    Parameters
    ----------
    folder
        A locked run folder.
    identity
        What the sampler was made of: its name and options, the seed, the space.
    note
        Tells a person.
    trusting
        Whether a snapshot is used at all.
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
        self._kept = 0
        self._unkeepable = False
        noted = self._journal.read()
        self._learned: Mapping[str, float] = noted[-1]["functions"] if noted else {}
        self._noted: int = noted[-1]["proposal"] if noted else -1

    def restore(
        self, sampler: Sampler, lines: Sequence[Mapping[str, Any]], rows: Mapping[int, Mapping[str, Any]]
    ) -> int:
        """Bring a fresh sampler where its snapshot is; how many of the lines it then has proposed (0: none).

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
            raise SnapshotError(f"{self.path}: can't be loaded: {type(error).__name__}: {error}") from error
        self._kept = count
        return int(count)

    def _misfit(
        self, content: Mapping[str, Any], lines: Sequence[Mapping[str, Any]], rows: Mapping[int, Mapping[str, Any]]
    ) -> str | None:
        """Why a snapshot isn't one of this search."""
        if content["identity"] != self.identity:
            return "is of another sampler, seed, space or version"
        if content["proposals"] > len(lines):
            return f"is ahead of the journals, by {content['proposals'] - len(lines)} proposals"
        history = History()
        for line in lines[: content["proposals"]]:
            history.add(line, rows)
        same = (history.digest, history.told) == (content["history"], content["told"])
        return None if same else "is of another history"

    def replayed(self, sampler: Sampler | None, line: Mapping[str, Any], rows: Mapping[int, Mapping[str, Any]]) -> None:
        """A recorded proposal has been drawn again; None: it was part of the snapshot."""
        self._history.add(line, rows)
        if sampler is not None:
            self._note_learned(sampler, line["proposal"])

    def proposed(
        self, sampler: Sampler, line: Mapping[str, Any], rows: Mapping[int, Mapping[str, Any]], last: bool
    ) -> None:
        """A new proposal is in the journal; `last`: no further one is planned."""
        self._history.add(line, rows)
        self._note_learned(sampler, line["proposal"])
        due = self._history.proposals >= max(self._kept + EVERY, 1.1 * self._kept)
        if (due or last) and not self._unkeepable:
            self._write(sampler)

    def _note_learned(self, sampler: Sampler, proposal: int) -> None:
        """One line where the probabilities differ from those of the line before."""
        learned = {name: round(float(p), 6) for name, p in sampler.learned().items()}
        if proposal > self._noted and learned != self._learned:
            self._journal.append({"proposal": proposal, "functions": learned})
            self._noted, self._learned = proposal, learned

    def _write(self, sampler: Sampler) -> None:
        history = self._history
        try:
            state = json.dumps(sampler.state_dict(), allow_nan=False)
        except (TypeError, ValueError) as error:
            self._unkeepable = True
            self.note(f"{self.path}: isn't written: the sampler's state is no plain data ({error})")
            return
        header = {
            "identity": self.identity,
            "proposals": history.proposals,
            "told": history.told,
            "history": history.digest,
        }
        body = f'{canonical_json(header)[:-1]}, "state": {state}}}'
        write_atomically(self.path, f"{hashlib.sha256(body.encode()).hexdigest()}\n{body}\n")
        self._kept = history.proposals


def read_snapshot(path: Path) -> dict[str, Any] | None:
    """What `sampler.json` holds; None: it isn't what was written."""
    digest, _, body = path.read_bytes().partition(b"\n")
    if hashlib.sha256(body.removesuffix(b"\n")).hexdigest().encode() != digest:
        return None
    content: dict[str, Any] = json.loads(body)
    return content
