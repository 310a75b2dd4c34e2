"""Measurement of latencies after the trials, which may have run beside each other: one network at a time."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Protocol

from archioptrx.graphs.computation_graph import ComputationGraph
from archioptrx.runs.latencies import to_measure
from archioptrx.runs.run_folder import RunFolder
from archioptrx.search.jobs import TrialJob
from archioptrx.search.records import Records
from archioptrx.training.trial_spec import TrialSpec


class MeasuringListener(Protocol):
    """Receiver of messages for the user."""

    def note(self, text: str) -> None:
        """Show a message."""


class Measuring:
    """Work of a search between its trials and the retraining; see `archioptrx.search.jobs.Work`.

    It never runs two jobs at one time. Ended ones are in `latencies.jsonl`, so a resumed search measures the rest.

    Parameters
    ----------
    folder
        A locked run folder whose trials have ended.
    spec
        Function that makes the specification of a trial from its proposal's line and its graph.
    """

    def __init__(
        self,
        folder: RunFolder,
        spec: Callable[[Mapping[str, Any], ComputationGraph], TrialSpec],
        listener: MeasuringListener,
        records: Records,
    ) -> None:
        self.folder, self.spec, self.listener, self.records = folder, spec, listener, records
        known = folder.latencies()
        began = folder.environment().get("workers", 1)  # a later change undoes nothing
        workers = max(folder.experiment().resources.workers, began if isinstance(began, int) else 1)
        self._waiting = [number for number in to_measure(folder.last_rows(), workers) if number not in known]
        self._running: int | None = None
        if self._waiting:
            listener.note(f"measuring the latency of {len(self._waiting)} networks again, one at a time")

    @property
    def done(self) -> bool:
        """Whether all networks are measured."""
        return not self._waiting and self._running is None

    def next(self) -> TrialJob | None:
        """Give the next network, if none is being measured."""
        if not self._waiting or self._running is not None:
            return None
        self._running = number = self._waiting.pop(0)
        line = self.folder.proposal(number)
        spec = replace(self.spec(line, ComputationGraph.from_dict(line["graph"])), measure=True)
        return TrialJob(f"latency-{number}", spec)

    def message(self, key: str, message: dict[str, Any]) -> bool:
        """Record a latency; one that can't be measured keeps the figure of its trial."""
        number = self._running
        assert number is not None
        self.records.heard(f"{number:04d}", {"proposal": number}, message)
        if message["kind"] == "error":
            self.listener.note(f"trial {number}: its latency can't be measured again: {message['error']}")
        else:
            row = {"proposal": number, "latency": message["latency"], "time": time.time()}
            self.folder.measured.append(row)
        self._running = None
        return True
