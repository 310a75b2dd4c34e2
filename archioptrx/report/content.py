"""Content of a run folder, read once for all sections of its report, also while a search is running. No torch here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from markupsafe import Markup

from archioptrx.graphs.computation_graph import ComputationGraph
from archioptrx.graphs.drawing.network import source_widths, svg_of
from archioptrx.graphs.function_graph import FunctionGraph
from archioptrx.runs.experiment import Experiment
from archioptrx.runs.run_folder import RunFolder


@dataclass(frozen=True)
class Content:
    """Content of a run folder.

    Attributes
    ----------
    folder, experiment, environment
        The folder, and the content of `experiment.yaml` and `environment.json`.
    rows
        Ended trials, best first.
    proposals
        Lines of `proposals.jsonl` by number; also proposals that never ran.
    refused
        Lines of proposals that a worker refused, because they break a constraint that is known only there.
    top
        Number of the best trials that are shown in detail.
    """

    folder: RunFolder
    experiment: Experiment
    environment: Mapping[str, Any]
    rows: Sequence[Mapping[str, Any]]
    proposals: Mapping[int, Mapping[str, Any]]
    refused: Sequence[Mapping[str, Any]]
    top: int

    @classmethod
    def read(cls, folder: RunFolder, top: int = 10) -> Content:
        """Read a run folder.

        Raises
        ------
        InputError
            A file of the folder is damaged.
        """
        experiment = folder.experiment()
        rows = folder.rows()  # before the proposals: so each row has its proposal even if the search is running
        lines = folder.proposals.read()
        return cls(
            folder,
            experiment,
            folder.environment(),
            rows,
            {line["proposal"]: line for line in lines if "refused" not in line},
            [line for line in lines if "refused" in line],
            top,
        )

    @property
    def best(self) -> Sequence[Mapping[str, Any]]:
        """Trials that are shown in detail: the first `top` that have a score."""
        return [row for row in self.rows if row["score"] is not None][: self.top]

    def graph(self, proposal: int) -> ComputationGraph:
        """Computation graph of a proposal, read once."""
        if proposal not in self._graphs:
            self._graphs[proposal] = ComputationGraph.from_dict(self.proposals[proposal]["graph"])
        return self._graphs[proposal]

    @cached_property
    def _graphs(self) -> dict[int, ComputationGraph]:
        return {}

    def drawing(self, row: Mapping[str, Any]) -> Markup:
        """Drawing of a trial's network as one `<svg>`, with the widths of its training where they are known.

        Each is in the page once, and scripts copy it to where it is shown.
        """
        graph, widths = self.graph(row["proposal"]), self.environment["data"].get("widths", {})
        return Markup(svg_of(graph, source_widths(graph, widths), row["hyperparameters"], legend=False))

    def numbered(self, rows: Iterable[Mapping[str, Any]]) -> list[tuple[int, Mapping[str, Any]]]:
        """Trials with their indices in `rows`, by which scripts identify them."""
        place = {row["proposal"]: i for i, row in enumerate(self.rows)}
        return [(place[row["proposal"]], row) for row in rows]

    @cached_property
    def function_graph(self) -> FunctionGraph | None:
        """Function graph; None where a single architecture was searched."""
        path = self.folder.path / "function_graph.yaml"
        return FunctionGraph.load(path) if path.is_file() else None

    @cached_property
    def curves(self) -> dict[int, list[dict[str, Any]]]:
        """Lines of `epochs.jsonl` by proposal, in the order of epochs; empty where the run has none."""
        return self.folder.curves()

    @cached_property
    def winner(self) -> Mapping[str, Any] | None:
        """Content of `best/metrics.json`; None before the search has ended."""
        return self.folder.winner()
