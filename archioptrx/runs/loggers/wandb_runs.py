"""Weights & Biases: a run for each training, in `wandb/`; offline unless the environment says otherwise.

Ray's WandbLoggerCallback isn't used: it starts a process for each trial, reads the configuration and the results of
Tune's trials, which here carry jobs and messages, and needs Tune, which neither the local backend nor `train` has.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import wandb

from archioptrx.runs.loggers import LOGGERS

PROJECT = "archioptrx"
MODE, KEY = "WANDB_MODE", "WANDB_API_KEY"
PATIENCE = AT_END = 20
"""Seconds to wait for a server when a run begins, and when it ends."""


@LOGGERS.registering("wandb")
class WandbRuns:
    """Runs of Weights & Biases, one for each training.

    All runs of a search are one group, named after its folder.
    """

    def __init__(self, root: Path) -> None:
        self.root, self.group = root, root.resolve().name
        self._runs: dict[str, wandb.Run] = {}

    def started(self, trial: str, config: Mapping[str, Any], architecture: str) -> None:
        """Begin a run. It never asks for a login: without a key in the environment it is offline."""
        settings = wandb.Settings(
            silent=True,
            console="off",
            init_timeout=PATIENCE,
            finish_timeout=AT_END,  # else the search waits for ever where the server has gone
            finish_timeout_raises=True,
            disable_code=True,
            disable_git=True,
            disable_job_creation=True,
            x_disable_stats=True,
            x_disable_meta=True,
            x_save_requirements=False,
        )
        run = self._runs[trial] = wandb.init(
            project=os.environ.get("WANDB_PROJECT", PROJECT),
            group=self.group,
            name=f"{self.group}-{trial}",
            dir=str(self.root),
            mode=mode_of(os.environ),
            config={**config, "architecture": architecture},
            reinit="create_new",
            settings=settings,
        )
        # Else wandb writes those of the last epoch over those of the trial, whose score is the best of all epochs.
        for name in ("score", "seconds"):
            run.define_metric(name, summary="none")

    def epoch(self, trial: str, epoch: int, numbers: Mapping[str, float]) -> None:
        """Metrics, the epoch as their step."""
        self._runs[trial].log(dict(numbers), step=epoch)

    def ended(self, trial: str, status: str, summary: Mapping[str, Any]) -> None:
        """Summary, and the end of the run."""
        run = self._runs.pop(trial)
        run.summary.update({"status": status, **summary})
        run.finish(exit_code=1 if status == "failed" else 0)

    def close(self) -> None:
        """End runs that were stopped. wandb's own process ends with this one: the user may have other runs in it."""
        for run in self._runs.values():
            run.finish(exit_code=1)
        self._runs.clear()


def mode_of(environment: Mapping[str, str]) -> Any:
    """Mode that the user has configured in the environment, else `offline`.

    >>> mode_of({}), mode_of({"WANDB_API_KEY": "…"}), mode_of({"WANDB_MODE": "disabled", "WANDB_API_KEY": "…"})
    ('offline', 'online', 'disabled')
    """
    return environment.get(MODE) or ("online" if environment.get(KEY) else "offline")
