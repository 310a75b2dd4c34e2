"""Zero-cost screen of a search: scores untrained candidates in this process and stores the values."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch

from archioptrx.core.errors import RAISED_BY_CALL
from archioptrx.core.files import Journal
from archioptrx.data.hitgraph import HitGraph
from archioptrx.runs.experiment import Experiment
from archioptrx.runs.run_folder import RunFolder
from archioptrx.sampling.candidate import Candidate
from archioptrx.sampling.samplers.screen import Values
from archioptrx.search.alarm import TimeIsUp, call_until
from archioptrx.search.setup import Specs
from archioptrx.tasks.task import Task
from archioptrx.training.proxies import proxy_batch, score
from archioptrx.training.trial import TrialData, build, one_line


@dataclass(frozen=True)
class Measure:
    """Function that scores untrained networks of a search on its first training events, on the CPU.

    All start from the same seed, so that a value belongs to the candidate and not to its number in the search.

    Attributes
    ----------
    data, task
        Data and task of the search.
    seed
        Seed of the weights.
    threads
        Threads of torch: floating-point sums depend on their number.
    """

    data: TrialData
    task: Task
    seed: int
    threads: int

    @cached_property
    def batch(self) -> HitGraph:
        """Training batch on which the networks are scored."""
        return proxy_batch(self.data.splits.train, self.task)

    def __call__(self, candidate: Candidate, proxy: str) -> float | None:
        """Value of the proxy, larger is better; None: not finite. torch's generator and thread number are restored."""
        batch, threads = self.batch, torch.get_num_threads()
        with torch.random.fork_rng(devices=()):
            try:
                torch.set_num_threads(self.threads)
                model = build(candidate.graph, candidate.hyperparameters, self.data.metadata, self.task, self.seed)
                return score(proxy, model, batch, self.task)
            finally:
                torch.set_num_threads(threads)


class Screening:
    """Values of candidates, each computed once in the life of a run folder.

    A value that another machine computed may differ in its last digits. Values are therefore read from the journal, so
    that a resumed search draws the same candidates again.

    Parameters
    ----------
    journal
        `screen.jsonl` of a locked run folder.
    measure
        Function that gives a proxy's value of a candidate.
    proxies
        Names of the proxies.
    limit
        Seconds for the values of one candidate; None: no limit.
    deadline
        `time.monotonic()` at which no value is computed any more; None: never.
    """

    def __init__(
        self,
        journal: Journal,
        measure: Callable[[Candidate, str], float | None],
        proxies: Sequence[str],
        limit: float | None = None,
        deadline: float | None = None,
    ) -> None:
        self.journal, self.measure, self.proxies = journal, measure, tuple(proxies)
        self.limit, self.deadline = limit, deadline
        self._known: dict[str, dict[str, float | None]] = {row["key"]: row["values"] for row in journal.read()}

    def __call__(self, candidate: Candidate) -> Values:
        """Values by proxy; None, the worst one, for a network that can't be built or run (the journal says why)."""
        if candidate.key not in self._known:
            start, error = time.perf_counter(), None
            values: dict[str, float | None] = dict.fromkeys(self.proxies)
            try:
                values = call_until(lambda: {name: self.measure(candidate, name) for name in self.proxies}, self._end())
            except TimeIsUp:
                error = "ended by a limit of the time"
            except RAISED_BY_CALL as failure:  # a user's block may raise anything; its trial would fail and be recorded
                error = one_line(failure)
            seconds = time.perf_counter() - start
            self.journal.append({"key": candidate.key, "values": values, "seconds": seconds, "error": error})
            self._known[candidate.key] = values
        return [self._known[candidate.key][name] for name in self.proxies]

    def _end(self) -> float:
        """`time.monotonic()` until which a value may be computed that begins now."""
        own = math.inf if self.limit is None else time.monotonic() + self.limit
        return own if self.deadline is None else min(own, self.deadline)

    def known(self, candidate: Candidate) -> Mapping[str, float | None] | None:
        """Values by proxy if they are known already, otherwise None."""
        return self._known.get(candidate.key)


@dataclass(frozen=True)
class Cost:
    """Cost of the screen of a run.

    Attributes
    ----------
    scored
        Number of candidates that were scored.
    proposals
        Number of screened proposals.
    seconds
        Mean seconds of a proposal, all of its candidates together.
    """

    scored: int
    proposals: int
    seconds: float

    @classmethod
    def of(cls, folder: RunFolder) -> Cost | None:
        """Sum up a run folder; None: it has no screen."""
        rows = folder.screened.read()
        count = sum(line.get("screened") is not None for line in folder.proposals.read())
        return cls(len(rows), count, sum(row["seconds"] for row in rows) / count) if count else None


def make_screening(
    journal: Journal, experiment: Experiment, specs: Specs, data: TrialData, task: Task, deadline: float | None = None
) -> Screening:
    """Make the screen of an experiment; `deadline`: `time.monotonic()` at which trials stop."""
    threads = specs.training({}, experiment.seed).threads or 1
    measure, limit = Measure(data, task, experiment.seed, threads), experiment.budget.trial_time
    return Screening(journal, measure, experiment.screen.proxies, limit, deadline)
