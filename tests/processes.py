"""Commands in processes of their own, as a user runs them, but for the seconds that each needs to import its libraries.

`multiprocessing`'s fork server imports torch and the packages once for each test worker, and forks for each command.
What a command does afterwards is its own: arguments, folder, environment, standard streams, exit code. Tests of what is
imported, of start-up, and of signals start Python themselves.
"""

from __future__ import annotations

import atexit
import multiprocessing
import os
import runpy
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
ENVIRONMENT = {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "ARCHIOPTRX_CACHE": "off"}
PRELOADED = (
    "torch", "torch_geometric.data", "sklearn.cluster", "scipy.sparse.csgraph", "pandas", "plotly.graph_objects",
    "archioptrx.commands.search", "archioptrx.search.run", "archioptrx.report.page", "archioptrx.models.inference",
)  # fmt: skip
"""No Ray: it starts threads, which a fork doesn't take along."""

FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(list(PRELOADED))


def call(
    command: str | Sequence[str], folder: Path, environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run `archioptrx …` or `python FILE …` in a folder, and return its exit code and what it printed.

    Parameters
    ----------
    environment
        Further variables, over the test's own and `ENVIRONMENT`.
    """
    words = shlex.split(command) if isinstance(command, str) else list(command)
    variables = {**os.environ, **ENVIRONMENT, **(environment or {})}
    with tempfile.TemporaryDirectory() as printed:
        streams = Path(printed, "out"), Path(printed, "err")
        process = FORKS.Process(target=_run, args=(words, folder, variables, streams))
        process.start()
        process.join()
        code = process.exitcode
        assert code is not None
        process.close()
        out, err = (stream.read_text(encoding="utf-8") if stream.exists() else "" for stream in streams)
    return subprocess.CompletedProcess(words, code, out, err)


def run(command: str | Sequence[str], folder: Path, environment: Mapping[str, str] | None = None) -> str:
    """The same, where it has to go well and without a warning; what it printed."""
    done = call(command, folder, environment)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    assert "Warning" not in done.stderr, f"{command}\n{done.stderr}"
    return done.stdout


def _run(words: Sequence[str], folder: Path, variables: Mapping[str, str], streams: tuple[Path, Path]) -> None:
    """Become the command."""
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(variables)
    for stream, path in zip((sys.stdout, sys.stderr), streams, strict=True):
        stream.flush()
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT)
        os.dup2(descriptor, stream.fileno())
        os.close(descriptor)
    program, *arguments = words
    # As Python starts: the script's folder (of a module: the working folder) first, then PYTHONPATH; not what pytest
    # and the fork server have added.
    installed = [path for path in sys.path if path and not Path(path).is_relative_to(ROOT)]
    sys.path[:] = [str(folder), *variables["PYTHONPATH"].split(os.pathsep), *installed]
    try:
        if program == "archioptrx":
            sys.argv = ["archioptrx", *arguments]
            runpy.run_module("archioptrx", run_name="__main__", alter_sys=True)
        else:
            assert program == "python", f"{program}: allowed: archioptrx, python"
            sys.argv = list(arguments)
            runpy.run_path(arguments[0], run_name="__main__")
    finally:
        atexit._run_exitfuncs()  # multiprocessing ends a process without them
        sys.stdout.flush()
        sys.stderr.flush()
