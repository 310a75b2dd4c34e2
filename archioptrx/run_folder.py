"""The run folder: the whole truth of a search. It outlives a crash at any moment.

========================  ==================================================================================
`experiment.yaml`         the experiment, resolved
`function_graph.yaml`     the function graph (or `architecture.yaml`, the one that is searched) and the search space as
`search_space.yaml`       they were when the search began
`environment.json`        versions, hardware, fingerprint and split of the data, command, commit
`proposals.jsonl`         one line per proposal, on disk before its trial starts; `observed` says which results
                          the sampler had been told since the line before, so that a replay is exact
`screen.jsonl`            what the zero-cost screen found: one line per candidate that it scored
`trials.jsonl`            one line per ended trial, on disk before the sampler hears of it
`epochs.jsonl`            one line per epoch of each trial; not synced one by one: a crash of the machine may lose some
`logs/`                   what happened in each trial, in words
`weights/`                weights of the best trials, and of those that children inherit; there before the trial's line
`retrain.jsonl`           one line per ended retraining of the best candidates
`retrain/`                weights of retrainings, until the winner is known
`sampler.json`            the sampler's state after some proposal, with a digest of what led to it: a resume need
                          not begin at the first; nothing is lost without it
`learned.jsonl`           of a sampler that learns: one line whenever the functions' probabilities have changed
`best/`                   the winner: a model folder
`lock`                    held by the process that writes
========================  ==================================================================================

A line counts when its newline is on disk. Whole files and folders are written beside their place and renamed.
"""

from __future__ import annotations

import fcntl
import json
import math
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import yaml

from archioptrx.config import read_yaml
from archioptrx.errors import InputError
from archioptrx.experiment import Experiment, parse_experiment
from archioptrx.standings import ranked

SEARCHES = "searches.jsonl"
"""A file that only the folder of a study has: of several searches, each with its run folder inside."""


def plain(value: Any) -> Any:
    """Make JSON of nested data: numpy numbers become Python's, what is not a finite number becomes null."""
    if isinstance(value, Mapping):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    if not isinstance(value, str) and hasattr(value, "item") and getattr(value, "ndim", 0) == 0:
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def write_atomically(path: Path, content: str | bytes) -> None:
    """Write a file so that a reader, or a crash, sees the old one or the new one."""
    data = content.encode() if isinstance(content, str) else content
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(name, 0o644)
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


@contextmanager
def new_folder(target: Path, replace: bool = False) -> Iterator[Path]:
    """Give an empty folder that becomes `target` when the block ends.

    Parameters
    ----------
    replace
        Whether what stands there makes way. If not, only an empty folder may stand there.

    Raises
    ------
    InputError
        The folder can't be written, or something has appeared in its place.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        fresh = Path(tempfile.mkdtemp(prefix=f".{target.name}.new.", dir=target.parent))
    except OSError as error:
        raise InputError(f"{target}: can't be made: {(error.strerror or str(error)).lower()}") from error
    os.chmod(fresh, 0o755)
    old = target.parent / f".{target.name}.old"
    try:
        yield fresh
        if replace and target.exists():
            shutil.rmtree(old, ignore_errors=True)
            os.rename(target, old)
        try:
            os.rename(fresh, target)
        except OSError as error:
            raise InputError(f"{target}: is in use; legal: a new or empty folder") from error
        shutil.rmtree(old, ignore_errors=True)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


class Journal:
    """Lines of JSON, each flushed to the disk before `append` returns.

    Parameters
    ----------
    path
        The file; missing is the same as empty. A last line without its newline is what a crash left: readers skip
        it, and `repair`, which every writer begins with, removes it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: IO[bytes] | None = None

    def read(self) -> list[dict[str, Any]]:
        """All complete lines.

        Raises
        ------
        InputError
            A complete line is not JSON: someone else wrote to the file.
        """
        if not self.path.exists():
            return []
        *lines, _ = self.path.read_bytes().split(b"\n")
        rows = []
        for number, line in enumerate(lines, 1):
            try:
                rows.append(json.loads(line))
            except ValueError as error:
                raise InputError(f"{self.path}: line {number}: is not JSON; the file has been changed") from error
        return rows

    def append(self, row: Mapping[str, Any], sync: bool = True) -> None:
        """Add one line and wait until it is on disk; without `sync` until it outlives this process."""
        self.repair()
        assert self._file is not None
        self._file.write(json.dumps(plain(row), ensure_ascii=False, allow_nan=False).encode() + b"\n")
        self._file.flush()
        if sync:
            os.fsync(self._file.fileno())

    def repair(self) -> None:
        """Open the file for writing and remove what a crash left of a line."""
        if self._file is None:
            self._file = open(self.path, "ab")  # noqa: SIM115 - closed by close()
            self._file.truncate(self.path.read_bytes().rfind(b"\n") + 1)

    def close(self) -> None:
        """Close the file; a later `append` opens it again."""
        if self._file is not None:
            self._file.close()
            self._file = None


@contextmanager
def hold(folder: Path) -> Iterator[None]:
    """Hold the right to write to a folder. The kernel gives it back when the process ends, however it ends.

    Raises
    ------
    InputError
        Another process holds it.
    """
    with open(folder / "lock", "a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            file.seek(0)
            owner = file.read().strip() or "unknown"
            raise InputError(f"{folder}: process {owner} is writing to it; legal: wait, or stop it") from error
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        try:
            yield
        finally:
            file.truncate(0)


class RunFolder:
    """A run folder that exists. Reading needs no lock; `locked` is for the one process that writes.

    Attributes
    ----------
    path : Path
        The folder.
    proposals, trials, epochs, retrained, learned, screened : Journal
        Its journals.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        if not (self.path / "experiment.yaml").is_file():
            what = "holds no search" if self.path.is_dir() else "is no folder"
            raise InputError(f"{self.path}: {what}; legal: a folder that `archioptrx search` wrote")
        if is_study(self.path):
            one = next((str(path.parent) for path in sorted(self.path.glob("*/experiment.yaml"))), "none is left")
            raise InputError(f"{self.path}: holds a study of several searches; legal: one of them, such as {one}")
        self.proposals = Journal(self.path / "proposals.jsonl")
        self.trials = Journal(self.path / "trials.jsonl")
        self.epochs = Journal(self.path / "epochs.jsonl")
        self.retrained = Journal(self.path / "retrain.jsonl")
        self.learned = Journal(self.path / "learned.jsonl")
        self.screened = Journal(self.path / "screen.jsonl")

    @classmethod
    def create(
        cls,
        path: str | Path,
        experiment: Experiment,
        environment: Mapping[str, Any],
        files: Mapping[str, Path],
    ) -> RunFolder:
        """Make a run folder; it appears complete or not at all.

        Parameters
        ----------
        files
            What is copied into it, by name.

        Raises
        ------
        InputError
            The folder holds something already.
        """
        path = Path(path)
        refuse_used(path)
        with new_folder(path) as fresh:
            (fresh / "experiment.yaml").write_text(dump(experiment))
            (fresh / "environment.json").write_text(json.dumps(plain(environment), indent=2) + "\n")
            for name, source in files.items():
                shutil.copyfile(source, fresh / name)
            for name in ("proposals.jsonl", "trials.jsonl"):
                (fresh / name).touch()
        return cls(path)

    @property
    def best(self) -> Path:
        """Folder of the winner."""
        return self.path / "best"

    def weights(self, number: int) -> Path:
        """File of the trained weights of a trial, where the search keeps them."""
        return self.path / "weights" / f"{number:04d}.pt"

    def kept(self) -> list[int]:
        """Numbers of the trials whose weights are there."""
        return sorted(int(file.stem) for file in (self.path / "weights").glob("*.pt") if file.stem.isdecimal())

    def log(self, name: str) -> Path:
        """File that says in words what happened in a training: of trial 0007, or of its retraining 0007-1."""
        return self.path / "logs" / f"{name}.log"

    def curves(self) -> dict[int, list[dict[str, Any]]]:
        """Lines of `epochs.jsonl` by proposal, in the order of epochs; of trials that run, too.

        A trial that a crash stopped runs again from its first epoch: a line of an epoch takes the place of what was
        there of it, and of all that followed it.
        """
        found: dict[int, list[dict[str, Any]]] = {}
        for line in self.epochs.read():
            curve = found.setdefault(line["proposal"], [])
            curve[:] = [*(one for one in curve if one["epoch"] < line["epoch"]), line]
        return found

    def experiment(self) -> Experiment:
        """The experiment, with the function graph and the search space that this folder keeps."""
        place = self.path / "experiment.yaml"
        return parse_experiment(read_yaml(place), str(place))

    def environment(self) -> dict[str, Any]:
        """What `environment.json` holds."""
        content: dict[str, Any] = json.loads((self.path / "environment.json").read_text())
        return content

    def update(self, experiment: Experiment) -> None:
        """Write the experiment anew: its budget has been raised, say."""
        write_atomically(self.path / "experiment.yaml", dump(experiment))

    @contextmanager
    def locked(self) -> Iterator[RunFolder]:
        """Hold the right to write; see `hold`."""
        journals = [self.proposals, self.trials, self.retrained]
        if self.screened.path.exists():  # few searches have a screen
            journals.append(self.screened)
        with hold(self.path):
            try:
                for journal in journals:
                    journal.repair()
                yield self
            finally:
                for journal in (*journals, self.epochs, self.learned, self.screened):  # these aren't made empty
                    journal.close()

    def rows(self) -> list[dict[str, Any]]:
        """Ended trials, best first; see `archioptrx.standings.ranked`."""
        return ranked(self.trials.read())

    def proposal(self, number: int) -> dict[str, Any]:
        """The line of a proposal. Raises InputError if there is none."""
        lines = {line["proposal"]: line for line in self.proposals.read() if "refused" not in line}
        if number not in lines:
            there = f"legal: 0000 … {max(lines):04}" if lines else "there is none yet"
            raise InputError(f"{self.path}/{number:04}: no such trial; {there}")
        return lines[number]


def trial_of(name: str | Path) -> tuple[RunFolder, int] | None:
    """Run folder and number where `name` is RUN/ID; None: it is something else.

    Raises
    ------
    InputError
        RUN is a study.
    """
    path = Path(name)
    if path.name.isdecimal() and (path.parent / "experiment.yaml").is_file() and not path.exists():
        return RunFolder(path.parent), int(path.name)
    return None


def is_study(path: Path) -> bool:
    """Whether a folder holds a study, not one search."""
    return (path / SEARCHES).is_file()


def dump(experiment: Experiment) -> str:
    """The text of a resolved experiment."""
    return yaml.safe_dump(plain(experiment.to_dict()), sort_keys=False, allow_unicode=True)


def refuse_used(path: Path) -> None:
    """Raise InputError if a new run, or model, can't be put there."""
    if not path.exists():
        return
    if not path.is_dir():
        raise InputError(f"{path}: is a file; legal: a new or empty folder")
    if (path / "experiment.yaml").exists():
        raise InputError(f"{path}: holds another search; legal: --resume {path}, or another --output")
    if any(path.iterdir()):
        raise InputError(f"{path}: holds other files; legal: a new or empty folder")


def next_folder(name: str, parent: Path = Path("runs")) -> Path:
    """First of `runs/<name>-1`, `runs/<name>-2` … after all that exist."""
    numbers = [0]
    for path in parent.glob(f"{name}-*"):
        tail = path.name.removeprefix(f"{name}-")
        if tail.isdecimal():
            numbers.append(int(tail))
    return parent / f"{name}-{max(numbers) + 1}"
