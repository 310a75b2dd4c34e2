"""Backend that runs the work of a search in this process, one job after the other: for tests and debugging."""

from __future__ import annotations

import time
from contextlib import closing
from functools import partial
from typing import Any

from archioptrx.search.alarm import TimeIsUp, call_until
from archioptrx.search.jobs import Work
from archioptrx.training.trial import TrialData, messages


def run_locally(work: Work, data: TrialData) -> None:
    """Run all jobs. Ctrl-C may end it between any two instructions; the run folder stays valid.

    The time limit of a job is that of `call_until`.
    """
    while not work.done:
        job = work.next()
        if job is None:
            continue
        start = time.monotonic()
        # Closed here: in a generator that is merely dropped Python ignores a Ctrl-C.
        with closing(messages(job.spec, data)) as stream:
            over = False
            while not over:
                message: dict[str, Any]
                try:
                    message = call_until(partial(next, stream), job.until(start))
                except TimeIsUp:
                    message = {"kind": "stopped", "seconds": time.monotonic() - start, "log": []}
                over = work.message(job.key, message)
