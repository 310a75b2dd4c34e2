"""Functions of a search in `archioptrx inspect`: share of proposals of each, and learned probabilities."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.table import Table

from archioptrx.core.errors import InputError
from archioptrx.graphs.drawing.course import Course
from archioptrx.graphs.drawing.function_graph import draw_course, draw_walk
from archioptrx.graphs.function_graph import FunctionGraph
from archioptrx.runs.experiment import Experiment
from archioptrx.runs.function_statistics import Window, probability_changes, span_text, windows_of
from archioptrx.runs.run_folder import RunFolder
from archioptrx.runs.text import plain_text

BARS = "▁▂▃▄▅▆▇█"
SHARE = "share of the proposals that have each function"
PROBABILITY = "mean probability of each function where it may be chosen"


@dataclass(frozen=True)
class Functions:
    """The functions of a run.

    Attributes
    ----------
    run, sampler
        Name of the run's folder and of its sampler.
    graph
        The function graph.
    windows
        The search so far, in parts.
    learned
        Lines of `learned.jsonl`.
    """

    run: str
    sampler: str
    graph: FunctionGraph
    windows: Sequence[Window]
    learned: Sequence[Mapping[str, Any]]

    @classmethod
    def of(cls, folder: RunFolder, experiment: Experiment) -> Functions:
        """Read a run folder.

        Raises
        ------
        InputError
            The search was over one architecture.
        """
        path = folder.path / "function_graph.yaml"
        if not path.is_file():
            raise InputError(
                f"{folder.path}: has no function graph: one architecture was searched; allowed: another run"
            )
        graph = FunctionGraph.load(path)
        learned = folder.learned.read()
        windows = windows_of(list(folder.proposed().values()), learned, graph.function)
        return cls(folder.path.resolve().name, str(experiment.sampler["name"]), graph, windows, learned)

    @property
    def proposals(self) -> int:
        """Number of proposals."""
        return sum(window.proposals for window in self.windows)

    def text(self) -> str:
        """Tables for a terminal: functions that are now most probable, or most frequent, first."""
        if not self.windows:
            return "no proposal yet"
        parts = [self._table(SHARE, lambda window: window.share)]
        if self.learned:
            parts.append(self._table(f"{self.sampler}: {PROBABILITY}", lambda window: window.probability))
        return "\n\n".join(parts)

    def _names(self) -> list[str]:
        last = self.windows[-1]
        return sorted(self.graph.function, key=lambda n: (-last.probability.get(n, -1.0), -last.share[n], n))

    def _table(self, title: str, values: Callable[[Window], Mapping[str, float]]) -> str:
        table = Table(box=None, pad_edge=False, header_style="bold")
        table.add_column("function", no_wrap=True)
        for window in self.windows:
            table.add_column(span_text(window), justify="right", no_wrap=True)
        table.add_column("", no_wrap=True)
        rows = {name: [values(window).get(name) for window in self.windows] for name in self._names()}
        top = max((value for row in rows.values() for value in row if value is not None), default=1.0)
        for name, row in rows.items():
            table.add_row(name, *("–" if value is None else f"{value:.2f}" for value in row), bars(row, top))
        return f"{title}, by number of the proposal\n{plain_text(table)}"

    def summary(self, count: int = 3) -> str | None:
        """One line with the largest changes; None: nothing was learned."""
        largest = [f"{name} {first:.2f} → {now:.2f}" for name, first, now in probability_changes(self.learned)[:count]]
        return f"{self.sampler} has learned: {', '.join(largest)}; all: --functions" if largest else None

    def document(self) -> dict[str, Any]:
        """The tables, for JSON."""
        return {"windows": [asdict(window) for window in self.windows], "learned": list(self.learned)}

    def draw(self, folder: Path) -> list[Path]:
        """Draw the function graph with the course of the search, as `functions.svg` and `.png`; the paths.

        Raises
        ------
        InputError
            The folder is a file, or can't be written.
        """
        now = f"after {self.proposals} proposals"
        if self.learned:
            rows = [row["functions"] for row in self.learned]
            course = Course("probability", {name: [row.get(name) for row in rows] for name in self.graph.function})
            picture = draw_course(
                self.graph, course, f"{self.run}: what the {self.sampler} has learned {now}: {PROBABILITY}"
            )
        elif self.windows:
            shares = {name: [window.share[name] for window in self.windows] for name in self.graph.function}
            picture = draw_course(
                self.graph, Course("share", shares), f"{self.run}: {self.sampler} search {now}: {SHARE}"
            )
        else:
            picture = draw_walk(self.graph, title=f"{self.run}: function graph {self.graph.name}")
        return picture.save(folder, "functions")


def bars(values: Sequence[float | None], top: float) -> str:
    """A curve of bars between 0 and the largest value.

    >>> bars([0.0, None, 0.25, 0.5], 0.5)
    '▁ ▅█'
    """
    share = [None if value is None else value / top if top > 0 else 0.0 for value in values]
    return "".join(" " if value is None else BARS[min(7, int(value * 8))] for value in share)
