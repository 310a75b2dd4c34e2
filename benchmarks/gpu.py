"""Time of one training step on a GPU, in float32 and in bfloat16 autocast: `python benchmarks/gpu.py --help`."""

from __future__ import annotations

import torch
from step import parse, report

if __name__ == "__main__":
    options = parse(__doc__)
    if torch.cuda.is_available():
        for precision in (torch.float32, torch.bfloat16):
            report(options, "cuda", precision, torch.cuda.synchronize)
    else:
        print("no GPU that PyTorch can use: nothing measured")
