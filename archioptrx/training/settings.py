"""Settings of a training: plain numbers, all checked together. No torch here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from archioptrx.core.config import Fields, finish

OPTIMIZERS = ("adamw", "adam", "adamax", "sgd")
SCHEDULES = ("cosine", "constant")
PRECISIONS = ("float32", "bfloat16", "float16")


@dataclass(frozen=True)
class Training:
    """Settings of one training.

    Attributes
    ----------
    epochs
        Passes over the training graphs, or parts of them, each with a validation.
    epochs_per_pass
        Number of epochs in which all training graphs are passed once. With 4, an epoch takes a quarter of them, so that
        a search can compare and prune trials after a quarter of a pass. At most the steps of a pass.
    learning_rate
        Highest learning rate, after the warm-up.
    weight_decay
        Decay of the weights (not of biases and norms).
    optimizer
        adamw, adam, adamax or sgd (with momentum 0.9).
    batch_size
        Whole graphs per step. None: by `edges_per_step`.
    edges_per_step
        Approximate number of edges of a step: several small graphs, or a φ sector of a large one (cut once, its
        crossing edges left out; scores are always those of whole graphs). Networks learn by steps: on 16 whole events
        of 36,000 edges an interaction network came to an AUC of 0.73 in four epochs, and to 0.998 when they were cut
        into sectors.
    drop_last
        True: leave out the last step of an epoch where it would have fewer graphs.
    warmup
        Length of the linear rise of the learning rate, in epochs.
    schedule
        cosine (down to 1 % of the learning rate after the last epoch) or constant.
    gradient_clip
        Largest norm of the gradient of all weights together; None: no clipping.
    patience
        Number of epochs without a better validation score after which it stops; None: never.
    precision
        float32, or bfloat16 or float16 (autocast, on CUDA only).
    seed
        Seed of the order of graphs and of dropout; the same seed gives the same numbers on CPU.
    threads
        Threads of torch on CPU; None: no change.
    """

    epochs: int = 10
    epochs_per_pass: int = 1
    learning_rate: float = 3e-3
    weight_decay: float = 1e-4
    optimizer: str = "adamw"
    batch_size: int | None = None
    edges_per_step: int = 1000
    drop_last: bool = False
    warmup: float = 0.2
    schedule: str = "cosine"
    gradient_clip: float | None = 1.0
    patience: int | None = None
    precision: str = "float32"
    seed: int = 0
    threads: int | None = None

    def __post_init__(self) -> None:
        faults: list[str] = []
        _checked(Fields(asdict(self), "training", faults))
        finish(faults)

    @classmethod
    def read(cls, content: Mapping[str, Any], place: str, faults: list[str]) -> Training:
        """Read settings from a file; faults are added to the list, with the defaults in their place."""
        before = len(faults)
        fields = Fields(content, place, faults)
        values = _checked(fields)
        fields.rest()
        return cls(**values) if len(faults) == before else cls()

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON or YAML."""
        return asdict(self)

    def but(self, **changes: Any) -> Training:
        """Copy with other values."""
        return replace(self, **changes)


def _checked(fields: Fields) -> dict[str, Any]:
    """Take every setting, with its range."""
    nothing = type(None)
    usual = {name: field.default for name, field in Training.__dataclass_fields__.items()}

    def take(name: str, types: Any, **ranges: Any) -> Any:
        return fields.take(name, types, usual[name], **ranges)

    epochs, parts = take("epochs", int, minimum=1), take("epochs_per_pass", int, minimum=1)
    if parts > epochs:
        fields.fault(
            "epochs_per_pass", f"is {parts}; allowed: up to the epochs, {epochs}, or some graphs are never used"
        )
    return {
        "epochs": epochs,
        "epochs_per_pass": parts,
        "learning_rate": take("learning_rate", float, minimum=1e-9, maximum=10.0),
        "weight_decay": take("weight_decay", float, minimum=0.0, maximum=1e3),
        "optimizer": take("optimizer", str, choices=OPTIMIZERS),
        "batch_size": take("batch_size", (int, nothing), minimum=1),
        "edges_per_step": take("edges_per_step", int, minimum=1),
        "drop_last": take("drop_last", bool),
        "warmup": take("warmup", float, minimum=0.0, maximum=1e6),
        "schedule": take("schedule", str, choices=SCHEDULES),
        "gradient_clip": take("gradient_clip", (float, nothing), minimum=1e-9),
        "patience": take("patience", (int, nothing), minimum=1),
        "precision": take("precision", str, choices=PRECISIONS),
        "seed": take("seed", int, minimum=0),
        "threads": take("threads", (int, nothing), minimum=1),
    }
