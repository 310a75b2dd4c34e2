"""Worker processes: a function applied to many items, results in order, few items in work at a time.

Not `multiprocessing`: its processes run the user's main script again unless that guards itself, and forking a process
that has torch's threads can hang. A worker here is a Python that imports what the function needs and nothing else,
reads pickled tasks from its input and writes pickled results to its output. It ends when its input ends, which is
at the latest when the process that started it ends, in whatever way.
"""

from __future__ import annotations

import atexit
import os
import pickle
import signal
import subprocess
import sys
import threading
import traceback
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from queue import SimpleQueue
from types import TracebackType
from typing import Any, TypeVar

from archioptrx.core.errors import RAISED_BY_CALL, ArchiOpTrXError, InputError, error_text
from archioptrx.core.own_modules import FINDER
from archioptrx.core.processors import processors

Item = TypeVar("Item")
Result = TypeVar("Result")

WORKERS = "ARCHIOPTRX_WORKERS"
"""Environment variable: worker processes that build events; 1: none. Default: one for each CPU."""
MOST_WORKERS = 16
IN_FLIGHT = 2
"""Tasks that are handed out and not yet answered, per worker."""


def number_of_workers() -> int:
    """Worker processes to use at most.

    Raises
    ------
    InputError
        The environment variable is no number.
    """
    setting = os.environ.get(WORKERS, "")
    if setting and not (setting.isdecimal() and int(setting) > 0):
        raise InputError(f"{WORKERS}: is {setting!r}; allowed: 1 or more")
    return int(setting) if setting else min(MOST_WORKERS, processors())


def spread(function: Callable[[Item], Result], items: Iterable[Item], workers: int) -> Iterator[Result]:
    """Apply a function to each item in worker processes; close the generator to stop them.

    Parameters
    ----------
    function
        A module's function, or a `partial` of one. It, its items and its results are pickled.
    items
        Items, taken as they are needed.
    workers
        Processes; 1: in this one.

    Yields
    ------
    The results in the order of the items.

    Raises
    ------
    Exception
        Error that the function raised, with the worker's traceback as a note.
    InputError
        A worker died.
    """
    if workers <= 1:
        yield from map(function, items)
        return
    pending: deque[Future[Result]] = deque()
    with _Workers(workers) as pool:
        for item in items:
            pending.append(pool.submit(function, item))
            if len(pending) >= IN_FLIGHT * workers:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()


class _Workers:
    """Worker processes, each served by a thread that waits for it."""

    def __init__(self, workers: int) -> None:
        self._threads = ThreadPoolExecutor(workers)
        self._processes: list[subprocess.Popen[bytes]] = []
        self._idle: SimpleQueue[subprocess.Popen[bytes]] = SimpleQueue()
        self._most = workers

    def __enter__(self) -> _Workers:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End all processes at once."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        for process in self._processes:
            process.kill()  # a thread that waits for its answer reads the end of the file
        self._threads.shutdown(wait=True)
        for process in self._processes:
            _close(process)

    def submit(self, function: Callable[[Item], Result], item: Item) -> Future[Result]:
        """Hand out a task; a new process is started while there are fewer than allowed."""
        if len(self._processes) < self._most:
            self._processes.append(_start())
            self._idle.put(self._processes[-1])
        return self._threads.submit(self._serve, _task(function, item))

    def _serve(self, task: bytes) -> Any:
        process = self._idle.get()
        try:
            return _ask(process, task)
        except Ended as error:
            text = f"a worker process that built an event ended ({error}); allowed: fewer of them, {WORKERS}=1"
            raise InputError(text) from error
        finally:
            self._idle.put(process)


class Ended(Exception):
    """A process ended before it had answered; the text says how."""


class OwnProcess:
    """Calls of functions that may end their process, in one that isn't this one.

    It starts with the first call, again after a call that ended it, and ends with this process. What it prints is lost.
    """

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()
        atexit.register(self.close)

    def call(self, function: Callable[[Item], Result], item: Item) -> Result:
        """Call a module's function there.

        Raises
        ------
        Exception
            Error that the function raised, with the traceback as a note.
        Ended
            The function ended the process.
        """
        with self._lock:
            if self._process is None:
                self._process = _start(errors=subprocess.DEVNULL)
            try:
                answer: Result = _ask(self._process, _task(function, item))
            except (Ended, KeyboardInterrupt):  # after Ctrl-C, the next call would read the answer to this one
                self.close()
                raise
            return answer

    def close(self) -> None:
        """End the process, if it runs."""
        if self._process is not None:
            _close(self._process)
            self._process = None


def _task(function: Callable[[Item], Result], item: Item) -> bytes:
    return pickle.dumps((function, item), pickle.HIGHEST_PROTOCOL)


def _start(errors: int | None = None) -> subprocess.Popen[bytes]:
    """Start a process and tell it where the user's own modules lie; `errors` is where its errors are printed."""
    path = os.pathsep.join(entry for entry in sys.path if entry)
    one_thread = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    process = subprocess.Popen(
        # -P: a file called random.py in the folder of the user must not become the module random.
        [sys.executable, "-P", "-c", "from archioptrx.data.storage.workers import serve; serve()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=errors,
        env={**os.environ, **one_thread, "PYTHONPATH": path, WORKERS: "1"},
        start_new_session=True,  # Ctrl-C is for the process that started it, which ends its workers
    )
    _send(process, pickle.dumps(list(FINDER.sources.values())))
    return process


def _close(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout):
        assert pipe is not None
        try:
            pipe.close()
        except BrokenPipeError:
            continue  # the process ended before it had read all of its task


def _ask(process: subprocess.Popen[bytes], task: bytes) -> Any:
    assert process.stdin is not None and process.stdout is not None
    try:
        _send(process, task)
        good, answer = pickle.loads(_received(process.stdout))
    except (EOFError, BrokenPipeError) as error:
        code = process.wait()
        memory = "; out of memory?" if code == -signal.SIGKILL else ""
        raise Ended(f"killed by signal {-code}{memory}" if code < 0 else f"exit code {code}") from error
    if good:
        return answer
    raised, text = answer
    if not isinstance(raised, ArchiOpTrXError):
        raised.add_note(f"in a worker process:\n{text}")
    raise raised


def _send(process: subprocess.Popen[bytes], content: bytes) -> None:
    assert process.stdin is not None
    process.stdin.write(len(content).to_bytes(8, "little") + content)
    process.stdin.flush()


def _exactly(pipe: Any, size: int) -> bytes:
    content: bytes = pipe.read(size)
    if len(content) < size:
        raise EOFError
    return content


def serve() -> None:
    """Run as a worker: import the user's own modules, then answer tasks from the standard input until it ends."""
    tasks = sys.stdin.buffer
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints must not stand among the answers
    try:
        for source in pickle.loads(_received(tasks)):
            FINDER.add(source)
    except EOFError:
        return
    while True:
        try:
            task = _received(tasks)
        except EOFError:
            return
        answer = pickle.dumps(_answer(task), pickle.HIGHEST_PROTOCOL)
        try:
            answers.write(len(answer).to_bytes(8, "little") + answer)
            answers.flush()
        except BrokenPipeError:
            os._exit(0)  # the parent has ended; a normal exit would fail again on flushing the pipe


def _received(pipe: Any) -> bytes:
    return _exactly(pipe, int.from_bytes(_exactly(pipe, 8), "little"))


def _answer(task: bytes) -> tuple[bool, Any]:
    try:
        function, item = pickle.loads(task)
        return True, function(item)
    except RAISED_BY_CALL as error:  # a user's source may call sys.exit
        return False, (_portable(error), traceback.format_exc())


def _portable(error: BaseException) -> BaseException:
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:  # an exception may hold anything
        return RuntimeError(error_text(error))
    return error
