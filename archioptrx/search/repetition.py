"""Exact repetition of a trial: its spec, obstacles, and the comparison with the original result."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from archioptrx.graphs.computation_graph import ComputationGraph
from archioptrx.runs.run_folder import RunFolder
from archioptrx.search.setup import Specs
from archioptrx.training.settings import Training
from archioptrx.training.trial_spec import TrialLimits, TrialSpec


@dataclass(frozen=True)
class Repetition:
    """Trial that is trained again under the same conditions.

    Attributes
    ----------
    folder
        Run folder of the trial.
    line
        Line of `proposals.jsonl`.
    row
        Row of `trials.jsonl`; None: the trial hasn't ended.
    """

    folder: RunFolder
    line: Mapping[str, Any]
    row: Mapping[str, Any] | None

    @classmethod
    def of(cls, folder: RunFolder, line: Mapping[str, Any]) -> Repetition:
        """Find the row that belongs to the line of a proposal."""
        rows = {row["proposal"]: row for row in folder.last_rows()}
        return cls(folder, line, rows.get(line["proposal"]))

    @property
    def name(self) -> str:
        """Name of the trial: `trial 0007`."""
        return f"trial {self.line['proposal']:04d}"

    def spec(self, specs: Specs, graph: ComputationGraph) -> TrialSpec:
        """Specification of the training, with test metrics and weights; `graph` is that of the line.

        A trial that was pruned has the schedule of all its epochs, but stops where it was stopped.
        """
        spec = replace(specs.trial(self.line, graph), final=True, limits=TrialLimits())
        if self.row is None:
            return spec
        if "training" in self.row:
            spec = replace(spec, training=Training(**self.row["training"]))
        return replace(spec, stop=self.row["epochs"]) if self.row["status"] == "pruned" else spec

    def obstacles(self, spec: TrialSpec, fingerprint: str) -> list[str]:
        """Reasons why the training of a spec, on data with this fingerprint, can't give the same result."""
        obstacles = []
        if self.row and (inherited := self.row.get("inherited")):  # of weight inheritance, which is gone
            obstacles.append(
                f"{self.name} began with weights of trial {inherited['parent']}: this one begins with fresh ones"
            )
        if self.row and self.row.get("device", spec.device) != spec.device:
            obstacles.append(f"{self.name} was trained on {self.row['device']}, this one on {spec.device}")
        if self.folder.fingerprint() != fingerprint:
            obstacles.append("the data have changed since the search")
        return obstacles

    def verdict(
        self, scores: Sequence[float | None], digest: str, versions: Mapping[str, Any]
    ) -> tuple[bool, str] | None:
        """Whether the training gave the result of the trial, with a text; None: there is nothing to compare with.

        Parameters
        ----------
        scores, digest
            Scores after each epoch; digest of the weights of the best epoch.
        versions
            Versions of the packages that run now.
        """
        if self.row is None or self.row["status"] == "failed":
            return None
        recorded, before = self.row.get("weights_digest"), self.row["curve"]
        if list(scores) == before and digest == (recorded or digest):
            weights = f", the same weights {digest}" if recorded else ""
            return True, f"repeats {self.name} exactly: the same score after each epoch{weights}"
        if digest == recorded:
            return True, f"the same weights as {self.name}: {digest}; only numbers measured in seconds differ"
        pairs = zip(scores, before, strict=False)
        place = next((f"epoch {n} {new} ≠ {old}" for n, (new, old) in enumerate(pairs, 1) if new != old), "weights")
        then = self.folder.environment().get("versions", {})
        changed = [
            f"{key} {then[key]} → {value}" for key, value in versions.items() if then.get(key) not in (None, value)
        ]
        return False, f"differs from {self.name}: {place}" + (f"; since then: {', '.join(changed)}" if changed else "")


def repeated(folder: RunFolder, specs: Specs, number: int) -> TrialSpec:
    """Specification of the repetition of a trial."""
    line = folder.proposal(number)
    return Repetition.of(folder, line).spec(specs, ComputationGraph.from_dict(line["graph"]))
