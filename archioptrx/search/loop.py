"""The trials of a search: proposals, refusals, rows, replay. No Ray and no torch here.

With the scheduler `fifo`, proposal n is made when the sampler has received the results of the proposals 0 … n - lag,
in this order, and of no other (lag: `Rules.delay`). So it doesn't depend on which worker was faster: the same seed
gives the same proposals. With `asha` the sampler receives results as they arrive, which depends on time.

Invariant in both cases: the line of a proposal is in `proposals.jsonl` before its trial starts, and names under
`observed` the results that were new to the sampler, in order. A trial that pauses has a result as one that ends, and a
further one when it pauses again or ends; the sampler receives each of them. A resumed search gives a new sampler the
same results in the same order, draws each proposal again and compares it with its line; so the state of the sampler
needs no file of its own (`sampler_state` is an optimisation). Trials with a line but without a row are run again.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from archioptrx.core.errors import InputError
from archioptrx.core.files import plain
from archioptrx.graphs.computation_graph import ComputationGraph
from archioptrx.graphs.decisions import Trace
from archioptrx.runs.experiment_sections import Keep
from archioptrx.runs.leaderboard import curve_of, epochs_compared, score_of
from archioptrx.runs.run_folder import RunFolder
from archioptrx.runs.text import duration_text
from archioptrx.sampling.candidate import Candidate
from archioptrx.sampling.samplers import Sampler
from archioptrx.sampling.samplers.ranking import REFUSED
from archioptrx.search.jobs import TrialJob
from archioptrx.search.pauses import Pauses
from archioptrx.search.records import Records, trial_name
from archioptrx.search.rules import Draw, Reference, Rules, Running, SearchListener, make_row, trial_seed
from archioptrx.search.sampler_state import Keeper, SnapshotError, next_row
from archioptrx.search.schedule import Fifo

PATIENCE = 1000
"""Consecutive draws that may be refused before the search ends."""
SEEN = "seen"
"""Reason for the refusal of a candidate that has been a trial already."""


class Trials:
    """The first work of a search; see `archioptrx.search.jobs.Work`.

    Parameters
    ----------
    folder
        A locked run folder. Its journals are replayed; trials that were running are run again.
    sampler
        A new sampler, without any observation.
    keeper
        Snapshots of the sampler in the same folder; None: neither state nor probabilities are stored.
    records
        Logs and weights in the same folder; None: with the default settings.

    Attributes
    ----------
    no_more_draws
        True: a further trial can't be drawn, since the space or the patience is exhausted.

    Raises
    ------
    SnapshotError
        The snapshot doesn't fit the sampler: a keeper with `trusting=False` is needed.
    """

    def __init__(
        self,
        folder: RunFolder,
        sampler: Sampler,
        schedule: Fifo,
        rules: Rules,
        references: Sequence[Reference],
        listener: SearchListener,
        keeper: Keeper | None = None,
        records: Records | None = None,
    ) -> None:
        self.folder, self.sampler, self.schedule, self.rules = folder, sampler, schedule, rules
        self.references, self.listener, self.keeper = references, listener, keeper
        self.records = records or Records(folder, Keep())
        self.candidates: dict[int, Candidate] = {}
        self.running: dict[int, Running] = {}
        self.pauses = Pauses(folder, listener.note)
        self.rows: dict[int, dict[str, Any]] = {}
        self._results: dict[int, list[dict[str, Any]]] = {}  # all rows of each trial, the last one is in `rows`
        self._received: Counter[int] = Counter()  # numbers of those that the sampler has
        self.refusals: Counter[str] = Counter()
        self.no_more_draws = False
        self._known: set[str] = set()
        self._reference_fingerprints = {reference.candidate.fingerprint for reference in references}
        self._scored: dict[str, int] = {}  # numbers of trials that the sampler knows, by key
        self._refused: set[int] = set()
        self._unobserved: list[int] = []
        self._to_rerun: list[dict[str, Any]] = []
        self._promoted: list[tuple[int, bytes]] = []  # a paused trial that goes on next, and its state
        self._next_result = self._next = 0
        self._replay()

    # --- Work -----------------------------------------------------------------------------------------------------

    @property
    def done(self) -> bool:
        """Whether the budget is used up, or nothing new can be drawn, and no paused trial is to go on."""
        if self.running:
            return False
        return self._late() or (self._closing() and not self._goes_on())

    def next(self) -> TrialJob | None:
        """The next trial, if one may start or go on now."""
        if len(self.running) >= self.rules.workers or self._late():
            return None
        if self._goes_on():
            (number, state), self._promoted = self._promoted[0], []
            return self._start(self.pauses.lines[number], self.rows[number], state)
        if self._begun() >= self.rules.trials:
            return None
        line = self._to_rerun.pop(0) if self._to_rerun else self._propose()
        return None if line is None else self._start(line)

    def _start(
        self, line: dict[str, Any], before: Mapping[str, Any] | None = None, state: bytes | None = None
    ) -> TrialJob:
        """Begin a trial, or go on from its state with one that paused with the row `before`."""
        number, limit = line["proposal"], self.rules.trial_time
        spec = self.rules.spec(line, self.candidates[number].graph)
        spec = replace(
            spec, **self.records.retention.wanted(), pauses=self.schedule.pauses(line["epochs"]), state=state
        )
        self.running[number] = Running(line, spec, time.time(), before)
        self.records.started(trial_name(line), line, spec, before)
        self.listener.started(line)
        if before is not None:
            self.listener.continued(before)
            limit = None if limit is None else max(0.0, limit - before["seconds"])
        return TrialJob(str(number), spec, limit, self.rules.deadline)

    def message(self, key: str, message: dict[str, Any]) -> bool:
        """Take a message; True: the trial is over."""
        number = int(key)
        running = self.running[number]
        running.weights = message.pop("weights", running.weights)
        running.state = message.pop("state", None)
        self.records.heard(trial_name(running.line), running.line, message)
        if message["kind"] == "epoch":
            running.reports.append(message)
            self.listener.epoch(number, message)
            # The last epoch, too, counts in its rung: other trials may have more of them. But it ends by itself.
            pruned = self.schedule.prunes(number, message["epoch"], score_of(message), self._closing())
            if message["epoch"] >= running.line["epochs"] or message.get("last"):  # by its patience
                self.schedule.drop(number)
                return False
            if not (pruned or self._late()):
                return False
            self._end(number, "pruned", message)
        elif message["kind"] == "refused":
            self._refuse(number, message["reason"])
        elif message["kind"] == "stopped":
            self._stop(number, message)
        else:
            self._end(number, "failed" if message["kind"] == "error" else "finished", message)
        return True

    # --- proposals ------------------------------------------------------------------------------------------------

    def _late(self) -> bool:
        return self.rules.deadline is not None and time.monotonic() >= self.rules.deadline

    def _begun(self) -> int:
        """Number of trials that have begun, ended ones among them."""
        return len(self.rows) + sum(number not in self.rows for number in self.running)

    def _closing(self) -> bool:
        """Whether no new trial begins any more."""
        return self._begun() >= self.rules.trials or self._exhausted()

    def _goes_on(self) -> bool:
        """Whether a paused trial is to go on, which is `_promoted` then; those whose states are gone never do."""
        while not self._promoted:
            number = self.schedule.promoted(self._closing())
            if number is None:
                return False
            if (state := self.pauses.state(self.rows[number])) is not None:
                self._promoted.append((number, state))
        return True

    def _exhausted(self) -> bool:
        return self.no_more_draws and not self._to_rerun

    def _propose(self) -> dict[str, Any] | None:
        number = self._next
        if self.no_more_draws or not self._may_propose(number):
            return None
        observed = self._observe_results(number)
        if number < len(self.references):
            reference = self.references[number]
            candidate, draw, name = reference.candidate, Draw(0, {}), reference.name
        else:
            new, draw = self._draw()
            if new is None:
                self.no_more_draws = True
                return None
            candidate, name = new, None
        line = self._line(number, candidate, draw, observed, name)
        self.folder.proposals.append(line)
        self._accept(number, candidate)
        if self.keeper:
            last = self._begun() + 1 >= self.rules.trials
            self.keeper.proposed(self.sampler, line, self._results, last)
        return line

    def _may_propose(self, number: int) -> bool:
        """Whether all results have arrived that the sampler must have before this proposal."""
        if self.rules.delay is None:
            return True
        return all(
            n in self.rows or n in self._refused for n in range(self._next_result, number - self.rules.delay + 1)
        )

    def _observe_results(self, number: int) -> list[int]:
        """Give the sampler the results that it must have before this proposal; the numbers of those that were new."""
        if self.rules.delay is None:
            observed, self._unobserved = self._unobserved, []
        else:
            last = max(self._next_result, number - self.rules.delay + 1)
            observed = [n for n in range(self._next_result, last) if n in self.rows or n in self._refused]
            self._next_result = last
            self._unobserved = [n for n in self._unobserved if n not in observed]
        for observed_number in observed:
            self._observe(observed_number)
        return observed

    def _observe(self, number: int) -> None:
        row = next_row(self._results, number, self._received)
        if row is None:
            self.sampler.observe(self.candidates[number], *REFUSED)
            return
        self.sampler.observe(self.candidates[number], score_of(row), epochs_compared(row, self.rules.longest))
        self._note_scored(number)

    def _note_scored(self, number: int) -> None:
        """Remember the number of a trial with a score that the sampler has received: it may become a parent."""
        candidate = self.candidates[number]
        if number in self.rows and self.rows[number]["score"] is not None:
            self._scored[candidate.key] = number

    def _draw(self) -> tuple[Candidate | None, Draw]:
        """Draw until a candidate is new and within the constraints; None: the space or the patience is exhausted."""
        reasons: Counter[str] = Counter()
        before = Counter(self.sampler.refused)
        for draws in range(1, PATIENCE + 1):
            candidate = self.sampler.propose()
            if candidate is None:
                count = "1 candidate" if self._next == 1 else f"{self._next} candidates"
                self.listener.note(f"the space is exhausted after {count}")
                return None, Draw(draws, reasons)
            reason = self._refusal(candidate)
            if reason is None:
                return candidate, Draw(draws, reasons + (Counter(self.sampler.refused) - before))
            reasons[reason.split()[0]] += 1
            self.refusals[reason.split()[0]] += 1
            if reason != SEEN:
                self.sampler.observe(candidate, *REFUSED)
        why = ", ".join(f"{name} ({count})" for name, count in reasons.most_common())
        text = f"{PATIENCE} draws in a row were refused: {why}"
        if not self.rows and not self.running:
            raise InputError(f"constraints: {text}; allowed: wider constraints or another search space")
        self.listener.note(f"the search ends early: {text}")
        return None, Draw(PATIENCE, reasons)

    def _refusal(self, candidate: Candidate) -> str | None:
        return SEEN if self._is_known(candidate) else self.rules.refuse(candidate)

    def _is_known(self, candidate: Candidate) -> bool:
        """Whether a candidate was a trial. Samplers know that of their own proposals, but not of the references.

        Once no new architecture is left, the sampler proposes known ones with other hyperparameters: references too.
        """
        by_architecture = self.rules.by_architecture and getattr(self.sampler, "by_architecture", True)
        return candidate.key in self._known or (
            by_architecture and candidate.fingerprint in self._reference_fingerprints
        )

    def _line(
        self, number: int, candidate: Candidate, draw: Draw, observed: Sequence[int], reference: str | None
    ) -> dict[str, Any]:
        return {
            "proposal": number,
            "draws": draw.draws,
            "passed_over": dict(sorted(draw.passed_over.items())),
            "observed": list(observed),
            "reference": reference,
            "parent": None if reference else self._parent(),
            "fingerprint": candidate.fingerprint,
            "hyperparameters": dict(candidate.hyperparameters),
            "screened": None if reference else self.rules.screened(candidate),
            "seed": trial_seed(self.rules.seed, number),
            "epochs": int(candidate.hyperparameters.get("epochs", self.rules.epochs)),
            "walk": dict(candidate.events),
            "size": candidate.graph.size,
            "trace": candidate.trace.to_json(),
            "graph": candidate.graph.to_dict(),
        }

    def _accept(self, number: int, candidate: Candidate) -> None:
        self.candidates[number] = candidate
        self._known.add(candidate.key)
        self._next = number + 1

    def _parent(self) -> int | None:
        """Number of the trial that the sampler's last proposal came from."""
        parent = self.sampler.parent
        return None if parent is None else self._scored.get(parent.key)

    # --- ends -----------------------------------------------------------------------------------------------------

    def _refuse(self, number: int, reason: str) -> None:
        self.folder.proposals.append({"proposal": number, "refused": reason})
        del self.running[number]
        self._refused.add(number)
        self._unobserved.append(number)
        self.refusals[reason.split()[0]] += 1
        self.listener.dropped(number, f"trial {number} is not run: {reason}")

    def _stop(self, number: int, message: Mapping[str, Any]) -> None:
        """End a trial whose time is over: with the score it has, else it failed, or is left to a resume."""
        limit, running = self.rules.trial_time, self.running[number]
        running.state = None
        if running.before is not None and not running.reports:  # its row and its state stand as they are
            del self.running[number]
            self.records.note(trial_name(running.line), "is stopped before its next epoch has ended")
            self.listener.ended(running.before)
        elif running.before is not None or any(report["best"] for report in running.reports):
            self._end(number, "pruned", message)
        elif limit is None or self._late():
            line = self.running.pop(number).line
            text = "is stopped by the end of the time before it has a score; a resume runs it again"
            self.records.note(trial_name(line), text)
            self.listener.dropped(number, f"trial {number} {text}")
        else:
            error = f"no score within {duration_text(limit)} (budget.trial_time)"
            self._end(number, "failed", {**message, "error": error})

    def _end(self, number: int, status: str, message: Mapping[str, Any]) -> None:
        running = self.running.pop(number)
        row, before = make_row(running, status, message), running.before
        # Before the line: what has a line has its weights, and what has paused its state.
        state = running.state if row["status"] == "pruned" else None
        self.records.retention.store(row, running.weights, before, pauses=state is not None)
        if before is not None:
            self.pauses.forget(before)
        if state is not None:
            self.pauses.store(row, running.line, state)
        else:
            self.schedule.drop(number)
        self.folder.trials.append(row)
        self._take(row)
        self._unobserved.append(number)
        self.records.retention.displaced(row)
        for left in self.pauses.displaced(row, before):
            self.schedule.drop(left)
        self.records.ended(row["id"], row, running.line["epochs"])
        self.listener.ended(row)

    def _take(self, row: dict[str, Any]) -> None:
        self.rows[row["proposal"]] = row
        self._results.setdefault(row["proposal"], []).append(row)

    # --- replay ---------------------------------------------------------------------------------------------------

    def _replay(self) -> None:
        """Restore the state of sampler, schedule and budget from the journals; find the trials that were running."""
        lines = self.folder.proposals.read()
        self._refused = {line["proposal"] for line in lines if "refused" in line}
        order = self.folder.trials.read()
        for row in order:
            self._take(row)
        observed: Counter[int] = Counter()
        lines = [line for line in lines if "refused" not in line]
        start = self.keeper.restore(self.sampler, lines, self._results) if self.keeper else 0
        for place, line in enumerate(lines):
            observed.update(line["observed"])
            self._accept(line["proposal"], self._candidate_of_line(line, place < start, start > 0))
            if line["proposal"] not in self.rows and line["proposal"] not in self._refused:
                self._to_rerun.append(line)
        self._next_result = max(observed, default=-1) + 1
        for number in [*(row["proposal"] for row in order), *sorted(self._refused)]:
            if observed[number] > 0:
                observed[number] -= 1
            else:
                self._unobserved.append(number)
        last = self.folder.last_rows()
        self.pauses.known(last, {line["proposal"]: line for line in lines})
        for row in last:
            self.schedule.remember(row["proposal"], curve_of(row), row["proposal"] in self.pauses.lines)
        self.records.retention.known(last, self.pauses.lines)
        self.records.retention.tidy(last)

    def _candidate_of_line(self, line: Mapping[str, Any], covered: bool, trusted: bool) -> Candidate:
        """Candidate of a line: read from it where the snapshot covers the line, otherwise observed and drawn again."""
        if covered:
            for number in line["observed"]:
                self._received[number] += 1
                self._note_scored(number)
            candidate = self._recorded(line)
        else:
            for number in line["observed"]:
                self._observe(number)
            try:
                candidate = self._redraw(line)
            except InputError as error:
                if trusted:
                    raise SnapshotError(*error.faults) from error
                raise
        if self.keeper:
            self.keeper.replayed(None if covered else self.sampler, line, self._results)
        return candidate

    def _recorded(self, line: Mapping[str, Any]) -> Candidate:
        """The candidate that a line describes."""
        if line["reference"] is not None:
            number: int = line["proposal"]
            return self.references[number].candidate
        graph = ComputationGraph.from_dict(line["graph"])
        return Candidate(Trace.from_json(line["trace"]), graph, line["hyperparameters"])

    def _redraw(self, line: Mapping[str, Any]) -> Candidate:
        """Ask the sampler again for its proposal, with the draws that were refused before it."""
        if line["reference"] is not None:
            number: int = line["proposal"]
            return self.references[number].candidate
        for _ in range(line["draws"] - 1):
            refused = self.sampler.propose()
            if refused is not None and not self._is_known(refused):
                self.sampler.observe(refused, *REFUSED)
        candidate: Candidate | None = self.sampler.propose()
        if candidate is None or not _is_of(candidate, line):
            raise InputError(
                f"{self.folder.path}: proposal {line['proposal']} can't be drawn again: the sampler, or the program, "
                "has changed since; allowed: the version in environment.json, or a new search"
            )
        return candidate


def _is_of(candidate: Candidate, line: Mapping[str, Any]) -> bool:
    """Whether a candidate is what a line of the journal describes."""
    same: bool = plain(candidate.hyperparameters) == line["hyperparameters"]
    return same and candidate.fingerprint == line["fingerprint"]
