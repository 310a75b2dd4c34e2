"""The specification of a trial: all that a worker needs to train one candidate. Torch- and ray-free."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from archioptrx.core.own_modules import ModuleSource, own_sources
from archioptrx.core.plugins import import_shipped
from archioptrx.graphs.computation_graph import ComputationGraph
from archioptrx.tasks.options import TaskDescription
from archioptrx.training.objective import Objective
from archioptrx.training.settings import Training


@dataclass(frozen=True)
class TrialLimits:
    """Limits that only a worker can check, by which a trial is refused; None: no limit.

    Attributes
    ----------
    seconds_per_step
        Largest measured seconds of one training step.
    parameters
        Trained numbers of the network.
    """

    seconds_per_step: float | None = None
    parameters: int | None = None


@dataclass(frozen=True)
class TrialSpec:
    """One training, parsed and checked.

    Attributes
    ----------
    graph, hyperparameters
        The architecture.
    training
        Settings, with the trial's own seed and threads.
    task, objective
        Target of the learning; metrics that are improved.
    imports
        Modules with the user's own parts, which another process imports before it reads the rest.
    device
        `cpu` or `cuda`.
    limits
        See `TrialLimits`.
    final
        True: metrics on test events and the weights are sent at the end.
    keep, keep_from
        True: the weights of each better epoch are sent; the score that an epoch needs for that, None: any.
    measure
        True: only the network's latency is measured, without a training.
    stop
        Epochs after which the training ends, with the schedule of all; None: after all.
    pauses
        Epochs after which the state of the training is sent, so that it can be paused there.
    state
        State that a paused training of this specification sent: it goes on from there. None: it begins.
    """

    graph: ComputationGraph
    hyperparameters: Mapping[str, Any]
    training: Training
    task: TaskDescription
    objective: Objective
    imports: tuple[str, ...] = ()
    device: str = "cpu"
    limits: TrialLimits = field(default_factory=TrialLimits)
    final: bool = False
    keep: bool = False
    keep_from: float | None = None
    measure: bool = False
    stop: int | None = None
    pauses: tuple[int, ...] = ()
    state: bytes | None = field(default=None, repr=False)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for journals and loggers: the settings, without graph and hyperparameters."""
        return {
            "training": self.training.to_dict(),
            "device": self.device,
            "task": self.task.to_dict(),
            "objective": self.objective.to_plain(),
        }


@dataclass(frozen=True)
class PackedSpec:
    """A specification on its way to another process, which first imports the modules that its objects are of.

    `sources`: of the user's own modules, which need not be installed there.
    """

    imports: tuple[str, ...]
    sources: tuple[ModuleSource, ...]
    content: bytes

    @classmethod
    def of(cls, spec: TrialSpec) -> PackedSpec:
        """Pack a specification."""
        return cls(spec.imports, own_sources(spec.imports), pickle.dumps(spec))

    def unpack(self) -> TrialSpec:
        """Import the user's modules and give the specification back.

        Raises
        ------
        InputError
            A module can't be imported in this process.
        """
        import_shipped(self.sources, self.imports)
        spec: TrialSpec = pickle.loads(self.content)
        return spec
