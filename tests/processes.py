"""Commands in processes of their own, as a user runs them, but for the seconds that each needs to import its libraries.

`multiprocessing`'s fork server imports torch and the packages once for each test worker, and forks for each command.
What a command does afterwards is its own: arguments, folder, environment, standard streams, signals, exit code. Tests
of what is imported and of start-up start Python themselves.
"""

from __future__ import annotations

import atexit
import multiprocessing
import os
import runpy
import shlex
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from multiprocessing.connection import Connection
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
    """Run `archioptrx …`, `python FILE …` or `python -c CODE` in a folder; its exit code and what it printed.

    Parameters
    ----------
    environment
        Further variables, over the test's own and `ENVIRONMENT`.
    """
    words = _words(command)
    variables = {**os.environ, **ENVIRONMENT, **(environment or {})}
    with tempfile.TemporaryDirectory() as printed:
        streams = Path(printed, "out"), Path(printed, "err")
        process = FORKS.Process(target=_run, args=(words, folder, variables, *streams))
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


def python(code: str, environment: Mapping[str, str] | None = None) -> str:
    """What code prints that imports what this process can import. The seed of its hashes isn't that of this process."""
    path = os.pathsep.join(filter(None, sys.path))
    return run(["python", "-c", code], Path.cwd(), {"PYTHONPATH": path, **(environment or {})})


def interrupted(
    command: str | Sequence[str],
    rows: Path,
    count: int,
    number: int = signal.SIGINT,
    environment: Mapping[str, str] | None = None,
) -> tuple[int | None, str]:
    """Run a command that prints a line on stderr for each row of a journal, and send it a signal.

    Parameters
    ----------
    rows, count
        The journal, and the rows in it at which the signal is sent.
    number
        The signal; default: Ctrl-C.

    Returns
    -------
    The exit code and what it printed on stderr.
    """
    reader, writer = FORKS.Pipe(duplex=False)
    variables = {**os.environ, **ENVIRONMENT, **(environment or {})}
    process = FORKS.Process(target=_run, args=(_words(command), Path.cwd(), variables, Path(os.devnull), writer))
    process.start()
    writer.close()
    printed = []
    with os.fdopen(os.dup(reader.fileno()), encoding="utf-8") as lines:
        for line in lines:
            printed.append(line)
            if rows.exists() and rows.read_bytes().count(b"\n") >= count:
                assert process.pid is not None
                os.kill(process.pid, number)
                break
        printed.extend(lines)
    reader.close()
    process.join()
    return process.exitcode, "".join(printed)


def _words(command: str | Sequence[str]) -> list[str]:
    return shlex.split(command) if isinstance(command, str) else list(command)


def _open(stream: Path | Connection) -> int:
    """Descriptor to which a command prints."""
    return os.open(stream, os.O_WRONLY | os.O_CREAT) if isinstance(stream, Path) else os.dup(stream.fileno())


def _run(words: Sequence[str], folder: Path, variables: Mapping[str, str], out: Path, err: Path | Connection) -> None:
    """Become the command."""
    # A shell that runs the tests in the background lets its children ignore Ctrl-C: a command shall hear it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(variables)
    for stream, target in ((sys.stdout, out), (sys.stderr, err)):
        stream.flush()
        descriptor = _open(target)
        os.dup2(descriptor, stream.fileno())
        os.close(descriptor)
    if isinstance(err, Connection):
        err.close()
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
            if arguments[0] == "-c":
                exec(arguments[1], {"__name__": "__main__"})
            else:
                runpy.run_path(arguments[0], run_name="__main__")
    finally:
        atexit._run_exitfuncs()  # multiprocessing ends a process without them
        sys.stdout.flush()
        sys.stderr.flush()
