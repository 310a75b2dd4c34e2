"""Backend that runs the work of a search in this process, one job after the other: for tests and debugging."""

from __future__ import annotations

from contextlib import closing

from archioptrx.search.jobs import Work
from archioptrx.training.trial import TrialData, messages


def run_locally(work: Work, data: TrialData) -> None:
    """Run all jobs. Ctrl-C may end it between any two instructions; the run folder stays valid."""
    while not work.done:
        job = work.next()
        if job is None:
            continue
        # Closed here: in a generator that is merely dropped Python ignores a Ctrl-C.
        with closing(messages(job.spec, data)) as stream:
            for message in stream:
                if work.message(job.key, message):
                    break
