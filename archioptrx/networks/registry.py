"""The building blocks by name. No torch here: a list of all parts needs none."""

from __future__ import annotations

from typing import Any

from archioptrx.core.plugins import Registry

PACKAGE = "archioptrx.networks.blocks"
FILES = {
    "mlp": ("mlp", "attention"),
    "gru": ("gru",),
    "gate": ("gate",),
    "normal": ("norm",),
    "simple": ("aggregate", "concat", "add", "mean", "identity", "readout", "broadcast"),
    "pyg": ("pyg",),
    "pooling": ("pool", "unpool"),
}
"""The bundled blocks of each file of that package."""

BLOCKS: Registry[type[Any]] = Registry(
    "block", {name: f"{PACKAGE}.{file}" for file, names in FILES.items() for name in names}
)
"""Classes of torch modules."""
