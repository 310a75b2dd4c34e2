"""Peak memory of this process and of a GPU since a moment. No dependency beyond torch's own count."""

from __future__ import annotations

import contextlib
import resource
import sys
from pathlib import Path

import torch

_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")
_RESET_PEAK = "5"
"""Text that sets the peak resident set size to the present one; see proc(5)."""


def reset(device: str) -> None:
    """Count from now on. Where the system can't do that for a process (not Linux), its whole life counts."""
    with contextlib.suppress(OSError):
        _CLEAR.write_text(_RESET_PEAK)
    if torch.device(device).type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)


def resident() -> int:
    """Largest number of bytes that were resident at one time."""
    try:
        line = next(line_text for line_text in _STATUS.read_text().splitlines() if line_text.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024
    except (OSError, StopIteration):
        unit = 1 if sys.platform == "darwin" else 1024  # getrusage(2): bytes on macOS, kilobytes elsewhere
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def on_gpu(device: str) -> int | None:
    """Largest number of bytes of tensors on a GPU at one time; None on CPU."""
    return torch.cuda.max_memory_allocated(device) if torch.device(device).type == "cuda" else None
