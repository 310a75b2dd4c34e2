"""The notebook's samples: what is read of them, what is written, and what a hostile pickle can't do."""

import copyreg
import io
import os
import pickle
import struct

import numpy as np
import pytest
import torch
from graphs import graph_faults, random_dataset, toy
from hypothesis import given
from hypothesis import strategies as st

from archioptrx.commands.data import main
from archioptrx.core.errors import InputError
from archioptrx.data.sources import load_dataset, safe_pickle
from archioptrx.data.sources.pickle_writing import neighbour_lists, write

XYZ = np.array([[0.0, 110, 10], [30, 0, 5], [0, 70, 20], [-70, 0, 40], [0, -30, 1]])


def sample(**changes):
    """Five hits: 4 → 2 → 0 of particle 8, 1 → 3 of particle 9; 2 → 0 is missed by the prediction."""
    hits = {
        "xyz": XYZ,
        "emb": np.arange(15.0).reshape(5, 3),
        "particle_id": np.array([8, 9, 8, 9, 8]),
        "volume": ["a", "b", "c", "d", "e"],
    }
    graphs = {
        # 4-2 stands at both ends, the others at one.
        "pred": [[1], [], np.array([4]), [1], [2, 1]],
        "loss": [[1, 2], [], [4], [1], [2, 1, 0]],
        "true": [[2], [3], [4, 0], [], []],
    }
    content = {"hits": hits, "graphs": graphs}
    for name, value in changes.items():
        part = "hits" if name in hits or name in ("hit_id", "pt") else "graphs"
        content[part] = {k: v for k, v in (content[part] | {name: value}).items() if v is not None}
    return content


def saved(path, samples, protocol=4):
    path.write_bytes(pickle.dumps(samples, protocol=protocol))
    return path


def read(path, **options):
    return load_dataset({"source": "pickle", "path": str(path), **options})


def fault_of(path, **options):
    with pytest.raises(InputError) as error:
        read(path, **options)
    (fault,) = error.value.faults
    assert "\n" not in fault
    assert fault.startswith(f"{path}")
    return fault.removeprefix(f"{path}: ")


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4, 5])
def test_a_sample_becomes_a_graph_in_every_protocol(tmp_path, protocol):
    dataset = read(saved(tmp_path / "events.pickle", [sample(), sample()], protocol))
    graph = dataset.graphs[0]
    assert graph_faults(graph) == []
    assert graph.in_file_order(graph.edge_index.T).tolist() == [[1, 0], [1, 3], [4, 1], [4, 2]]
    assert graph.in_file_order(graph.y).tolist() == [0, 1, 0, 1]
    assert graph.loss_index.T.tolist() == [[1, 0], [1, 3], [2, 0], [4, 0], [4, 1], [4, 2]]
    # 4 and 0 are of one particle, but don't follow each other.
    assert graph.y_loss.tolist() == [0, 1, 1, 1, 0, 1]
    assert graph.embedding.tolist() == np.arange(15.0).reshape(5, 3).tolist()
    assert graph.pid.tolist() == [8, 9, 8, 9, 8]
    np.testing.assert_allclose(graph.pos, XYZ)
    np.testing.assert_allclose(graph.x[0], [0.11, 0.5, 0.01], rtol=1e-6)
    assert dataset.metadata.widths["embedding"] == 3
    assert dataset.events == ("events_00000", "events_00001")


def test_two_samples_of_one_name_are_not_taken_for_one_event(tmp_path):
    named = {**sample(), "event": "event1", "sectors": 1}
    for name in ("a", "b"):
        saved(tmp_path / f"{name}.pickle", [{**named, "sector": sector} for sector in (0, 1)])
    with pytest.raises(InputError) as error:
        read(tmp_path)
    allowed = "allowed: events of different names"
    assert error.value.faults == tuple(
        f"{tmp_path}/b.pickle: sample {k}: is event1 sector {k}, as is {tmp_path}/a.pickle: sample {k}; {allowed}"
        for k in (0, 1)
    )
    assert len(read(tmp_path, skip_bad=True).graphs) == 2
    # Files of one name in two folders number their samples alike.
    for folder in ("one", "two"):
        (tmp_path / "nameless" / folder).mkdir(parents=True)
        saved(tmp_path / "nameless" / folder / "c.pickle", [sample()])
    with pytest.raises(InputError, match=r"two/c.pickle: sample 0: is c_00000 sector 0, as is .*one/c.pickle"):
        read(tmp_path / "nameless")


@pytest.mark.parametrize(
    ("first", "second", "fault"),
    [
        (sample(emb=None), sample(), "has hits.emb, which {} lacks"),
        (sample(), sample(emb=None), "lacks hits.emb, which {} has"),
        (sample(), sample() | {"event": "b", "sector": 0, "sectors": 1}, "has event, sector, sectors, which {} lacks"),
    ],
)
def test_keys_of_some_samples_alone_are_not_left_unread(first, second, fault, tmp_path):
    path = saved(tmp_path / "events.pickle", [first, second])
    place = f"{path}: sample 0"
    assert fault_of(path) == f"sample 1: {fault.format(place)}; allowed: the same arrays for all events"
    assert len(read(path, skip_bad=True).graphs) == 1


def test_arrays_of_other_types_orders_and_places_are_read(tmp_path):
    lists = np.empty(5, dtype=object)
    lists[:] = [np.array(neighbours, dtype=np.uint16) for neighbours in sample()["graphs"]["pred"]]
    other = sample(
        xyz=np.asfortranarray(XYZ.astype(">f4")),
        particle_id=[8, np.int64(9), 8, 9, 8],
        pred=lists,
        emb=np.arange(30.0, dtype=np.float16).reshape(5, 6)[:, ::2],
        hit_id=np.array([5, 4, 3, 2, 1], dtype=np.int32),
        pt=np.ones(5),
    )
    for protocol in (2, 4, 5):
        graph = read(saved(tmp_path / "a.pkl", [other], protocol)).graphs[0]
        np.testing.assert_allclose(graph.pos, XYZ)
        assert graph.edge_index.tolist() == read(saved(tmp_path / "b.pkl", [sample()])).graphs[0].edge_index.tolist()
        assert graph.embedding[1].tolist() == [6, 8, 10]
        assert graph.hit_id.tolist() == [5, 4, 3, 2, 1]
        assert graph.pt.tolist() == [1] * 5


WRONG = [
    ({"xyz": None}, "lacks hits.xyz; allowed: a pickled list"),
    ({"xyz": XYZ[:, :2]}, "hits.xyz has the shape [5, 2]; allowed: [hits, 3]"),
    ({"xyz": XYZ * [1, np.nan, 1]}, "hits.xyz is nan at hit 0; allowed: finite numbers"),
    ({"emb": np.zeros((4, 3))}, "hits.emb has the shape [4, 3]; allowed: [5, 3]"),
    ({"emb": "none"}, "hits.emb is str; allowed: a numpy array of numbers"),
    ({"particle_id": None}, "lacks hits.particle_id; allowed: "),
    ({"particle_id": np.zeros(4)}, "hits.particle_id has the shape [4]; allowed: [5], one number per hit"),
    ({"hit_id": np.zeros(5)}, "hit_id 0 stands 5 times; allowed: each once"),
    ({"pred": None}, "graphs.pred is NoneType; allowed: one list of neighbours for each of the 5 hits"),
    ({"pred": [[]] * 4}, "graphs.pred is 4 lists; allowed: one list of neighbours for each of the 5 hits"),
    ({"loss": [[], [7], [], [], []]}, "graphs.loss at hit 1 names hit 7; allowed: 0 … 4"),
    ({"loss": [[], [], [-1], [], []]}, "graphs.loss at hit 2 names hit -1; allowed: 0 … 4"),
    ({"true": [[], [], ["a"], [], []]}, "graphs.true at hit 2 is no list of whole numbers; allowed: "),
    ({"true": [[], [], [0.5], [], []]}, "graphs.true at hit 2 is no list of whole numbers; allowed: "),
    ({"true": [[], [], 3, [], []]}, "graphs.true at hit 2 is no list of whole numbers; allowed: "),
]


@pytest.mark.parametrize(("changes", "message"), WRONG, ids=[message.split(";")[0] for _, message in WRONG])
def test_every_fault_of_a_sample_is_named(tmp_path, changes, message):
    good = sample() if "emb" in changes else sample(emb=None)
    changes = changes if "emb" in changes else {"emb": None} | changes
    file = saved(tmp_path / "a.pickle", [good, sample(**changes)])
    assert fault_of(file).startswith(f"sample 1: {message}")
    dataset = read(file, skip_bad=True)
    assert len(dataset.graphs) == 1
    assert dataset.metadata.options["skipped"] == 1


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({}, "holds dict; allowed: a pickled list of samples"),
        ([], "holds an empty list; allowed: "),
        ([7], "sample 0: lacks hits, or it is no dict; allowed: "),
        ([{"hits": {}, "graphs": []}], "sample 0: lacks graphs, or it is no dict; allowed: "),
        ([sample() | {"event": "../a"}], "sample 0: event is '../a'; allowed: letters, digits, _ . + -"),
        ([sample() | {"sector": -1}], "sample 0: sector -1 of 1; allowed: 0 or more, of 1 … 10,000"),
        ([sample() | {"sectors": True}], "sample 0: sector 0 of True; allowed: 0 or more, of 1 … 10,000"),
        (
            [sample() | {"event": str(sectors), "sector": 0, "sectors": sectors} for sectors in (1, 4)],
            "samples have [1, 4] sectors an event; allowed: one number for all",
        ),
        (
            [sample() | {"event": "a", "sector": 1}],
            "sample 0: has sector without sectors; allowed: event, sector and sectors, or no sector",
        ),
    ],
)
def test_files_that_hold_something_else_are_named(tmp_path, content, message):
    assert fault_of(saved(tmp_path / "a.pickle", content)).startswith(message)


class Calls:
    """Calls something where it is unpickled."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


class Builds(Calls):
    """A function that gets a state."""

    def __init__(self, function, state):
        self.call = function, (), state


def raw(*parts):
    """A pickle written by hand."""
    return b"\x80\x04" + b"".join(parts) + b"."


def text(value):
    return b"\x8c" + bytes([len(value)]) + value.encode()


RECONSTRUCT = text("numpy.core.multiarray") + text("_reconstruct") + b"\x93"
NDARRAY = text("numpy") + text("ndarray") + b"\x93"
DTYPE = text("numpy") + text("dtype") + b"\x93"


def hostile(path):
    """Pickles that would make the folder `path`, take all memory or crash numpy, and what is said of them."""
    mark = str(path)
    inner = np.empty(1, dtype=object)
    inner[0] = Calls(os.mkdir, mark)
    huge = struct.pack("<I", 2**31 - 1)
    return {
        "os": (pickle.dumps([Calls(os.mkdir, mark)]), "asks for posix.mkdir; allowed: "),
        "system": (pickle.dumps(Calls(os.system, f"mkdir {mark}"), 0), "asks for posix.system; allowed: "),
        "eval": (pickle.dumps(Calls(eval, f"__import__('os').mkdir({mark!r})")), "asks for builtins.eval; allowed: "),
        "getattr": (pickle.dumps(Calls(getattr, 1, "real")), "asks for buil"),
        "import": (pickle.dumps(Calls(__import__, "os")), "asks for builtins.__import__; allowed: "),
        "in an array": (pickle.dumps([inner]), "asks for posix.mkdir; allowed: "),
        "dotted": (raw(text("numpy"), text("ndarray.__class__"), b"\x93"), "asks for numpy.ndarray.__class__; "),
        "load": (raw(text("numpy"), text("load"), b"\x93"), "asks for numpy.load; allowed: "),
        "persistent": (b"\x80\x04\x8c\x01aQ.", "asks for BINPERSID, which arrays don't need; allowed: "),
        "extension": (b"\x80\x02\x82\x01.", "asks for EXT1, which arrays don't need; allowed: "),
        "buffer": (b"\x80\x05\x97.", "asks for NEXT_BUFFER, which arrays don't need; allowed: "),
        "object": (raw(NDARRAY, b")\x81"), "asks for NEWOBJ, which arrays don't need; allowed: "),
        "memo": (raw(b"Kr", b"r" + huge), "reserves 2,147,483,647 places at instruction 2; allowed: "),
        "called type": (raw(NDARRAY, b"(J\xff\xff\xff\x7fKdtR"), "is no sound pickle (calls ndarray"),
        "size": (raw(RECONSTRUCT, NDARRAY, b"J\xff\xff\xff\x7f\x85C\x01b\x87R"), "is no sound pickle (makes something"),
        "kind": (raw(RECONSTRUCT, DTYPE, b"K\x00\x85C\x01b\x87R"), "is no sound pickle (makes something else"),
        "type": (raw(DTYPE, text("V999999999"), b"\x89\x88\x87R"), "is no sound pickle (has numbers of type 'V999"),
        "fields": (
            raw(DTYPE, text("f8"), b"\x89\x88\x87R(K\x03", text("<"), b"NNK\x01tb"),
            "is no sound pickle (describes numbers by",
        ),
        "state of a function": (raw(RECONSTRUCT, b"N}", text("_function"), b"Ks\x86b"), "is no sound pickle ("),
        "cut": (pickle.dumps([sample()])[:-9], "is cut short or no pickle, at instruction "),
        "nothing": (b"\xffhello", "is cut short or no pickle, at instruction "),
    }


@pytest.mark.parametrize("name", list(hostile("x")))
def test_a_hostile_pickle_is_refused_with_one_line_and_runs_nothing(tmp_path, name):
    content, message = hostile(tmp_path / "run")[name]
    (tmp_path / "a.pickle").write_bytes(content)
    fault = fault_of(tmp_path / "a.pickle")
    assert fault.startswith(message)
    assert not (tmp_path / "run").exists()
    # Among good files it is skipped on demand.
    saved(tmp_path / "b.pickle", [sample()])
    assert read(tmp_path, skip_bad=True).metadata.options["skipped"] == 1


def test_the_tests_pickles_do_run_where_nobody_guards(tmp_path):
    for name in ("os", "system", "eval", "in an array"):
        pickle.loads(hostile(tmp_path / name)[name][0])
        assert (tmp_path / name).exists(), name


def test_an_extension_that_this_process_knows_is_refused_too(tmp_path):
    copyreg.add_extension("os", "mkdir", 240)
    try:
        (tmp_path / "a.pickle").write_bytes(b"\x80\x02\x82\xf0" + b"X\x01\x00\x00\x00x\x85R.")
        assert fault_of(tmp_path / "a.pickle").startswith("asks for EXT1")
    finally:
        copyreg.remove_extension("os", "mkdir", 240)


def test_one_list_in_billions_of_places_is_refused(tmp_path):
    hits = {"xyz": np.random.default_rng(0).random((200, 3)), "particle_id": np.ones(200)}
    laughs = {"hits": hits, "graphs": dict.fromkeys(("pred", "loss", "true"), [list(range(200)) * 5] * 200)}
    file = saved(tmp_path / "a.pickle", [laughs])
    assert fault_of(file).startswith(
        "sample 0: graphs.pred has more neighbours than a file of this size can hold; allowed: "
    )
    nested: object = 1
    for _ in range(60):
        nested = {"a": nested, "b": nested, "hits": nested}
    assert fault_of(saved(file, [nested])).startswith("sample 0: lacks graphs")


def test_a_link_out_of_the_folder_is_not_followed(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a.pickle").symlink_to(saved(tmp_path / "b.pickle", [sample()]))
    with pytest.raises(InputError, match=r"a\.pickle: is a link out of the folder; allowed: files inside it"):
        read(tmp_path / "data")


def pairs_of(graph, index, values):
    return sorted(zip(graph[index].T.tolist(), graph[values].tolist(), strict=True))


def test_what_is_written_is_read_again(tmp_path):
    dataset = toy(3)
    write(dataset, tmp_path / "new" / "a.pickle")
    again = read(tmp_path / "new" / "a.pickle")
    for old, new in zip(dataset.graphs, again.graphs, strict=True):
        assert (old.event, old.sector) == (new.event, new.sector)
        assert pairs_of(old, "edge_index", "y") == pairs_of(new, "edge_index", "y")
        assert torch.equal(new.embedding, old.x)
        for key in ("pid", "hit_id", "pos", "pt"):
            assert torch.equal(old[key], new[key]), key
        scales = torch.tensor(dataset.metadata.node_scale), torch.tensor(again.metadata.node_scale)
        np.testing.assert_allclose(old.x * scales[0], new.x * scales[1], rtol=1e-5, atol=1e-4)
    write(again, tmp_path / "b.pickle")
    twice = read(tmp_path / "b.pickle")
    for first, second in zip(again.graphs, twice.graphs, strict=True):
        assert pairs_of(first, "loss_index", "y_loss") == pairs_of(second, "loss_index", "y_loss")
        assert torch.equal(first.x, second.x)
    with pytest.raises(InputError, match=r"b\.pickle: exists already; allowed: a new file"):
        write(again, tmp_path / "b.pickle")


def test_sectors_are_kept_and_particles_needed(tmp_path):
    dataset = random_dataset(2, sectors=3)
    write(dataset, tmp_path / "a.pickle")
    again = read(tmp_path / "a.pickle")
    assert again.metadata.sectors == 3
    assert [(g.event, g.sector) for g in again.graphs] == [(g.event, g.sector) for g in dataset.graphs]
    dataset.graphs[1].pid = None
    with pytest.raises(InputError, match=r"have no particle of each hit \(pid\)"):
        write(dataset, tmp_path / "b.pickle")


def test_the_notebooks_own_reader_gets_lists_of_numpy_arrays(tmp_path):
    graph = read(saved(tmp_path / "a.pickle", [sample()])).graphs[0]
    write(load_dataset({"path": str(tmp_path / "a.pickle")}), tmp_path / "b.pickle")
    with (tmp_path / "b.pickle").open("rb") as file:
        (content,) = pickle.load(file)
    assert content["hits"]["xyz"].shape == (5, 3)
    assert content["hits"]["emb"].tolist() == graph.embedding.tolist()
    assert [neighbours.tolist() for neighbours in content["graphs"]["pred"]] == [[1], [0, 3, 4], [4], [1], [1, 2]]
    assert [neighbours.tolist() for neighbours in content["graphs"]["true"]] == [[2, 4], [3], [0, 4], [1], [0, 2]]
    assert all(
        type(neighbours) is np.ndarray and neighbours.dtype == np.int64 for neighbours in content["graphs"]["loss"]
    )


@given(st.integers(0, 10_000), st.integers(1, 9), st.integers(0, 30))
def test_neighbour_lists_hold_each_pair_at_both_ends(seed, hits, count):
    pairs = np.random.default_rng(seed).integers(0, hits, (2, count))
    lists = neighbour_lists(pairs, hits)
    expected = [sorted([*pairs[1, pairs[0] == k], *pairs[0, pairs[1] == k]]) for k in range(hits)]
    assert [neighbours.tolist() for neighbours in lists] == expected


plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.tuples(inner, inner),
)


@given(plain, st.integers(0, 5))
def test_plain_data_come_as_pickle_itself_reads_them(value, protocol):
    assert safe_pickle.load(pickle.dumps(value, protocol)) == value


@given(st.binary(max_size=60), st.integers(0, 2**32))
def test_any_bytes_are_read_or_refused(noise, seed):
    good = bytearray(pickle.dumps([sample()]))
    for k, byte in enumerate(noise):
        good[(seed * (k + 1)) % len(good)] = byte
    for content in (bytes(good), noise):
        try:
            safe_pickle.load(content)
        except InputError as error:
            assert len(error.faults) == 1


def test_the_command_makes_a_pickle_of_any_source_and_reads_it(tmp_path, capsys):
    file = tmp_path / "samples.pickle"
    assert main(["pickle", "--write", str(file), "--of", "{source: toy, num_samples: 3}"]) == 0
    assert "written to" in capsys.readouterr().err
    assert len(pickle.load(io.BytesIO(file.read_bytes()))) == 3
    assert main(["toy", "--num-samples", "3", "--output", str(tmp_path / "events")]) == 0
    assert main(["pickle", str(tmp_path / "events"), "--write", str(tmp_path / "b.pickle")]) == 0
    assert (tmp_path / "b.pickle").read_bytes() == file.read_bytes()
    capsys.readouterr()
    for arguments, fault in (
        (["--of", "x"], "--of: stands without --write; allowed: both, or neither"),
        (["--write", "x"], "--write: has no data to write; allowed: --of DATA"),
        (["--write", str(file), "--of", "x"], f"{file}: exists already; allowed: a new file"),
        (["a", "--write", "x", "--of", "x"], "--of and PATH: both name the data; allowed: one of them"),
        (["--write", "x", "--of", "{source: tey}"], "--of: source: is 'tey'; allowed: "),
        (["--write", "x", "--of", "nowhere"], "nowhere: no such file or folder; allowed: "),
    ):
        assert main(["pickle", *arguments]) == 2
        captured = capsys.readouterr()
        assert captured.out == ""
        assert captured.err.startswith(fault)
