"""One file outside of the package adds a part of each kind, and every command works with it."""

import csv
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from registries import restored

from archioptrx.commands import data, evaluate, export, inspect, parts, predict, sample, search, train
from archioptrx.core.plugins import REGISTRIES

MODULE = "own_parts_of_a_test"
FILE = '''
"""Parts of a lab."""

import csv
import json
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from archioptrx.data.built_event import BuiltEvent
from archioptrx.data.dataset import Metadata, make_graph
from archioptrx.data.options import HERE, PlainOptions, option
from archioptrx.data.sources import source
from archioptrx.data.sources.stream import Job, stream
from archioptrx.models.export import exporter
from archioptrx.models.predictions import prediction_writer
from archioptrx.runs.loggers import logger
from archioptrx.sampling.samplers import sampler
from archioptrx.sampling.samplers.base import seed_of
from archioptrx.sampling.samplers.random import random_choices
from archioptrx.tasks.options.tracks import track_finder, triplet_finder


@dataclass(frozen=True)
class LabOptions(PlainOptions):
    source = "lab"
    about = "hits of a lab, one .lab file an event"
    path: Path = option(HERE, "a folder of .lab files")


@source(LabOptions, files=("*.lab",))
def load(options):
    metadata = Metadata("lab", node_scale=(1000.0, np.pi, 1000.0))
    jobs = [Job(file.stem, file) for file in sorted(options.path.glob("*.lab"))]
    return stream(jobs, partial(event, metadata=metadata), metadata)


def event(job, metadata):
    layer, r, phi, particle = np.loadtxt(job.content, ndmin=2).T
    inner, outer = np.nonzero(layer[:, None] + 1 == layer[None, :])
    arrays = {
        "x": np.stack([r, phi, 0 * r], axis=1) / metadata.node_scale,
        "edge_index": np.stack([inner, outer]),
        "y": particle[inner] == particle[outer],
        "pid": particle,
    }
    return BuiltEvent((make_graph(arrays, metadata, job.name, 0),))


@prediction_writer("lab")
def write_predictions(predictions, options, output):
    """A table of tracks for each event."""
    for one in predictions:
        assert (options.path / f"{one.graph.event}.lab").is_file()
        np.savetxt(output / f"{one.graph.event}.tracks", one.tracks.numpy(), "%d")


@sampler("lots")
class Lots:
    """Draws lots."""

    OPTIONS = ("salt",)

    def __init__(self, space, seed=0, salt=0):
        self.space, self.seed, self.salt, self.heard = space, seed, salt, 0

    def draw(self, number, attempt):
        return self.space(random_choices(seed_of(self.seed, self.salt, number, attempt)))

    def observe(self, candidate, score, epochs):
        self.heard += 1

    def state_dict(self):
        return {"heard": self.heard}

    def load_state_dict(self, state):
        self.heard = state["heard"]


@track_finder("pairs", cut=0.0, offset=0)
def pairs(edge_index, scores, hits, cut, min_hits, offset):
    """All hits of a particle number, modulo ten: the lab knows its events."""
    return np.arange(hits) % 10 + int(offset)


@triplet_finder("pairs")
def pairs_of_triplets(triplet_index, scores, edge_index, hits, cut, min_hits, offset):
    """The same, whatever the triplets say."""
    return pairs(edge_index, scores, hits, cut, min_hits, offset)


@exporter("numbers", suffix=".npz")
def write_numbers(export, path):
    """All weights by name."""
    state = export.trained.model.state_dict()
    np.savez(path, **{name: tensor.numpy() for name, tensor in state.items()})
    return f"{len(state)} arrays in {path}"


@logger("lines")
class Lines:
    """A line for each event of a training."""

    def __init__(self, root):
        self.file = Path(root) / "lines.csv"

    def note(self, *words):
        with self.file.open("a") as stream:
            csv.writer(stream).writerow(words)

    def started(self, trial, config, architecture):
        self.note("started", trial)

    def epoch(self, trial, epoch, numbers):
        self.note("epoch", trial, epoch, numbers["loss"])

    def ended(self, trial, status, summary):
        self.note("ended", trial, status)

    def close(self):
        self.note("closed")
'''
EXPERIMENT = """
name: lab
imports: [own_parts_of_a_test]
data: {path: events}
task: {name: edge_classification, tracks: {method: pairs, offset: 3}}
function_graph: tracking
sampler: {name: lots, salt: 7}
scheduler: {name: fifo}
budget: {trials: 2}
training: {epochs: 1}
objective: {metric: track_efficiency}
constraints: {executed: 8, parameters: 8000}
retrain: {top: 1, seeds: 1}
track: lines
"""


def write_events(folder: Path, events: int = 12) -> None:
    """Ten tracks in ten layers each; hit number h belongs to track h modulo ten."""
    folder.mkdir()
    for number in range(events):
        random = np.random.default_rng(number)
        layer, particle = np.divmod(np.arange(100), 10)
        phi = random.uniform(-3, 3, 10)[particle] + 0.01 * layer
        rows = np.stack([layer, 100.0 * (layer + 1), phi, particle + 1], axis=1)
        np.savetxt(folder / f"event{number:02d}.lab", rows)


def call(main, *arguments) -> int:
    """Run a command as a new process does: with none of the user's parts registered before."""
    with restored():
        sys.modules.pop(MODULE, None)
        try:
            return main([str(argument) for argument in arguments])
        except SystemExit as end:
            return int(end.code or 0)
        finally:
            sys.modules.pop(MODULE, None)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with the module, events, an experiment and the run of its search."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("lab")
        (folder / f"{MODULE}.py").write_text(FILE)
        (folder / "lab.yaml").write_text(EXPERIMENT)
        write_events(folder / "events")
        patch.chdir(folder)
        patch.syspath_prepend(str(folder))
        patch.setattr(sys, "dont_write_bytecode", True)  # the module is written anew within a second
        assert call(search.main, "lab.yaml", "--backend", "local", "--output", "run", "--imports", MODULE) == 0
        yield folder


@pytest.fixture(autouse=True)
def in_lab(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """All commands run in that folder."""
    monkeypatch.chdir(request.getfixturevalue("lab"))


def test_a_search_uses_all_of_them(lab):
    rows = [json.loads(line) for line in (lab / "run" / "trials.jsonl").read_text().splitlines()]
    assert [row["status"] for row in rows] == ["finished"] * 2
    assert {row["metrics"]["track_efficiency"] for row in rows} == {1.0}  # as the lab's finder says, untrained or not
    resolved = (lab / "run" / "experiment.yaml").read_text()
    assert "source: lab" in resolved and "name: lots" in resolved
    with (lab / "run" / "lines.csv").open() as stream:
        words = [row[0] for row in csv.reader(stream)]
    assert words.count("started") == words.count("ended") == 3 and words[-1] == "closed"
    assert "heard" in (lab / "run" / "sampler.json").read_text()


def test_every_command_finds_the_parts_of_a_run(lab, capsys):
    assert call(evaluate.main, "run", "--json") == 0
    assert json.loads(capsys.readouterr().out)["tracks"]["track_efficiency"] == 1.0
    assert call(inspect.main, "run", "--html", "report.html") == 0
    assert (lab / "report.html").stat().st_size > 10_000
    capsys.readouterr()
    assert call(predict.main, "run", "--data", "events", "--output", "found") == 0
    assert len(list((lab / "found").glob("*.tracks"))) == 12
    labels = np.loadtxt(lab / "found" / "event00.tracks")
    assert sorted(set(labels)) == list(range(3, 13))  # the option of the finder came along
    capsys.readouterr()
    assert call(export.main, "run", "--format", "numbers", "--output", "run.npz") == 0
    assert "arrays in run.npz" in capsys.readouterr().out
    assert np.load(lab / "run.npz").files


def test_a_single_training_and_its_model(lab, capsys):
    # A trial of the run again, with its settings; then the model folder alone.
    assert call(train.main, "run", "--track", "lines", "--output", "models/again") == 0
    assert (lab / "models" / "lines.csv").is_file()
    capsys.readouterr()
    assert call(evaluate.main, "models/again", "--data", "events", "--json") == 0
    assert json.loads(capsys.readouterr().out)["tracks"]["track_efficiency"] == 1.0


def test_commands_without_a_model_take_imports(lab, capsys):
    assert call(data.main, "lab", "events", "--imports", MODULE, "--json") == 0
    assert json.loads(capsys.readouterr().out)["hits"] == 1200
    assert call(sample.main, "tracking", "--imports", MODULE, "--sampler", "lots", "--count", 3, "--json") == 0
    assert len(json.loads(capsys.readouterr().out)) == 3
    assert call(parts.main, "--imports", MODULE, "--json") == 0
    own = {(part["kind"], part["name"], part["about"]) for part in json.loads(capsys.readouterr().out) if part["own"]}
    assert own == {
        ("data source", "lab", "hits of a lab, one .lab file an event"),
        ("sampler", "lots", "Draws lots"),
        ("triplet track finder", "pairs", "The same, whatever the triplets say"),
        ("track finder", "pairs", "All hits of a particle number, modulo ten: the lab knows its events"),
        ("logger", "lines", "A line for each event of a training"),
        ("prediction writer", "lab", "A table of tracks for each event"),
        ("exporter", "numbers", "All weights by name"),
    }
    assert not [registry.own() for registry in REGISTRIES.values() if registry.own()]  # nothing stays


OUT = ("--output", "out")
FAULTS = {
    "a source that raises": (
        ("    metadata = Metadata", '    raise ValueError("no beam")\n    metadata = Metadata'),
        (data.main, "lab", "events", "--imports", MODULE),
        "data source lab: raised ValueError: no beam; --debug prints the traceback",
    ),
    "a source that gives no data set": (
        ("    return stream(jobs", "    return list(jobs)\n    return stream(jobs"),
        (data.main, "lab", "events", "--imports", MODULE),
        "data source lab: gave list; allowed: a Dataset",
    ),
    "options that are no dataclass": (
        ("@dataclass(frozen=True)\nclass Lab", "class Lab"),
        (data.main, "lab", "events", "--imports", MODULE),
        f"imports: {MODULE}: @source: LabOptions is no dataclass; allowed: a dataclass that extends PlainOptions",
    ),
    "a name that is taken": (
        ('@sampler("lots")', '@sampler("gp")'),
        (sample.main, "tracking", "--imports", MODULE),
        f"imports: {MODULE}: sampler gp: is registered by "
        f"archioptrx.sampling.samplers.gp already; allowed in {MODULE}: another name",
    ),
    "a sampler that lacks a method": (
        ("    def state_dict(self)", "    def other(self)"),
        (search.main, "lab.yaml", "--backend", "local", *OUT, "--imports", MODULE),
        "sampler lots: Lots has no state_dict; allowed: a class with draw, observe, state_dict, load_state_dict",
    ),
    "a sampler that raises": (
        ("        return self.space(", "        return self.room("),
        (sample.main, "tracking", "--imports", MODULE, "--sampler", "lots"),
        "sampler lots: raised AttributeError: 'Lots' object has no attribute 'room'; --debug prints the traceback",
    ),
    "a sampler that draws something else": (
        ("        return self.space(", "        return str("),
        (sample.main, "tracking", "--imports", MODULE, "--sampler", "lots"),
        "sampler lots: draw gave str; allowed: a result of its space(choose), or None",
    ),
    "a track finder that raises": (
        ("    return np.arange(hits) % 10", "    return np.arange(hits) % ten"),
        (evaluate.main, "run", "--imports", MODULE),
        "track finder pairs: raised NameError: name 'ten' is not defined; --debug prints the traceback",
    ),
    "a track finder that gives other numbers": (
        ("    return np.arange(hits) % 10", "    return np.arange(hits) / 10"),
        (evaluate.main, "run", "--imports", MODULE),
        "track finder pairs: gave float64 [200]; allowed: whole numbers [200], -1 for a hit of no track",
    ),
    "a finder whose usual cut is no probability": (
        ("cut=0.0, offset", "cut=5, offset"),
        (evaluate.main, "run", "--imports", MODULE),
        f"imports: {MODULE}: track finder pairs: cut is 5; allowed: a number from 0 to 1",
    ),
    "a prediction writer that raises": (
        ("options.path / f", "options.folder / f"),
        (predict.main, "run", "--data", "events", *OUT, "--imports", MODULE),
        "prediction writer lab: raised AttributeError: 'LabOptions' object has no attribute 'folder'; "
        "--debug prints the traceback",
    ),
    "a prediction writer that writes nothing": (
        ('        np.savetxt(output / f"{one.graph.event}.tracks", one.tracks.numpy(), "%d")', "        pass"),
        (predict.main, "run", "--data", "events", *OUT, "--imports", MODULE),
        "prediction writer lab: wrote nothing; allowed: files in the folder that it gets",
    ),
    "an exporter that raises": (
        ("    state = export.", "    state = exported."),
        (export.main, "run", "--format", "numbers", "--imports", MODULE),
        "exporter numbers: raised NameError: name 'exported' is not defined; --debug prints the traceback",
    ),
    "an exporter that writes nothing": (
        ("    np.savez(path, **", "    dict(**"),
        (export.main, "run", "--format", "numbers", "--imports", MODULE),
        "exporter numbers: wrote no model.npz; allowed: a file of that name",
    ),
    "an exporter whose ending has no dot": (
        ('".npz"', '"npz"'),
        (export.main, "run", "--format", "numbers", "--imports", MODULE),
        f"imports: {MODULE}: exporter numbers: the ending 'npz' of its file; allowed: a dot and letters",
    ),
    "a source without a writer": (
        ('@prediction_writer("lab")', '@prediction_writer("labs")'),
        (predict.main, "run", "--data", "events", *OUT, "--imports", MODULE),
        "predict: the source lab has no prediction writer; allowed: acorn, acts, colliderml, hitgraphs, labs, pickle, "
        'trackml, or one of your own in a module under --imports: @prediction_writer("lab"), see docs/guides/parts.md',
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_faulty_part_gives_one_line(lab, capsys, name):
    (old, new), (main, *arguments), line = FAULTS[name]
    assert FILE.count(old) == 1
    file = lab / f"{MODULE}.py"
    file.write_text(FILE.replace(old, new))
    try:
        assert call(main, *arguments) == 2
    finally:
        file.write_text(FILE)
        shutil.rmtree(lab / "out", ignore_errors=True)
    lines = capsys.readouterr().err.splitlines()
    assert lines[-1] == line
    assert [text for text in lines if "Traceback" in text] == []


def test_a_logger_that_raises_is_left_out(lab, capsys):
    (lab / f"{MODULE}.py").write_text(FILE.replace('numbers["loss"]', 'numbers["lost"]'))
    try:
        assert call(train.main, "run", "--track", "lines", "--output", "models/third", "--imports", MODULE) == 0
    finally:
        (lab / f"{MODULE}.py").write_text(FILE)
    assert "--track lines: is off from here on: KeyError: 'lost'" in capsys.readouterr().err


def test_unknown_kinds_are_named(capsys):
    assert call(parts.main, "samplr", "logger") == 2
    assert capsys.readouterr().err.startswith("KIND: is 'samplr'; allowed: ")
    assert call(parts.main, "logger", "block") == 0
    words = [line.split()[0] for line in capsys.readouterr().out.splitlines() if line]
    assert words[:4] == ["logger", "tensorboard", "wandb", "block"] and "mlp" in words


def test_the_list_of_parts_needs_no_torch():
    code = (
        "import sys; from archioptrx.commands import parts; parts.main([]); "
        "sys.exit(any(name in sys.modules for name in ('torch', 'ray', 'scipy', 'pandas')))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=False).returncode == 0
