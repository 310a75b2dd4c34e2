"""Record of the environment of a search or a training: versions, hardware, data, commit. No decision depends on it."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import time
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import torch

from archioptrx.core.config import PACKAGE
from archioptrx.core.version import __version__

PACKAGES = ("torch", "torch-geometric", "ray", "numpy", "networkx", "pyyaml")


def environment(**additions: Any) -> dict[str, Any]:
    """Description of this process and machine, with additions of the caller (data, seeds …)."""
    return {
        "started": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "command": sys.argv,
        "folder": os.getcwd(),
        "versions": {"archioptrx": __version__, "python": platform.python_version(), **_versions()},
        "hardware": {
            "platform": platform.platform(),
            "processor": platform.processor() or platform.machine(),
            "cpus": os.cpu_count(),
            "gpus": [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())],
        },
        "commit": _commit(),
        **additions,
    }


def _versions() -> dict[str, str | None]:
    versions: dict[str, str | None] = {}
    for name in PACKAGES:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            versions[name] = None
    return versions


def _commit() -> str | None:
    """The commit of a checkout that the package is run from; None elsewhere."""
    root = PACKAGE.parent
    if not (root / ".git").exists():
        return None
    try:
        process = subprocess.run(
            ["git", "-C", str(root), "rev-parse", "HEAD"], capture_output=True, text=True, timeout=10, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return process.stdout.strip()
