"""References of a search: read from their files when it begins, and from the copies in its run folder after that."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from archioptrx.core.config import bundled
from archioptrx.core.files import Journal, Types, plain
from archioptrx.graphs.architecture import Architecture
from archioptrx.graphs.decisions import Trace
from archioptrx.runs.experiment import Experiment
from archioptrx.sampling.candidate import Candidate
from archioptrx.search.rules import Reference
from archioptrx.search.space import FOLDERS, load_architecture
from archioptrx.search.walk_space import tried

FILE = "references.jsonl"
"""Copies of the references in a run folder, a line for each."""
_KEYS: dict[str, Types] = {"path": str, "name": str, "architecture": dict}


def references_of(experiment: Experiment, run: Path | None, faults: list[str]) -> list[Reference | None]:
    """References in the order of the experiment; None in the place of one that can't be read, whose faults are added.

    Parameters
    ----------
    run
        Folder of a search that goes on: its copies are read, wherever their files are now. A folder of an earlier
        version has none.
    """
    if run is None or not (run / FILE).is_file():
        return [tried(faults, partial(_of_file, name)) for name in experiment.references]
    lines = Journal(run / FILE, _KEYS).read()
    began = [line["path"] for line in lines]
    if began != [*experiment.references]:
        allowed = f"[{', '.join(began)}]"
        faults.append(f"{run / 'experiment.yaml'}: references: was changed since the search began; allowed: {allowed}")
        return []
    places = [f"{run / FILE}: line {number}" for number in range(1, len(lines) + 1)]
    return [tried(faults, partial(_of_line, line, place)) for line, place in zip(lines, places, strict=True)]


def references_text(experiment: Experiment, references: Sequence[Reference]) -> str:
    """Content of the file of copies; of more references, those of the experiment are the last ones."""
    named = references[len(references) - len(experiment.references) :]
    return "".join(
        json.dumps(plain({"path": path, "name": reference.name, "architecture": _form(reference)}), ensure_ascii=False)
        + "\n"
        for path, reference in zip(experiment.references, named, strict=True)
    )


def _form(reference: Reference) -> dict[str, object]:
    candidate = reference.candidate
    trace = candidate.trace if candidate.trace.decisions else None
    return Architecture(candidate.graph, candidate.hyperparameters, trace=trace).to_dict()


def _of_file(name: str) -> Reference:
    path = bundled(FOLDERS["architecture"], name)
    name = path.stem if path.stem != "architecture" else "/".join(path.parts[-3:-1])  # of a run's best
    return _of(name, load_architecture(path))


def _of_line(line: Mapping[str, Any], place: str) -> Reference:
    return _of(line["name"], Architecture.from_dict(line["architecture"], place))


def _of(name: str, architecture: Architecture) -> Reference:
    trace = architecture.trace or Trace(())
    return Reference(name, Candidate(trace, architecture.graph, architecture.hyperparameters))
