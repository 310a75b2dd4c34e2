"""Progress of a search on stderr: a live view on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Mapping
from types import TracebackType
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from archioptrx.core.printing import printable, raw_stream
from archioptrx.graphs.computation_graph import ComputationGraph
from archioptrx.runs.leaderboard import Front
from archioptrx.runs.text import brief, duration_text, score_text

REFRESH = 2
"""Redraws of the live view per second."""


class Progress:
    """Counters of a search; prints one line for each ended trial.

    Parameters
    ----------
    trials, workers
        Budget, and trials at one time.
    metric
        Name of the score.
    deadline
        `time.monotonic()` at which the search stops, or None.
    """

    def __init__(self, console: Console, trials: int, workers: int, metric: str, deadline: float | None = None) -> None:
        self.console, self.trials, self.workers = console, trials, workers
        self.metric, self.deadline = metric, deadline
        self.counts: Counter[str] = Counter()
        self.running: dict[int, str] = {}
        self.forms: dict[int, str] = {}
        self.seconds = 0.0
        self.best: tuple[float, int] | None = None
        self.front = Front()
        self.retrained = (0, 0)

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Do nothing: there is no live view to stop."""

    # --- events of a search ----------------------------------------------------------------------------------------

    def started(self, proposal: Mapping[str, Any]) -> None:
        """Show that a trial starts."""
        number = proposal["proposal"]
        self.forms[number] = printable(brief(ComputationGraph.from_dict(proposal["graph"])))
        self.running[number] = "starts"
        self.changed()

    def continued(self, row: Mapping[str, Any]) -> None:
        """Count a trial that goes on as ended no more."""
        self.counts -= Counter({row["status"]: 1})
        self.seconds -= row["seconds"]
        self.front.remove(row)
        self.running[row["proposal"]] = f"goes on after {epochs_text(row['epochs'])}"
        self.changed()

    def epoch(self, number: int, message: Mapping[str, Any]) -> None:
        """Show the score of an epoch."""
        self.running[number] = f"epoch {message['epoch']}, {self.metric} {score_text(message['score'])}"
        self.changed()

    def ended(self, row: Mapping[str, Any]) -> None:
        """Count and print an ended trial."""
        self.running.pop(row["proposal"], None)
        self.count(row)
        self.line(row)
        self.changed()

    def count(self, row: Mapping[str, Any]) -> None:
        """Count an ended trial, also one from before a resume."""
        self.counts[row["status"]] += 1
        self.seconds += row["seconds"]
        if row["score"] is not None and (self.best is None or row["score"] > self.best[0]):
            self.best = (row["score"], row["proposal"])
        self.front.add(row)

    def retraining(self, done: int, total: int) -> None:
        """Show how many of the final trainings have ended."""
        self.retrained = (done, total)
        self.print_line(f"retraining the best: {done} of {total}")
        self.changed()

    def dropped(self, number: int, text: str) -> None:
        """Print that a trial ends without a row."""
        self.running.pop(number, None)
        self.note(text)
        self.changed()

    def note(self, text: str) -> None:
        """Print a message."""
        self.print_line(text)

    # --- output ----------------------------------------------------------------------------------------------------

    @property
    def done(self) -> int:
        """Number of ended trials."""
        return self.counts.total()

    def seconds_left(self) -> float | None:
        """Estimate of the seconds until the last trial ends; None: unknown."""
        if not self.done:
            return None
        seconds = (self.trials - self.done) * self.seconds / self.done / self.workers
        return seconds if self.deadline is None else max(0.0, min(seconds, self.deadline - time.monotonic()))

    def line(self, row: Mapping[str, Any]) -> None:
        """Print an ended trial as one line."""
        outcome = row["error"] if row["status"] == "failed" else f"{self.metric} {score_text(row['score'])}"
        size = "" if row["parameters"] is None else f"{row['parameters']:,} parameters, "
        epochs = epochs_text(row["epochs"])
        seconds = self.seconds_left()
        left = "" if not seconds else f"; {duration_text(seconds)} left"
        front = f", front of {len(self.front.scores)}" if self.front.scores else ""
        self.print_line(
            f"[{self.done}/{self.trials}] trial {row['id']} {row['status']}: {outcome}; {epochs}, {size}"
            f"{duration_text(row['seconds'])}; best {score_text(self.best[0] if self.best else None)}{front}{left}"
        )

    def print_line(self, text: str) -> None:
        """Print a line."""
        self.console.print(Text(printable(text)), soft_wrap=True)

    def changed(self) -> None:
        """Redraw hook of the live view; plain lines need none."""


def epochs_text(epochs: int) -> str:
    """Number of epochs in words: `1 epoch`."""
    return "1 epoch" if epochs == 1 else f"{epochs} epochs"


class LiveProgress(Progress):
    """Live view that is redrawn in place."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._live = Live(console=self.console, refresh_per_second=REFRESH, transient=True)

    def __enter__(self) -> LiveProgress:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop the live view."""
        self._live.stop()

    def line(self, row: Mapping[str, Any]) -> None:
        """Print failures only: the view shows everything else."""
        if row["status"] == "failed":
            self.print_line(f"trial {row['id']} failed: {row['error']}")

    def retraining(self, done: int, total: int) -> None:
        """Show how many of the final trainings have ended."""
        self.retrained = (done, total)
        self.changed()

    def changed(self) -> None:
        """Redraw."""
        self._live.update(self.view())

    def view(self) -> Group:
        """Content of the screen."""
        done, total = self.retrained if self.retrained[1] else (self.done, self.trials)
        head = Table.grid(padding=(0, 2))
        counts = ", ".join(f"{n} {status}" for status, n in sorted(self.counts.items())) or "none ended yet"
        phase = "retraining the best" if self.retrained[1] else "trials"
        seconds = None if self.retrained[1] else self.seconds_left()
        left = "" if seconds is None else f"about {duration_text(seconds)} left"
        head.add_row(f"{phase} {done}/{total}", ProgressBar(total, done, width=30), left)
        lines: list[Any] = [head, Text(f"{counts}; {len(self.running)} running")]
        for number, text in sorted(self.running.items()):
            lines.append(Text(f"  {number:04d}  {text}  {self.forms[number]}", overflow="ellipsis", no_wrap=True))
        if self.best:
            score, number = self.best
            form = f"  {self.forms[number]}" if number in self.forms else ""
            lines.append(
                Text(f"best {self.metric} {score_text(score)}, trial {number:04d}{form}", "bold", no_wrap=True)
            )
        if self.front.scores:
            lines.append(Text(f"Pareto front: {len(self.front.scores)} trials"))
        return Group(*lines)


def make_progress(trials: int, workers: int, metric: str, deadline: float | None = None) -> Progress:
    """Make the live view on a terminal, and plain lines elsewhere."""
    console = Console(file=raw_stream(sys.stderr), highlight=False, markup=False, emoji=False)
    kind = LiveProgress if console.is_terminal else Progress
    return kind(console, trials, workers, metric, deadline)
