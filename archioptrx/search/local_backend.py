"""Runs the work of a search in this process, one job after the other: for tests, and to debug a block of one's own."""

from __future__ import annotations

from archioptrx.search.work import Work
from archioptrx.trial import TrialData, messages


def run_locally(work: Work, data: TrialData) -> None:
    """Run all jobs. A Ctrl-C ends it between any two instructions; a run folder bears that."""
    while not work.done:
        job = work.next()
        for message in messages(job.spec, data) if job else ():
            if job and work.message(job.key, message):
                break
