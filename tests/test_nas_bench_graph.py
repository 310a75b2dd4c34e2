"""The external benchmark: fingerprints against its own classes, and the command."""

import itertools
import json
import random

import pytest

from archioptrx.sampling.samplers import make_sampler

pytest.importorskip("nas_bench_graph", reason="needs the extra `benchmark`")

from benchmarks.graph_report import average_rank, format_table
from benchmarks.graph_space import FEWER, OPERATIONS, Table, encoding_of, graph_of, key_of, trace_of
from benchmarks.hypervolume import Shares, front_of, hypervolume
from benchmarks.nas_bench_graph import main, run_search, summary

LINKS = list(itertools.product([0], [0, 1], [0, 1, 2], [0, 1, 2, 3]))
ALL_SKIP = ("skip",) * 4


def classes(encodings):
    """Fingerprints by the benchmark's key, and keys by fingerprint."""
    keys, prints = {}, {}
    for encoding in encodings:
        fingerprint, key = graph_of(encoding).fingerprint, key_of(encoding)
        keys.setdefault(fingerprint, set()).add(key)
        prints.setdefault(key, set()).add(fingerprint)
    return keys, prints


def one_to_one(mapping):
    return all(len(others) == 1 for others in mapping.values())


def test_fingerprints_agree_with_the_benchmark_on_three_operations():
    keys, prints = classes(
        (links, ops) for links in LINKS for ops in itertools.product(("gcn", "fc", "skip"), repeat=4)
    )
    assert one_to_one(keys)
    assert one_to_one(prints)
    assert len(keys) == 193  # as many as the benchmark has keys


def test_fingerprints_agree_with_the_benchmark_on_a_sample():
    draw = random.Random(0)
    sample = [(draw.choice(LINKS), tuple(draw.choices(OPERATIONS, k=4))) for _ in range(2000)]
    keys, prints = classes(sample)
    assert one_to_one(keys)
    assert one_to_one(prints)
    known = set(Table("cora").rows)
    assert set(prints) <= known | {key_of((LINKS[0], ALL_SKIP))}


@pytest.mark.long
def test_all_encodings_give_the_classes_of_the_benchmark_and_the_one_without_any_operation():
    keys, prints = classes((links, ops) for links in LINKS for ops in itertools.product(OPERATIONS, repeat=4))
    assert one_to_one(keys)
    assert one_to_one(prints)
    assert len(keys) == 26_206 + 1
    assert set(prints) - set(Table("cora").rows) == {key_of((LINKS[0], ALL_SKIP))}


def test_every_architecture_of_proteins_has_a_row():
    table = Table("proteins")
    keys = {key_of((links, ops)) for links in LINKS for ops in itertools.product(FEWER, repeat=4) if ops != ALL_SKIP}
    assert keys == set(table.rows)


def test_an_encoding_and_its_trace_are_the_same():
    encoding = ((0, 1, 1, 0), ("gat", "skip", "fc", "gin"))
    assert encoding_of(trace_of(encoding)) == encoding


def test_a_search_has_one_value_for_each_distinct_architecture():
    table = Table("cora")
    curve = run_search("random", table, 3, 40, "A")
    assert len(curve) == 40
    assert curve == sorted(curve)
    sampler = make_sampler("random", table.space, 3)
    rows = [table.row(sampler.propose()) for _ in range(40)]
    assert curve[-1] == 100 * max(row["perf"] for row in rows)
    selected = max(rows, key=lambda row: row["valid_perf"])
    assert run_search("random", table, 3, 40, "B")[-1] == 100 * selected["perf"] < curve[-1]


def test_a_search_beyond_the_space_repeats_its_last_value():
    table = Table("proteins")
    curve = run_search("random", table, 0, 2100, "A")
    assert len(curve) == 2100
    assert curve[2021] == curve[-1] == pytest.approx(100 * max(row["perf"] for row in table.rows.values()))


def test_the_whole_front_has_the_whole_hypervolume():
    rows = list(Table("cora").rows.values())
    shares = Shares(rows)
    for row in rows:
        last = shares.add(row["valid_perf"], row["latency"])
    assert last == pytest.approx(1)
    assert hypervolume([(0.0, 0.0)], (1.0, 1.0)) == 0
    assert front_of([(1.0, 1.0), (1.0, 2.0)]) == [(1.0, 1.0)]


def test_the_command_prints_one_json_document(capsys):
    options = ["--samplers", "random,evolution", "--evaluations", "60", "--seeds", "2", "--first-seed", "7"]
    assert main([*options, "--protocol", "B", "--data-sets", "cora,proteins", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["protocol"] == "B"
    assert document["seeds"] == [7, 8]
    result = document["results"]["evolution"]["proteins"]
    assert set(result["mean"]) == set(result["error"]) == {"50", "60"}
    assert 70 < result["mean"]["50"] < 80


def test_the_table_says_how_often_the_published_best_is_beaten():
    mean = {name: {"mean": {"200": 99.0}, "error": {"200": 0.1}} for name in
            ("cora", "citeseer", "pubmed", "cs", "physics", "photo", "computers", "arxiv")}  # fmt: skip
    document = {"protocol": "A", "evaluations": 200, "seeds": [0, 1], "results": {"mine": mean}}
    text = format_table(document)
    assert "beats published on 8 of 8; ranks 1.00" in text
    assert "initial=3" in format_table({**document, "options": {"initial": 3}})
    assert average_rank([1.0], [[2.0], [3.0]]) == 3
    assert summary([[1.0, 2.0], [3.0, 4.0]], (2,)) == {"mean": {"2": 3.0}, "error": {"2": 1.0}}


def test_options_of_a_sampler_can_be_set(capsys):
    options = ["--samplers", "evolution", "--evaluations", "60", "--seeds", "3", "--data-sets", "cora", "--json"]
    documents = []
    for more in ([], ["--set", "initial=60", "--set", "population=5"]):
        assert main([*options, *more]) == 0
        documents.append(json.loads(capsys.readouterr().out))
    assert [document["options"] for document in documents] == [{}, {"initial": 60, "population": 5}]
    assert documents[0]["results"] != documents[1]["results"]


def test_faults_are_told_on_one_line_each(capsys):
    assert main(["--samplers", "evolution", "--set", "initial=-1"]) == 2
    assert capsys.readouterr().err.splitlines()[-1].endswith("sampler.initial: is -1; allowed: a whole number from 0")
    assert main(["--samplers", "evolution", "--set", "initial"]) == 2
    assert "--set initial: is no assignment" in capsys.readouterr().err
    assert main(["--samplers", "evolutoin"]) == 2
    assert "--samplers.name: is 'evolutoin'" in capsys.readouterr().err
    assert main(["--data-sets", "corra", "--seeds", "0"]) == 2
    faults = capsys.readouterr().err.splitlines()
    assert len(faults) == 2
    assert "did you mean cora?" in faults[0]


def test_the_plot_is_drawn(tmp_path):
    options = ["--samplers", "random", "--evaluations", "20", "--seeds", "2", "--data-sets", "cora"]
    assert main([*options, "--plot", str(tmp_path / "curves.png"), "--json"]) == 0
    assert (tmp_path / "curves.png").stat().st_size > 1000
