"""What all tests share."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from archioptrx.graphs.function_graph import FunctionGraph
from archioptrx.sampling.search_space import SearchSpace
from archioptrx.sampling.walk import WalkSpace

# The source that tests allow to run is remembered for them alone: see `trusted`.
os.environ["ARCHIOPTRX_TRUST"] = os.devnull

# Small graphs, several workers: a second thread only waits. Has to be said before torch is imported.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# Where a test asks for two: a thread that waits doesn't spin, on cores that other tests need.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

# Ray's workers run at the lowest priority by default: the other tests would starve them.
os.environ.setdefault("RAY_worker_niceness", "0")

# Tests of the cache have one of their own; the user's stays as it is.
os.environ["ARCHIOPTRX_CACHE"] = "off"

# A first call may load torch: no time limit for a single example.
settings.register_profile("archioptrx", deadline=None)
settings.load_profile("archioptrx")


@pytest.fixture(scope="session", autouse=True)
def trusted(tmp_path_factory: pytest.TempPathFactory) -> None:
    """File of the source that tests allow to run, among pytest's temporary folders, of which it removes the old ones.

    A folder that is removed when Python ends would stay: workers of pytest-xdist end without that, and killed tests.
    """
    os.environ["ARCHIOPTRX_TRUST"] = str(tmp_path_factory.mktemp("trust") / "trusted")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of real data beside the project; the test is skipped where it's missing."""
    folder = Path(__file__).resolve().parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"needs the real data in {folder}")
    return folder


@pytest.fixture(scope="session")
def tracking() -> WalkSpace:
    """The default space."""
    return WalkSpace(FunctionGraph.load("tracking"), SearchSpace.load("full"))


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of two trials that kept its weights; tests that change it take a copy, `run`."""
    from small_search import searched, small

    folder = tmp_path_factory.mktemp("finished") / "run"
    searched(folder, small(budget__trials=2, training__epochs=1, retrain={"top": 1, "seeds": 1}, keep={"weights": 1}))
    return folder


@pytest.fixture
def run(finished: Path, tmp_path: Path) -> Path:
    """A copy of that run."""
    return Path(shutil.copytree(finished, tmp_path / "run"))


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A browser for all pages of a module's tests. It ends with them: while it runs, nothing else can use asyncio."""
    from browser import running

    with running() as browser:
        yield browser
