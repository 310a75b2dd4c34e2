"""Run of a study: makes its folder with the folders of all its searches, then runs one search after the other.

The folder is complete from the start: `experiment.yaml` of the study and a whole run folder for each search. A killed
study is continued from it; `searches.jsonl` has one line per ended search.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from archioptrx.core.config import read_yaml
from archioptrx.core.errors import InputError, WriteError
from archioptrx.core.files import Journal, Types, hold, new_folder, plain, refuse_used, write_atomically
from archioptrx.runs.experiment import Experiment, parse_experiment
from archioptrx.runs.overrides import override
from archioptrx.runs.run_folder import SEARCHES, Number, RunFolder
from archioptrx.search.setup import Setup, prepare
from archioptrx.search.study import VARY, Combination, Study, combinations, for_each, read_vary, varied_faults

if TYPE_CHECKING:
    from archioptrx.search.run import Events, SearchResult

ENDED: dict[str, Types] = {"search": str, "budget": dict, "seconds": Number}
"""Keys of a line of `searches.jsonl`."""
Search = Callable[[Setup, "Events", RunFolder], "SearchResult"]
"""Function that runs one search, or the remaining part of it, in its folder."""


class StudyFolder:
    """Folder of a study.

    Attributes
    ----------
    document : Mapping
        Content of its `experiment.yaml`.
    combinations : tuple of Combination
        The searches; each has the folder of its name.
    searches : Journal
        One line per ended search: its name, the budget that it ended with, seconds of wall time.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        place = str(path / "experiment.yaml")
        self.document: dict[str, Any] = read_yaml(place)
        if not isinstance(self.document, dict) or VARY not in self.document:
            raise InputError(f"{place}: lacks {VARY}; the file has been changed")
        faults: list[str] = []
        self.vary = read_vary(self.document[VARY], place, faults)
        if faults:
            raise InputError(*faults)
        self.combinations = combinations(self.vary)
        self.searches = Journal(path / SEARCHES, ENDED)

    def run(self, combination: Combination) -> RunFolder:
        """Folder of a search."""
        return RunFolder(self.path / combination.name)

    def ends(self) -> dict[str, dict[str, Any]]:
        """Last line of each search that has ended, by name."""
        return {line["search"]: line for line in self.searches.read()}


def prepared(study: Study) -> list[Setup]:
    """Check every search of a study, without torch."""
    experiments = {
        combination.name: experiment
        for combination, experiment in zip(study.combinations, study.experiments, strict=True)
    }
    return for_each(study.combinations, lambda combination: prepare(experiments[combination.name]))


def new_study(path: Path, study: Study, setups: Sequence[Setup], events: EventsOf) -> StudyFolder:
    """Make the folder of a study and of all its searches; it appears complete or not at all."""
    # torch is imported from here on.
    from archioptrx.search.run import check_events, new_run

    by_name = {combination.name: setup for combination, setup in zip(study.combinations, setups, strict=True)}
    for_each(
        study.combinations,
        lambda combination: check_events(by_name[combination.name], events(by_name[combination.name].experiment)),
    )
    refuse_used(path)
    with new_folder(path) as fresh:
        (fresh / "experiment.yaml").write_text(_dump(study.document))
        (fresh / SEARCHES).touch()
        for name, setup in by_name.items():
            new_run(fresh / name, setup, events(setup.experiment))
    return StudyFolder(path)


def reopened(path: Path, overrides: Mapping[str, Any], options: Mapping[str, str]) -> tuple[StudyFolder, list[Setup]]:
    """Open the folder of an interrupted study; its searches are checked, with the options applied.

    Raises
    ------
    InputError
        One line for every fault.
    """
    folder = StudyFolder(path)
    place = str(path / "experiment.yaml")
    wrong = varied_faults(folder.vary, options, place)
    if wrong:
        raise InputError(*(fault.partition("; allowed")[0] for fault in wrong))

    def setup_of(combination: Combination) -> Setup:
        run = folder.run(combination)
        return prepare(parse_experiment(run.document(), run.place, options, overrides), run.path)

    setups = for_each(folder.combinations, setup_of)
    folder.document = override(folder.document, overrides, place, options)
    return folder, setups


def run_study(folder: StudyFolder, setups: Sequence[Setup], events: EventsOf, search: Search) -> list[str]:
    """Run the searches that have not ended.

    Returns
    -------
    Faults of searches that ran but found no winner, e.g. because all trials failed; the others are run all the same.

    Raises
    ------
    InputError
        A search could not even begin, or another process writes to the folder.
    """
    from archioptrx.search.run import check_unchanged

    faults: list[str] = []
    with hold(folder.path):
        write_atomically(folder.path / "experiment.yaml", _dump(folder.document))
        ends = folder.ends()
        for number, (combination, setup) in enumerate(zip(folder.combinations, setups, strict=True), 1):
            if _has_ended(ends.get(combination.name), setup.experiment):
                continue
            print(f"search {number} of {len(setups)}: {combination.name}", file=sys.stderr)
            run = folder.run(combination)
            check_unchanged(run, setup, events(setup.experiment))
            before, begun = _seconds(run, setup.experiment), time.monotonic()
            try:
                with run.locked():
                    run.update(setup.experiment)
                    search(setup, events(setup.experiment), run)
            except InputError as error:
                if isinstance(error, WriteError) or not run.trials.read():
                    raise
                faults += [f"{combination.name}: {fault}" for fault in error.faults]
                continue
            seconds = before + time.monotonic() - begun
            folder.searches.append(
                {"search": combination.name, "budget": asdict(setup.experiment.budget), "seconds": seconds}
            )
        folder.searches.close()
    return faults


def _has_ended(line: Mapping[str, Any] | None, experiment: Experiment) -> bool:
    """Whether a search has ended with the budget that it has now."""
    return line is not None and line["budget"] == asdict(experiment.budget)


def _seconds(run: RunFolder, experiment: Experiment) -> float:
    """Wall time of earlier sessions, estimated from the time of the trials: a killed process recorded nothing else."""
    return sum(float(row["seconds"]) for row in run.last_rows()) / experiment.resources.workers


@dataclass
class EventsOf:
    """Cache of the events of the last experiment; they are read again only where the data differ."""

    known: str = ""
    events: Any = None

    def __call__(self, experiment: Experiment) -> Events:
        """Give the events of an experiment, read if necessary."""
        from archioptrx.search.run import load_events

        key = json.dumps(plain([experiment.data.to_dict(), asdict(experiment.split), experiment.test]), sort_keys=True)
        if key != self.known:
            self.events = load_events(experiment)
            self.known = key
        events: Events = self.events
        return events


def _dump(document: Mapping[str, Any]) -> str:
    return yaml.safe_dump(plain(document), sort_keys=False, allow_unicode=True)
