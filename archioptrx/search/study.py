"""Study: several searches from one experiment file, whose key `vary` lists values of other keys. Torch-free.

    vary:
      sampler: [{name: random}, {name: gp, initial: 10}]
      seed: [0, 1, 2]

There is one search for each combination; the last key changes fastest. A value replaces that of the file at its key:
a whole section where the value is a mapping. `vary: {sampler: {name: [...]}}` is the same as `sampler.name: [...]`.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from archioptrx.core.config import bundled, finish, read_yaml
from archioptrx.core.errors import ArchiOpTrXError
from archioptrx.core.reading import reading
from archioptrx.runs.experiment import Experiment, parse_experiment
from archioptrx.runs.overrides import override
from archioptrx.runs.run_folder import SEARCHES
from archioptrx.search.comparable import differing_scores
from archioptrx.search.study_labels import distinct, labels_of
from archioptrx.tasks.options.meaning import kind_of_task

VARY = "vary"
LISTS = ("references", "earlier_runs")
"""Keys whose value is a list, which are varied as a whole."""
OF_EVENTS = ("data", "split", "test")
"""Keys that decide on which events a search is scored."""
OWN_FILES = frozenset({"experiment.yaml", SEARCHES, "lock"})
"""Files of a study's folder besides the folders of its searches."""
T = TypeVar("T")


@dataclass(frozen=True)
class Combination:
    """Combination of values: one search of a study.

    Attributes
    ----------
    values
        The value of each varied key.
    labels
        Short text for each value, different from those of the key's other values.
    name
        Name of its folder: the labels, joined by `-`.
    """

    values: Mapping[str, Any]
    labels: Mapping[str, str]
    name: str


@dataclass(frozen=True)
class Study:
    """Checked study.

    Attributes
    ----------
    document
        The experiment file, resolved: every key that isn't varied, then `vary`.
    combinations, experiments
        The searches, and the experiment of each.
    """

    document: Mapping[str, Any]
    combinations: tuple[Combination, ...]
    experiments: tuple[Experiment, ...]

    @property
    def name(self) -> str:
        """Name of the study, and of its folder."""
        return str(self.document["name"])

    @property
    def warnings(self) -> tuple[str, ...]:
        """Warning where the searches are scored on different events; empty where they aren't."""
        keys = [key for key in self.document[VARY] if key.split(".")[0] in OF_EVENTS]
        if not keys:
            return ()
        return (f"{VARY}: {', '.join(keys)}: scores of different events aren't compared with each other",)


def load_study(
    name: str | Path, overrides: Mapping[str, Any] | None = None, options: Mapping[str, str] | None = None
) -> Study | None:
    """Read a study by bundled name or path; None: the file describes one search.

    Parameters
    ----------
    overrides, options
        See `load_experiment`.

    Raises
    ------
    InputError
        One line for every fault, or an option sets a key that is varied.
    """
    path = bundled("experiments", name)
    with reading(str(path)):
        document = override(read_yaml(path), overrides or {}, str(path), options)
    if not isinstance(document, Mapping) or VARY not in document:
        return None
    return parse_study(document, str(path), options)


def parse_study(document: Mapping[str, Any], place: str, options: Mapping[str, str] | None = None) -> Study:
    """Check a document and every search of it; see `load_study`."""
    with reading(place):
        return _parsed(document, place, options)


def _parsed(document: Mapping[str, Any], place: str, options: Mapping[str, str] | None) -> Study:
    faults: list[str] = []
    vary = read_vary(document[VARY], place, faults, options)
    faults += varied_faults(vary, options or {}, place)
    finish(faults)
    common = {key: value for key, value in document.items() if key != VARY}
    # A section that stands nowhere but under `vary` is called by its place there too.
    only_there = {key.split(".")[0] for key in vary} - set(common)
    names = {**(options or {}), **{key: _at(key, place, options) for key in (*vary, *only_there)}}
    searches = combinations(vary)

    def parse(combination: Combination) -> Experiment:
        return parse_experiment(common, place, names, combination.values)

    experiments = for_each(searches, parse)
    finish([fault for experiment in experiments[1:] if (fault := _incomparable(experiment, experiments[0], place))][:1])
    resolved = experiments[0].to_dict()
    for key in vary:
        _remove(resolved, key)
    return Study({**resolved, VARY: {key: list(values) for key, values in vary.items()}}, searches, tuple(experiments))


def _incomparable(experiment: Experiment, first: Experiment, place: str) -> str:
    """Fault of a search whose scores mean something else than the first one's; empty where they mean the same."""
    kinds = [kind_of_task(search.task.options) for search in (first, experiment)]
    metrics = [", ".join(goal.metric for goal in search.objective.goals) for search in (first, experiment)]
    if kinds[0] != kinds[1]:
        differing = f"task {kinds[0]} and {kinds[1]}"
    elif metrics[0] != metrics[1]:
        differing = f"objective {metrics[0]} and {metrics[1]}"
    else:
        differing = differing_scores(first, experiment)
    if not differing:
        return ""
    return f"{place}: {VARY}: gives searches with {differing}; allowed: the same in all, as their scores are compared"


def read_vary(
    content: object, place: str, faults: list[str], options: Mapping[str, str] | None = None
) -> dict[str, tuple[Any, ...]]:
    """Read the lists of values, by dotted key; `options`: those that were given for the keys of a file."""
    lists = dict(_flat(content, ""))
    for key, values in lists.items():
        at = _at(key, place, options)
        if not isinstance(values, list) or not key:
            allowed = "a list of values" if key else "lists of values by key, such as {seed: [0, 1, 2]}"
            faults.append(f"{at}: is {values!r}; allowed: {allowed}")
            continue
        if not values:
            faults.append(f"{at}: is empty; allowed: one value or more")
        for index, value in enumerate(values):
            if isinstance(value, list) != (key in LISTS):
                allowed = "a list, such as [] or [a, b]" if key in LISTS else "a single value, or a mapping"
                faults.append(f"{at}[{index}]: is {value!r}; allowed: {allowed}")
            elif any(_same(value, other) for other in values[:index]):
                faults.append(f"{at}[{index}]: {value!r} stands twice; allowed: each value once")
        if key.split(".")[0] in ("name", VARY):
            faults.append(f"{at}: can't be varied; allowed: every other key")
        if key.split(".")[0] == "objective":
            faults.append(f"{at}: can't be varied: their scores aren't comparable; allowed: every other key")
        faults += [
            f"{at}: is inside {other}, which is varied too; allowed: one of them"
            for other in lists
            if key.startswith(f"{other}.")
        ]
    return {key: tuple(values) for key, values in lists.items() if isinstance(values, list)}


def _at(key: str, place: str, options: Mapping[str, str] | None) -> str:
    """Place of a varied key: in the file, or the option that gave it."""
    dotted = f"{VARY}.{key}" if key else VARY
    matching = [option for name, option in (options or {}).items() if f"{dotted}.".startswith(f"{name}.")]
    return f"--set {dotted}" if matching else f"{place}: {dotted}"


def varied_faults(vary: Mapping[str, Any], options: Mapping[str, str], place: str) -> list[str]:
    """Faults of options that set a varied key, a part of it, or a section around it."""
    return [
        f"{option}: {varied} is varied by {place}; allowed: --set {VARY}.{varied}=[...]"
        for key, option in options.items()
        for varied in vary
        if f"{key}.".startswith(f"{varied}.") or f"{varied}.".startswith(f"{key}.")
    ]


def _flat(content: object, key: str) -> Iterator[tuple[str, object]]:
    """Dotted keys of nested mappings."""
    if isinstance(content, Mapping) and content:
        for name, value in content.items():
            yield from _flat(value, f"{key}.{name}" if key else str(name))
    else:
        yield key, content


def _same(first: object, second: object) -> bool:
    """Whether two values are the same in YAML: 1 and true differ, though they are equal in Python."""
    return first == second and isinstance(first, bool) == isinstance(second, bool)


def _remove(document: dict[str, Any], dotted: str) -> None:
    *path, last = dotted.split(".")
    inside: Any = document
    for part in path:
        inside = inside.get(part) if isinstance(inside, dict) else None
    if isinstance(inside, dict):
        inside.pop(last, None)


def combinations(vary: Mapping[str, Sequence[Any]]) -> tuple[Combination, ...]:
    """All combinations of the values, the last key changing fastest.

    >>> [one.name for one in combinations({"sampler.name": ["random", "gp"], "seed": [0, 1]})]
    ['random-0', 'random-1', 'gp-0', 'gp-1']
    """
    pairs = [list(zip(values, labels_of(values), strict=True)) for values in vary.values()]
    chosen = [dict(zip(vary, choice, strict=True)) for choice in itertools.product(*pairs)]
    labels = [{key: label for key, (_, label) in choice.items()} for choice in chosen]
    # A label holds no hyphen, so that different ones can't be joined to the same name.
    names = distinct(["-".join(by_key.values()) for by_key in labels], OWN_FILES)
    return tuple(
        Combination({key: value for key, (value, _) in choice.items()}, label, name)
        for choice, label, name in zip(chosen, labels, names, strict=True)
    )


def for_each(combinations: Sequence[Combination], act: Callable[[Combination], T]) -> list[T]:
    """Call a function for every search, and report the faults of all.

    Raises
    ------
    InputError
        A fault of only some of them names these.
    """
    where: dict[str, list[str]] = {}
    results = []
    for combination in combinations:
        try:
            results.append(act(combination))
        except ArchiOpTrXError as error:
            for fault in error.faults:
                where.setdefault(fault, []).append(combination.name)
    finish([_fault_text(fault, names, len(combinations)) for fault, names in where.items()])
    return results


def _fault_text(fault: str, names: Sequence[str], total: int) -> str:
    if len(names) == total:
        return fault
    others = f" and {len(names) - 1} more" if len(names) > 1 else ""
    return f"{fault} (in {names[0]}{others})"
