"""Events to data sets: in memory, on disk, in worker processes, from the cache."""

import os
import pickle
import signal
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path

import processes
import pytest
import streams
import torch
from streams import IN_WORKERS, ON_DISK, dataset, jobs
from test_sources import folder_of

from archioptrx.core.config import PACKAGE
from archioptrx.core.errors import InputError
from archioptrx.data.dataset import Dataset, Metadata
from archioptrx.data.sources import load_dataset
from archioptrx.data.sources.hitgraphs import write
from archioptrx.data.sources.stream import StreamLimits, key_of, stream
from archioptrx.data.storage import workers
from archioptrx.data.storage.cache import code_files
from archioptrx.data.storage.stored import StoredGraphs, cache
from archioptrx.data.storage.workers import Ended, OwnProcess, _answer, number_of_workers, spread

METADATA = Metadata("test")


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """A cache of the test's own."""
    monkeypatch.setenv("ARCHIOPTRX_CACHE", str(tmp_path / "cache"))
    (tmp_path / "cache").mkdir()
    return tmp_path / "cache"


@pytest.fixture
def log(tmp_path, monkeypatch) -> Path:
    """A file with a line for each event that was built: its name and the process."""
    monkeypatch.setenv(streams.LOG, str(tmp_path / "log"))
    (tmp_path / "log").touch()
    return tmp_path / "log"


def cache_of(folder: Path) -> dict[str, str]:
    """Variables of a process that uses the test's cache."""
    return {"ARCHIOPTRX_CACHE": str(folder)}


def lines_of(log: Path) -> list[str]:
    """What was built since the last look."""
    lines = log.read_text().splitlines()
    log.write_text("")
    return lines


def assert_same(left: Dataset, right: Dataset) -> None:
    """Every field of every graph is the same, and what is said of them."""
    assert left.metadata == right.metadata
    assert left.fingerprint == right.fingerprint
    assert len(left.graphs) == len(right.graphs)
    for a, b in zip(left.graphs, right.graphs, strict=True):
        first, second = a.to_dict(), b.to_dict()
        assert list(first) == list(second)
        for key, value in first.items():
            if isinstance(value, torch.Tensor):
                assert value.dtype == second[key].dtype
                assert torch.equal(value, second[key]), key
            else:
                assert value == second[key]


def test_in_memory_on_disk_and_in_workers_the_graphs_are_the_same(folder, log):
    plain = dataset()
    assert isinstance(plain.graphs, tuple)
    assert not list(folder.iterdir())
    assert plain.metadata.options == {"a": [1, 2], "building": {"edges": 5 * 120}}
    on_disk = dataset(limits=ON_DISK, key="d")
    in_workers = dataset(limits=IN_WORKERS, key="w")
    for stored in (on_disk, in_workers):
        assert isinstance(stored.graphs, StoredGraphs)
        assert_same(plain, stored)
    processes = [int(line.split()[1]) for line in lines_of(log)]
    assert set(processes[:11]) == {os.getpid()}, "in memory, on disk, and the first event of the last one"
    assert os.getpid() not in processes[11:]
    assert len(processes) == 15


def test_a_second_call_builds_nothing_and_says_so(folder, log, capsys):
    first = dataset(limits=ON_DISK)
    (entry,) = folder.iterdir()
    assert capsys.readouterr().err == f"test: kept in the cache, {entry} ({cache.size_text(first.graphs.store.size)})\n"
    second = dataset()
    assert capsys.readouterr().err.startswith(f"test: from the cache, {entry} (")
    assert len(lines_of(log)) == 5
    assert_same(first, second)


@pytest.mark.parametrize("change", [{"number": 4}, {"key": "other"}, {"edges": 80}])
def test_other_jobs_keys_or_arguments_are_another_data_set(folder, log, change):
    dataset(limits=ON_DISK)
    lines_of(log)
    built = dataset(limits=ON_DISK, **change)
    assert len(lines_of(log)) == len(built.events)
    assert_same(built, dataset(**change))
    assert not lines_of(log)


def test_all_code_of_the_package_is_part_of_the_key():
    """Graphs made by older code are never taken for those of this one, wherever in the package it stands."""
    files = {str(file.relative_to(PACKAGE)) for file in code_files()}
    assert {"data/graph_construction.py", "data/simulation/simulation.py", "models/triplet_sources.py"} <= files


def test_the_key_is_the_same_in_another_process():
    code = "import streams\nfrom archioptrx.data.sources.stream import *\n" + (
        "print(key_of(streams.jobs(3), partial(streams.make, edges=7), Metadata('test', options={'a': 'test'})))"
    )
    answer = processes.python(code)
    named = "".join(["te", "st"])  # equal, and another object than the literal
    builder = streams.partial(streams.make, edges=7)
    assert answer.strip() == key_of(jobs(3), builder, Metadata(named, options={"a": "test"}))


def cut_short(entry):
    file = entry / "0000002.graphs"
    file.write_bytes(file.read_bytes()[:-1])


def lost(entry):
    (entry / "0000003.graphs").unlink()


def index_changed(entry):
    text = (entry / "index.json").read_text()
    (entry / "index.json").write_text(text.replace('"e003", 0', '"e003", 1', 1))


def index_lost(entry):
    (entry / "index.json").unlink()


@pytest.mark.parametrize("damage", [cut_short, lost, index_changed, index_lost])
def test_a_damaged_cache_is_noticed_and_built_anew(folder, log, damage):
    first = dataset(limits=ON_DISK)
    (entry,) = folder.iterdir()
    damage(entry)
    lines_of(log)
    again = dataset(limits=ON_DISK)
    assert len(lines_of(log)) == 5
    assert list(folder.iterdir()) == [entry]
    assert_same(dataset(), again)
    assert again.fingerprint == first.fingerprint


def test_a_changed_byte_is_noticed_when_its_graph_is_read(folder):
    dataset(limits=ON_DISK)
    (entry,) = folder.iterdir()
    content = bytearray((entry / "0000002.graphs").read_bytes())
    content[100] ^= 1
    (entry / "0000002.graphs").write_bytes(content)
    damaged = dataset()
    assert damaged.graphs[3].event == "e001"
    with pytest.raises(InputError, match=r"0000002.graphs: is damaged at e002 sector 0; allowed: start again, it will"):
        damaged.graphs[4]
    assert_same(dataset(limits=ON_DISK), dataset(number=5, key="other"))


def test_what_no_key_tells_is_not_kept_and_leaves_nothing(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    stored = dataset(limits=ON_DISK, key="")
    assert len(list((tmp_path / "temporary").iterdir())) == 1
    assert not list(folder.iterdir())
    monkeypatch.setenv("ARCHIOPTRX_CACHE", "off")
    other = dataset(limits=ON_DISK)
    assert len(list((tmp_path / "temporary").iterdir())) == 2
    assert_same(stored, other)
    del stored, other
    assert not list((tmp_path / "temporary").iterdir())


def test_two_processes_may_build_the_same_at_once(folder):
    code = "import streams\nprint(streams.dataset(40, streams.ON_DISK).fingerprint)"
    with ThreadPoolExecutor(2) as both:
        answers = {answer.strip() for answer in both.map(processes.python, [code] * 2, [cache_of(folder)] * 2)}
    assert answers == {dataset(40).fingerprint}
    assert len(list(folder.iterdir())) == 1


@pytest.mark.parametrize("limits", [None, ON_DISK, IN_WORKERS])
def test_bad_events_are_named_in_order_or_skipped_and_counted(limits, folder):
    with pytest.raises(InputError) as error:
        stream(jobs(5), streams.make_some, METADATA, limits=limits)
    assert error.value.faults == tuple(f"e00{k}: is {how}" for k in (1, 4) for how in ("bad", "worse"))
    assert not list(folder.iterdir()), "nothing is left of it"
    if limits is IN_WORKERS:  # each takes seconds to start; from here on it's the same as on disk
        return
    skipping = stream(jobs(5), streams.make_some, METADATA, skip_bad=True, limits=limits)
    assert skipping.events == ("e000", "e002", "e003")
    assert skipping.metadata.options["skipped"] == 2


def test_an_error_comes_with_its_event_and_of_a_worker_with_its_traceback():
    with pytest.raises(TypeError) as error:
        stream(jobs(3), streams.make_wrongly, METADATA)
    assert "event e002" in error.value.__notes__
    with pytest.raises(ValueError, match="two") as error:
        list(spread(Fraction, ["1/2", "two"], 2))
    assert any("in a worker process" in note and "fractions.py" in note for note in error.value.__notes__)


def test_a_source_that_ends_the_program_in_a_worker_is_an_error_of_its_own():
    good, (error, _) = _answer(pickle.dumps((sys.exit, 0)))
    assert not good and isinstance(error, SystemExit)


def test_a_worker_that_dies_is_one_line():
    with pytest.raises(InputError, match=r"^a worker process that built an event ended \(killed by signal 9; out of"):
        list(spread(signal.raise_signal, [0, signal.SIGKILL, 0], 2))


def interrupted(pipe):
    raise KeyboardInterrupt


def test_a_call_that_ends_its_process_ends_no_other(monkeypatch):
    apart = OwnProcess()
    assert apart.call(abs, -2) == 2
    with pytest.raises(Ended, match=r"^killed by signal 11$"):
        apart.call(signal.raise_signal, signal.SIGSEGV)
    with pytest.raises(Ended, match=r"^exit code 3$"):
        apart.call(os._exit, 3)
    with pytest.raises(TypeError):
        apart.call(abs, "x")
    assert apart.call(abs, -3) == 3, "a new process answers"
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(workers, "_received", interrupted)
        apart.call(abs, -4)
    assert apart.call(abs, -5) == 5, "not the answer to the call that Ctrl-C ended"
    apart.close()


def alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def test_ctrl_c_ends_the_workers_and_leaves_nothing(folder, tmp_path):
    started = tmp_path / "started"
    code = (
        "import streams\nfrom functools import partial\nfrom archioptrx.data.dataset import Metadata\n"
        "from archioptrx.data.sources.stream import stream\n"
        f"make = partial(streams.make_and_wait, started={str(started)!r})\n"
        "stream(streams.jobs(9), make, Metadata('test'), limits=streams.IN_WORKERS)"
    )
    path = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    exit_code, complaint = processes.interrupted(
        ["python", "-c", code], started, 2, environment={**path, **cache_of(folder)}
    )
    assert exit_code != 0
    assert complaint.strip().splitlines()[-1] == "KeyboardInterrupt"
    workers = [int(line) for line in started.read_text().split()]
    assert len(workers) == 2
    assert not any(alive(worker) for worker in workers)
    assert not list(folder.iterdir())


def test_only_what_is_ours_and_old_is_thrown_away(folder):
    dataset(limits=ON_DISK)
    (entry,) = folder.iterdir()
    old = time.time() - 86400 * (cache.KEEP_DAYS + 1)
    names = ["notes", "test-0123", f".test-{'0' * 32}-abc", f"toy-{'1' * 32}", f".toy-{'1' * 32}.lock"]
    for name in names[:4]:
        (folder / name).mkdir()
    (folder / names[4]).touch()
    cache.tidy(folder)
    assert len(list(folder.iterdir())) == 6
    for path in folder.iterdir():
        os.utime(path, (old, old))
    cache.tidy(folder)
    assert {path.name for path in folder.iterdir()} == {entry.name, "notes", "test-0123"}
    os.utime(entry / "index.json", (old, old))
    dataset()
    cache.tidy(folder)
    assert entry.exists(), "its use was noted"
    os.utime(entry / "index.json", (old, old))
    cache.tidy(folder)
    assert not entry.exists()


def test_files_that_change_are_read_again(folder, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("ARCHIOPTRX_MEMORY", "0")
    path = folder_of(tmp_path / "data")
    spec = {"path": str(path)}
    first = load_dataset(spec)
    assert load_dataset(spec).fingerprint == first.fingerprint
    assert "from the cache" in capsys.readouterr().err
    (path / "event2_g001.npz").unlink()
    assert len(load_dataset(spec).graphs) == 3
    write(first, tmp_path / "written")  # whose source, by its metadata.json, is the one that it was read from
    for _ in range(2):
        assert load_dataset({"path": str(tmp_path / "written")}).fingerprint == first.fingerprint
    err = capsys.readouterr().err
    assert (err.count("kept in the cache"), err.count("from the cache")) == (2, 1)


def test_numbers_in_the_environment_are_checked(monkeypatch):
    monkeypatch.setenv("ARCHIOPTRX_MEMORY", "1 GB")
    with pytest.raises(InputError, match=r"^ARCHIOPTRX_MEMORY: is '1 GB'; allowed: a number of MiB, 0 or more$"):
        dataset()
    monkeypatch.setenv("ARCHIOPTRX_MEMORY", "3")
    assert StreamLimits.usual().memory == 3 * 2**20
    monkeypatch.setenv("ARCHIOPTRX_WORKERS", "many")
    with pytest.raises(InputError, match=r"^ARCHIOPTRX_WORKERS: is 'many'; allowed: 1 or more$"):
        number_of_workers()
    monkeypatch.setenv("ARCHIOPTRX_WORKERS", "3")
    assert number_of_workers() == 3
    limits = StreamLimits(rest=10.0, workers=4)
    assert [limits.workers_for(5.0, jobs, 1) for jobs in (1, 2, 3, 4, 99)] == [1, 1, 1, 3, 4]


def test_few_tasks_are_taken_ahead():
    taken = []

    def items():
        for number in range(30):
            taken.append(number)
            yield number

    results = spread(abs, items(), 2)
    assert [next(results) for _ in range(5)] == list(range(5))
    assert len(taken) <= 5 + 4
    results.close()
