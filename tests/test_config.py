"""Reading YAML and taking keys: every fault is one line that says where, what and what would be allowed."""

import pytest

from archioptrx.core.config import Fields, bundled, bundled_names, finish, parse_yaml, read_yaml
from archioptrx.core.errors import ArchiOpTrXError, InputError, did_you_mean


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "p.yaml: is empty"),
        ("a: 1\nb: 2\na: 3\n", "p.yaml: line 3: the key 'a' stands twice"),
        ("a: [1\nb: 2", "p.yaml: line 2: expected ',' or ']', but got ':'"),
        ("a: 'x", "p.yaml: line 1: found unexpected end of stream"),
        ("a: !!python/object:os.system {}", "p.yaml: line 1: could not determine a constructor for the tag"),
    ],
)
def test_a_yaml_fault_is_one_line_with_its_place(text, fault):
    with pytest.raises(InputError) as error:
        parse_yaml(text, "p.yaml")
    assert len(error.value.faults) == 1
    assert str(error.value).startswith(fault)
    assert "\n" not in str(error.value)


def test_numbers_with_an_exponent_are_numbers():
    assert parse_yaml("[1e-3, 1.5e+2, -.5E1, 2, 1e3x]", "p") == [0.001, 150.0, -5.0, 2, "1e3x"]


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(InputError, match=r"nothing\.yaml: can't be read: no such file or directory"):
        read_yaml(tmp_path / "nothing.yaml")
    with pytest.raises(InputError, match="can't be read: is a directory"):
        read_yaml(tmp_path)
    binary = tmp_path / "binary.yaml"
    binary.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="is not a text file"):
        read_yaml(binary)


def test_all_faults_of_a_mapping_are_collected():
    faults: list[str] = []
    content = {"count": -1, "share": "x", "kind": "rondom", "flag": 1, "extra": 0, "inner": {"n": 2.5}}
    fields = Fields(content, "f.yaml", faults)
    assert fields.take("count", int, 3, minimum=0) == 3
    assert fields.take("share", float, 0.5) == 0.5
    assert fields.take("kind", str, "grid", choices=("grid", "random")) == "grid"
    assert fields.take("flag", bool, False) is False
    assert fields.take("missing", str) is None
    inner = fields.inside("inner")
    assert inner.take("n", int, 1) == 1
    fields.rest()
    assert faults == [
        "f.yaml: count: is -1; allowed: 0 or more",
        "f.yaml: share: is 'x'; allowed: a number",
        "f.yaml: kind: is 'rondom'; allowed: grid, random (did you mean random?)",
        "f.yaml: flag: is 1; allowed: true or false",
        "f.yaml: missing: is missing",
        "f.yaml: inner.n: is 2.5; allowed: a whole number",
        "f.yaml: extra: is unknown; allowed: count, flag, inner, kind, missing, share",
    ]
    with pytest.raises(InputError) as error:
        finish(faults)
    assert error.value.faults == tuple(faults)
    finish([])


def test_true_is_no_number_and_a_whole_number_is_one():
    faults: list[str] = []
    fields = Fields({"a": True, "b": 2, "c": float("nan")}, "f", faults)
    assert fields.take("a", int, 7) == 7
    assert fields.take("b", float) == 2.0
    assert fields.take("c", float, 1.0, minimum=0) == 1.0
    assert faults == ["f: a: is True; allowed: a whole number", "f: c: is nan; allowed: 0 or more"]


def test_something_else_than_a_mapping():
    faults: list[str] = []
    assert Fields([1], "f.yaml", faults).take("a", int, 5) == 5
    assert faults == ["f.yaml: is a list; allowed: a mapping"]


def test_bundled_files_are_found_by_name_and_by_path(tmp_path):
    assert {"attention", "interaction", "message_passing", "tracking"} <= set(bundled_names("function_graphs"))
    assert bundled("function_graphs", "tracking") == bundled("function_graphs", "tracking.yaml")
    own = tmp_path / "own.yaml"
    own.write_text("a: 1")
    assert bundled("function_graphs", own) == own
    with pytest.raises(InputError) as error:
        bundled("function_graphs", "trakcing")
    known = ", ".join(bundled_names("function_graphs"))
    expected = f"trakcing: no such function graph; allowed: {known} (did you mean tracking?), or a path"
    assert str(error.value) == expected


def test_did_you_mean():
    assert did_you_mean("zzz", ["b", "a"]) == "allowed: a, b"
    assert did_you_mean(3, []) == "nothing is allowed here"


def test_an_error_prints_a_line_per_fault():
    assert str(ArchiOpTrXError("one", "two")) == "one\ntwo"
