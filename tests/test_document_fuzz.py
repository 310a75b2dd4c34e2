"""Damaged documents: YAML files, models and runs are read, or refused by one of our errors in one line."""

import copy
import json
import shutil
from pathlib import Path

import pytest
import yaml
from fuzzing import fuzzed, mutated_bytes
from small_search import SMALL, small

from archioptrx.commands import inspect, search
from archioptrx.core.errors import InputError
from archioptrx.core.overrides import apply
from archioptrx.core.reading import parse_json, read_json, reading, shown
from archioptrx.graphs.architecture import Architecture
from archioptrx.graphs.function_graph import FunctionGraph
from archioptrx.models.model_folder import load_model
from archioptrx.runs.experiment import load_experiment
from archioptrx.runs.run_folder import RunFolder
from archioptrx.sampling.search_space import SearchSpace
from archioptrx.search.study import load_study

ROOT = Path(__file__).resolve().parents[1]
VALUES = (
    None,
    "",
    "x",
    "µ",
    -1,
    0,
    1,
    10**30,
    0.5,
    1e300,
    True,
    [],
    {},
    [None],
    {"a": 1},
    [[1]],
    {"x": {"y": []}},
    "a.b",
)
SNIPPETS = (
    *('"\\0"', '"\\ud800"', '"\\e[2J"', "!!binary aGk=", "2001-01-01", "9999-99-99", "9" * 5000, "0x" + "f" * 5000),
    *(
        "!!set {a, b}",
        "!!omap [a: 1]",
        "{[a]: 1}",
        "{null: 1, true: 2, 1.5: 3}",
        "{{a: 1}: 2}",
        "&a [*a]",
        "&a {b: *a}",
    ),
    *("[" * 2000 + "]" * 2000, "{a: " * 2000 + "}" * 2000, ".inf", ".nan", "1e999", "!!python/object:os.system x"),
    *("1:30", "0b1", "0o7", "? x", "*a", "- x", "|\n x", "'", "!!float x", "!!int x", "!!timestamp x", "!!bool x"),
)
"""YAML in the place of a value."""
HOLE = "a-hole"


def places(content, path=()):
    """Paths to all values of a document."""
    yield path
    items = content.items() if isinstance(content, dict) else enumerate(content) if isinstance(content, list) else ()
    for key, value in items:
        yield from places(value, (*path, key))


def changed(content, random, values):
    """A document with one to three changes: a value, a key, something more or less."""
    content = copy.deepcopy(content)
    for _ in range(random.randrange(1, 4)):
        *path, last = random.choice([place for place in places(content) if place] or [("x",)])
        inside = content
        for key in path:
            inside = inside[key]
        if not (isinstance(inside, list) or last in inside):
            continue
        change = random.randrange(5)
        if change == 0:
            del inside[last]
        elif change == 1 and isinstance(inside, dict):
            inside[random.choice(("", "x", "name", "µ", HOLE))] = inside.pop(last)
        elif change == 2 and isinstance(inside, list):
            inside.insert(last, copy.deepcopy(random.choice(inside)))
        else:
            inside[last] = copy.deepcopy(random.choice(values))
    return content


def yaml_text(content, random):
    """A document as changed YAML."""
    text = yaml.safe_dump(changed(content, random, (*VALUES, HOLE)), sort_keys=False, allow_unicode=True)
    while HOLE in text:
        text = text.replace(HOLE, random.choice(SNIPPETS), 1)
    if random.random() < 0.1:
        return mutated_bytes(text.encode("utf-8", "surrogatepass"), random)
    return text.encode("utf-8", "surrogatepass")


def json_text(content, random):
    """A document as changed JSON."""
    text = json.dumps(changed(content, random, (*VALUES, HOLE)))
    snippets = ('"\\ud800"', '"\\u0000"', "NaN", "1e999", "9" * 5000, "[" * 5000 + "]" * 5000, "x", '"\\u001b[2J"')
    while f'"{HOLE}"' in text:
        text = text.replace(f'"{HOLE}"', random.choice(snippets), 1)
    return mutated_bytes(text.encode(), random) if random.random() < 0.1 else text.encode()


def read_or_refused(read, path):
    """Whatever a file holds, it is read or refused in one line."""
    try:
        read(path)
    except InputError as error:
        assert all("\n" not in fault and len(fault) < 5000 for fault in error.faults), error.faults


def read_architecture(path):
    architecture = Architecture.load(path)
    assert Architecture.from_dict(architecture.to_dict()) == architecture


SKETCH = yaml.safe_load((ROOT / "examples" / "sketch.yaml").read_text())
NETWORK = Architecture.load("attention_recursive").to_dict()
VARIED = {**SMALL, "vary": {"seed": [0, 1], "sampler": [{"name": "random"}, {"name": "gp", "initial": 3}]}}
READERS = {
    "function graph": (yaml.safe_load((ROOT / "function_graphs" / "tracking.yaml").read_text()), FunctionGraph.load),
    "search space": (yaml.safe_load((ROOT / "search_spaces" / "full.yaml").read_text()), SearchSpace.load),
    "sketch": (SKETCH, read_architecture),
    "architecture": (NETWORK, read_architecture),
    "experiment": (small().to_dict(), load_experiment),
    "study": (VARIED, load_study),
}


def fuzz_yaml(kind, examples):
    base, read = READERS[kind]

    def one_file(random, folder):
        (folder / "file.yaml").write_bytes(yaml_text(base, random))
        read_or_refused(read, folder / "file.yaml")

    fuzzed(examples, one_file)


@pytest.mark.parametrize("kind", READERS)
def test_the_base_is_accepted(tmp_path, kind):
    base, read = READERS[kind]
    (tmp_path / "file.yaml").write_text(yaml.safe_dump(base))
    assert read(tmp_path / "file.yaml") is not None or read is read_architecture


@pytest.mark.parametrize("kind", READERS)
def test_a_damaged_document_is_read_or_refused_in_one_line(kind):
    fuzz_yaml(kind, 50)


@pytest.mark.long
@pytest.mark.parametrize("kind", READERS)
def test_twenty_thousand_documents(kind):
    fuzz_yaml(kind, 20_000)


MODEL = ("metadata.json", "metrics.json", "architecture.yaml")
RUN = ("proposals.jsonl", "trials.jsonl", "retrain.jsonl", "epochs.jsonl", "environment.json", "experiment.yaml",
       "best/metrics.json", "function_graph.yaml")  # fmt: skip


def damage(path, random):
    """Change a file of a model or a run."""
    if path.suffix == ".yaml":
        path.write_bytes(yaml_text(yaml.safe_load(path.read_text()), random))
        return
    lines = path.read_bytes().splitlines(keepends=True) if path.suffix == ".jsonl" else [path.read_bytes()]
    place = random.randrange(len(lines))
    lines[place] = json_text(json.loads(lines[place]), random) + b"\n"
    path.write_bytes(b"".join(lines))


def fuzz_models(finished, examples):
    def one_file(random, folder):
        model = Path(shutil.copytree(finished / "best", folder / "model"))
        damage(model / random.choice(MODEL), random)
        read_or_refused(load_model, model)

    fuzzed(examples, one_file)


def test_a_damaged_model_is_read_or_refused_in_one_line(finished):
    fuzz_models(finished, 40)


def fuzz_runs(finished, examples, capsys):
    def one_file(random, folder):
        run = Path(shutil.copytree(finished, folder / "run"))
        damage(run / random.choice(RUN), random)
        options = random.choice(([], ["--json"], ["--effects"], ["--functions"], ["--fingerprint", "0"]))
        code = inspect.main([str(run), *options])
        error = capsys.readouterr().err
        assert code == 0 or (code == 2 and error.strip() and "Traceback" not in error), (code, error)

    fuzzed(examples, one_file)


def test_a_damaged_run_is_shown_or_refused_in_one_line(finished, capsys):
    fuzz_runs(finished, 40, capsys)


@pytest.mark.long
def test_twenty_thousand_models_and_runs(finished, capsys):
    fuzz_models(finished, 20_000)
    fuzz_runs(finished, 20_000, capsys)


RESUMED = ("trials.jsonl", "proposals.jsonl", "environment.json", "experiment.yaml", "best/metrics.json")


def test_missing_empty_and_other_files_of_a_run_are_named(finished, tmp_path, capsys):
    resume = (search.main, ["--resume", str(tmp_path / "run"), "--backend", "local"])
    cases = [(name, content, (inspect.main, [str(tmp_path / "run")])) for name in RUN for content in (None, b"7\n")]
    cases += [(name, b"{}\n", resume) for name in RESUMED]
    for name, content, (main, arguments) in cases:
        run = Path(shutil.copytree(finished, tmp_path / "run"))
        (run / name).unlink()
        if content is not None:
            (run / name).write_bytes(content)
        code, error = main(arguments), capsys.readouterr().err
        assert code in (0, 2) and "Traceback" not in error, (name, content)
        if code == 2:
            assert str(run) in error.splitlines()[-1], (name, content, error)
        shutil.rmtree(run)


@pytest.mark.parametrize(
    ("file", "changes"),
    [
        ("proposals.jsonl", {"observed": None}),
        ("proposals.jsonl", {"observed": [-1]}),
        ("proposals.jsonl", {"reference": "no such"}),
        ("proposals.jsonl", {"draws": "many"}),
        ("trials.jsonl", {"started": None}),
        ("trials.jsonl", {"score": 10**400}),
    ],
)
def test_what_only_a_resume_reads_is_refused_in_one_line(finished, tmp_path, capsys, file, changes):
    run = Path(shutil.copytree(finished, tmp_path / "run"))
    (run / "sampler.json").unlink(missing_ok=True)
    lines = [json.loads(line) | changes for line in (run / file).read_text().splitlines()]
    (run / file).write_text("".join(json.dumps(line) + "\n" for line in lines))
    code, error = search.main(["--resume", str(run), "--backend", "local"]), capsys.readouterr().err
    assert "Traceback" not in error and (code == 0 or str(run) in error.splitlines()[-1])


@pytest.mark.parametrize(
    "changes",
    [
        {"options": []},
        {"options": None},
        {"options": {"signal_pt": "x"}},
        {"options": {"of": {"options": 5}}},
        {"options": {"building": []}},
        {"split": {}},
        {"split": None},
        {"split": {"validation": 0.1, "test": 0.1, "seed": -1}},
        {"test": 5},
        {"data": 5},
        {"data": {}},
        {"fingerprint": 5},
        {"task": {}},
        {"source": "../x"},
        {"fitted_on": 3},
        {"embedding": "3"},
        {"sectors": True},
        {"node_features": ["r", "φ", 3]},
    ],
)
def test_facts_of_a_model_have_their_types(finished, tmp_path, changes):
    model = Path(shutil.copytree(finished / "best", tmp_path / "model"))
    facts = json.loads((model / "metadata.json").read_text())
    (model / "metadata.json").write_text(json.dumps(facts | changes))
    if changes == {"split": {}}:  # the usual one
        assert load_model(model).provenance.split["seed"] == 0
        return
    with pytest.raises(InputError) as caught:
        load_model(model)
    (line,) = str(caught.value).splitlines()
    assert line.startswith(str(model)) and next(iter(changes)) in line, line


def test_boundary():
    for action, message in (
        (lambda: {}["x"], "here: can't be read: KeyError: 'x'; --debug prints more"),
        (lambda: Path("/no/such").read_text(), "here: can't be read: no such file or directory"),
        (lambda: parse_json("[" * 9999, "here"), "here: is nested too deeply"),
        (lambda: parse_json('["\\ud800"]', "here"), "here: is not JSON; the file has been changed"),
        (lambda: parse_json("[NaN]", "here"), "here: is not JSON; the file has been changed"),
        (lambda: float(10**400), "here: holds a number that is too large"),
    ):
        with pytest.raises(InputError) as caught, reading("here"):
            action()
        assert str(caught.value) == message
    assert len(shown([["x" * 999] * 999] * 999)) < 2000
    assert shown(16**9999) == "a number with too many digits"


def test_json_of_another_kind(tmp_path):
    (tmp_path / "x.json").write_text("[1]")
    with pytest.raises(InputError, match=r"x\.json: is \[1\]; allowed: a file that `archioptrx train`"):
        read_json(tmp_path / "x.json")


def test_hyperparameters_without_effect_are_named(tmp_path, capsys):
    for kind, content in (("sketch", SKETCH), ("architecture", NETWORK)):
        file = tmp_path / f"{kind}.yaml"
        file.write_text(yaml.safe_dump(apply(content, {"hyperparameters.learning_rte": 0.1})))
        assert inspect.main([str(file)]) == 0
        error = capsys.readouterr().err
        assert error.startswith(f"{file}: hyperparameters.learning_rte: has no effect; allowed: ")
        assert error.endswith("(did you mean learning_rate?)\n")
        file.write_text(yaml.safe_dump(apply(content, {"hyperparameters.learning_rate": [0.1]})))
        assert inspect.main([str(file)]) == 2
        assert "hyperparameters.learning_rate: is [0.1]; allowed: " in capsys.readouterr().err


def test_a_run_folder_is_read_again(finished):
    assert RunFolder(finished).winner()["seeds"] == 1
