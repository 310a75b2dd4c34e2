"""Writing of an export as a package of torch's AOTInductor: the readable code as machine code of this machine."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch._inductor.exc import CppCompileError, InvalidCxxCompiler

from archioptrx.core.errors import InputError
from archioptrx.core.files import write_atomically
from archioptrx.models.export import EXPORTERS
from archioptrx.models.export.check import EXAMPLE, Arrays, difference, random_event
from archioptrx.models.export.files import written
from archioptrx.models.export.onnx_file import Both, onnx_outputs, quiet, refused
from archioptrx.models.export.own_source import faults_of
from archioptrx.models.export.trained import Take

COMPILERS = ("g++", "clang++", "c++")


@EXPORTERS.registering("pt2")
def export_pt2(take: Take, path: Path) -> str:
    """Write a package of AOTInductor, for torch in Python and C++ on machines like this one."""
    if shutil.which(os.environ.get("CXX", "")) is None and not any(map(shutil.which, COMPILERS)):
        raise InputError(f"--format pt2: there is no C++ compiler; allowed: one of {', '.join(COMPILERS)}, or CXX")
    names = onnx_outputs(take)
    plain = [place for place, name in enumerate(names) if f"{name}_logit" not in names]
    with tempfile.TemporaryDirectory() as folder, faults_of(take.program):
        fresh = Path(folder) / "model.pt2"
        code = written(take, Path(folder) / "network.py").load()
        with refused(take, "pt2", Exception):
            package = _compiled(Both(code, take).eval(), take, fresh)

            def run(hits: Arrays, edges: Arrays) -> tuple[Tensor, ...]:
                outputs = package(torch.tensor(hits), torch.tensor(edges))
                return tuple(outputs[place] for place in plain)

            error = difference(take, run)
        write_atomically(path, fresh.read_bytes())
    needs = "contiguous hits in double precision and edges in int64, unchecked without AOTI_RUNTIME_CHECK_INPUTS=1"
    return take.summary(str(path), error, "; ".join(filter(None, (needs, take.program.needs))))


def _compiled(network: nn.Module, take: Take, path: Path) -> Any:
    """Compile a network, write the package, and load it."""
    columns = len(take.trained.metadata.node_features)
    event = tuple(map(torch.tensor, random_event(np.random.default_rng(0), columns, *EXAMPLE)))
    sizes = ({0: torch.export.Dim("hits")}, {1: torch.export.Dim("edges")})
    with quiet(), torch.no_grad():
        program = torch.export.export(network, event, dynamic_shapes=sizes)
        try:
            torch._inductor.aoti_compile_and_package(program, package_path=str(path))
        except (InvalidCxxCompiler, CppCompileError) as error:
            reason = str(error).strip().splitlines()[0]
            raise InputError(
                f"--format pt2: the C++ compiler failed: {reason}; allowed: a compiler for torch"
            ) from error
        return torch._inductor.aoti_load_package(str(path))
