"""Damaged files of each reader: what comes out is a data set or one of our errors, and nothing else."""

import copy
import gzip
import io
import math
import pickle
import random
import warnings

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from acts_files import modules_of, write_acts
from colliderml_tables import rows_of, write_tables
from events import barrel_event
from fuzzing import fuzzed, mutated_bytes
from graphs import graph_faults
from test_acorn import columns, matrix, prefixed
from test_sources import arrays
from torch_geometric.data import Batch, Data

from archioptrx.core.errors import InputError
from archioptrx.data.options import SOURCES, has_option
from archioptrx.data.sources import load_dataset
from archioptrx.data.sources.trackml import write_event

NUMBERS = (0, 1, -1, 2, 0.5, -0.0, 1e-300, 1e19, -1e19, 2.0**53, 2**63 - 1, -(2**63), math.nan, math.inf, -math.inf)
KINDS = ("f2", "f4", "f8", "i1", "i4", "i8", "u1", "u8", "?", "U3", "c8", "M8[s]", "V4")
PLAIN = (None, "", "x", [], {}, (), True, 10**30, b"\0", object, [[[]]], {"a": 1}, math.nan, "\ud800", np.float64(1))


def mutated_array(values, random):
    """One change of an array: a number, its type, its shape or its length."""
    change = random.randrange(6)
    values = np.array(values)
    if values.dtype.kind not in "biuf":
        return values
    if change == 0 and values.size:
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            flat = values.astype(random.choice(("f8", "f4", "i8", str(values.dtype)))).ravel()
            number = random.choice(NUMBERS)
            if flat.dtype.kind == "f" or (float(number).is_integer() and abs(number) < 2**63):
                flat[random.randrange(flat.size)] = number
        return flat.reshape(values.shape)
    if change == 1:
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return np.zeros(values.shape, "V4") if (kind := random.choice(KINDS)) == "V4" else values.astype(kind)
    if change == 2:
        return random.choice((values.T, values.ravel(), values[None], values[..., None], np.array(7), np.zeros((0, 3))))
    if change == 3:
        return values[: random.randrange(len(values) + 1)] if values.ndim else values
    if change == 4 and values.ndim:
        return np.concatenate([values, values[:1]])
    return values[::-1] if values.ndim else values


def refused_or_read(spec):
    """Read a data set; only InputError may come out, and a graph that comes out keeps the contract."""
    try:
        dataset = load_dataset(spec)
    except InputError as error:
        assert all("\n" not in fault for fault in error.faults)
        return
    for graph in dataset.graphs:
        assert graph_faults(graph) == []
        assert graph.num_edges == len(set(map(frozenset, graph.edge_index.T.tolist())))
        assert graph.get("pid") is None or not (graph.pid < 0).any()


def npz(random, folder):
    """An .npz of HEP.TrkX with all that may stand there, changed."""
    random_pids = np.array([7, 7, 7, 0])
    content = arrays(pid=random_pids, hit_id=np.arange(4), pt=np.ones(4), edge_weight=np.ones(5))
    content |= {"loss_pairs": np.array([[0, 1], [2, 3]]), "y_loss": np.array([1, 0])}
    content |= {
        "particle_id": np.array([0, 7]),
        "particles": np.zeros((2, 8)),
        "particle_index": np.array([1, 1, 1, 0]),
    }
    content |= {"chain": np.array([[0, 1], [1, 2], [2, 3], [3, 4]]), "chain_hit_id": np.arange(6)}
    content |= {"chain_hit_pid": np.array([7, 7, 7, 0, 0, 7]), "chain_hit_pt": np.ones(6), "chain_hit_z": np.ones(6)}
    for _ in range(random.randrange(1, 3)):
        name = random.choice(list(content))
        content[name] = mutated_array(content[name], random)
        if random.random() < 0.15:
            del content[name]
    np.savez(folder / "event1_g000.npz", **content)
    if random.random() < 0.2:
        file = folder / "event1_g000.npz"
        file.write_bytes(mutated_bytes(file.read_bytes(), random))
    return {"source": "hitgraphs", "sectors": random.choice((1, 2))}


def pyg(random, folder):
    """A graph of acorn or gnn_tracking, changed."""
    content = dict(random.choice((columns, prefixed, matrix))())
    for _ in range(random.randrange(1, 3)):
        name = random.choice(list(content))
        content[name] = mutated_tensor(content[name], random)
    file = folder / random.choice(("e_s1.pt", "e.pyg", "e.pyg.gz"))
    stream = io.BytesIO()
    try:
        graph = Data.from_dict(content)
        torch.save(Batch.from_data_list([graph]) if random.random() < 0.3 else graph, stream)
    except Exception:  # what can't be saved isn't a file
        torch.save(Data.from_dict({}), stream)
    saved = gzip.compress(stream.getvalue(), mtime=0) if file.suffix == ".gz" else stream.getvalue()
    file.write_bytes(mutated_bytes(saved, random) if random.random() < 0.2 else saved)
    if random.random() < 0.3:
        (folder / "rules.yaml").write_text(random.choice(RULES))
        return {"source": "acorn", "acorn_config": str(folder / "rules.yaml")}
    return {"source": "acorn", "weights": random.random() < 0.3}


RULES = (
    "weighting: [{weight: 1, conditions: {y: true, pt: [1, .inf]}}, {weight: -1, conditions: {r: [60, 80]}}]",
    "{hard_cuts: {pt: [1, .inf]}, target_tracks: {particle_id: [in, [77]]}}",
)


def mutated_tensor(value, random):
    """Another tensor, or something else in its place."""
    change = random.randrange(10)
    if change == 0 or not isinstance(value, torch.Tensor):
        return random.choice((None, "x", [1], {"a": torch.ones(2)}, 3, math.nan))
    try:
        return changed_tensor(value, change, random)
    except (TypeError, ValueError, RuntimeError):  # some types have no such form
        return torch.tensor(7)


def changed_tensor(value, change, random):
    """A tensor in another type or form, or with other numbers."""
    if change == 1:
        kind = random.choice((torch.bfloat16, torch.float16, torch.complex64, torch.bool, torch.uint8))
        return (value.real if value.is_complex() else value).to(kind)
    if change == 2:
        return value.to("meta")
    if change == 3:
        return value.to_sparse() if value.dim() and not value.is_meta else value
    if change == 4:
        return torch.ones(1).expand(10**6)
    return torch.tensor(mutated_array(value.numpy(), random).copy())


def samples(random, folder):
    """The notebook's samples, changed anywhere."""
    xyz = np.array([[30.0, 3, 10], [70, 8, 20], [115, 14, 30], [-69, 10, 4], [30, 1, 5]])
    hits = {"xyz": xyz, "emb": np.ones((5, 2)), "particle_id": np.array([7, 7, 7, 0, 0]), "pt": np.ones(5)}
    lists = [[1], [0, 2], [1], [], []]
    sample = {"event": "e", "sector": 0, "sectors": 1, "hits": hits, "graphs": dict.fromkeys(("pred", "loss", "true"))}
    sample["graphs"] = {name: copy.deepcopy(lists) for name in ("pred", "loss", "true")}
    content = [sample, copy.deepcopy(sample) | {"event": "f"}]
    for _ in range(random.randrange(1, 3)):
        changed_inside(content, random)
    file = folder / "a.pickle"
    try:
        file.write_bytes(pickle.dumps(content, random.choice((0, 2, 4))))
    except Exception:  # what can't be pickled isn't a file
        file.write_bytes(b"x")
    if random.random() < 0.2:
        file.write_bytes(mutated_bytes(file.read_bytes(), random))
    return {"source": "pickle"}


def changed_inside(content, random):
    """Go down a random way and put something else there."""
    while True:
        keys = list(content) if isinstance(content, dict) else list(range(len(content)))
        if not keys:
            return
        key = random.choice(keys)
        inside = content[key]
        if isinstance(inside, dict | list) and random.random() < 0.8:
            content = inside
            continue
        if isinstance(inside, np.ndarray) and random.random() < 0.8:
            content[key] = mutated_array(inside, random)
        else:
            # A copy: the next change may go down into it, and the examples after this one want it as it was.
            chosen = random.choice((*PLAIN, *NUMBERS, np.ones((2, 2)), np.array(["a"], object)))
            content[key] = copy.deepcopy(chosen)
        return


def csv(random, folder):
    """An event of TrackML, with fields and lines of a file changed."""
    write_event(barrel_event(1, tracks=3, noise=2), folder)
    spoil_tables(folder, random)
    return {"source": "trackml", "slope_max": 0.01, "z0_max": 1e4, "layers": random.choice(("barrel", "all"))}


def acts_csv(random, folder):
    """An event of Acts, some without positions, with fields and lines of a file changed."""
    event = barrel_event(1, tracks=3, noise=2)
    if random.random() < 0.3:
        write_acts(event, folder, measurements=lambda table: table.drop(columns="global_y"))
        pd.DataFrame(modules_of(event)).to_csv(folder / "detectors.csv", index=False)
    else:
        write_acts(event, folder)
    spoil_tables(folder, random)
    return {"source": "acts", "slope_max": 0.01, "z0_max": 1e4, "layers": random.choice(("barrel", "all"))}


def spoil_tables(folder, random):
    """Change fields and lines of the CSV files."""
    files = sorted(folder.glob("*.csv"))
    for _ in range(random.randrange(1, 4)):
        file = random.choice(files)
        lines = [line.split(",") for line in file.read_bytes().decode("utf-8", "replace").splitlines()] or [[""]]
        line = random.choice(lines)
        change = random.randrange(6)
        if change < 3:
            texts = (*map(str, NUMBERS), "", "nan", "x", '"', "1;2", "1e999", "9" * 400, "\0", "٣")
            line[random.randrange(len(line))] = random.choice(texts)
        elif change == 3:
            lines.insert(random.randrange(len(lines) + 1), list(random.choice(lines)))
        elif change == 4:
            del lines[random.randrange(len(lines)) :]
        else:
            line.append("1")
        file.write_text("\n".join(",".join(cells) for cells in lines) + "\n", encoding="utf-8")
    if random.random() < 0.15:
        file = random.choice(files)
        file.write_bytes(mutated_bytes(file.read_bytes() or b"\n", random))


def parquet(random, folder):
    """Two events of ColliderML, with rows, columns and types of a table changed."""
    events = [rows_of(barrel_event(seed, tracks=3, noise=2), 7 + seed) for seed in (0, 1)]
    files = write_tables(folder, events, groups=random.choice((1, 2)))
    for _ in range(random.randrange(1, 3)):
        file = random.choice(files)
        try:
            changed = changed_table(pq.read_table(file), random)
            pq.write_table(changed, file, row_group_size=random.choice((1, 2)))
        except (pa.ArrowException, OverflowError, TypeError, ValueError):  # what can't be written isn't a file
            continue
    if random.random() < 0.3:
        file = random.choice(files)
        file.write_bytes(mutated_bytes(file.read_bytes(), random))
    options = {"layers": random.choice(("barrel", "all")), "skip_bad": random.random() < 0.3}
    return {"source": "colliderml", "slope_max": 0.01, "z0_max": 1e4, **options}


def changed_table(table, random):
    """One change of a table: a number, a list, a column's type, its rows, or another column."""
    place = random.randrange(table.num_columns)
    name, column = table.column_names[place], table.column(place).to_pylist()
    change, row = random.randrange(6), random.randrange(max(1, len(column)))
    if change == 0:
        return table.drop_columns(name)
    if change == 1 or not column:
        return table.take(random.choice(([], [0], [0, 0], [1, 0, 1]))) if table.num_rows > 1 else table.slice(1)
    if isinstance(column[row], list) and column[row] and change < 5:
        values = column[row]
        values[random.randrange(len(values))] = random.choice((*NUMBERS, None, True, "x", [1.0]))
        if change == 4:
            del values[random.randrange(len(values)) :]
    else:
        column[row] = random.choice((None, [], 1, [[1]], "x", 2**40, [math.nan]))
    kinds = (table.field(place).type, None, pa.list_(pa.float64()), pa.large_list(pa.int64()), pa.list_(pa.float16()))
    return table.set_column(place, name, pa.array(column, random.choice(kinds)))


READERS = {"npz": npz, "pyg": pyg, "pickle": samples, "csv": csv, "acts": acts_csv, "parquet": parquet}


def fuzz_files(reader, examples):
    fuzzed(examples, lambda random, folder: refused_or_read({**READERS[reader](random, folder), "path": str(folder)}))


def test_every_source_of_files_has_a_reader(tmp_path):
    read = {make(random.Random(0), tmp_path)["source"] for make in READERS.values()}
    assert read == {name for name in SOURCES if has_option(name, "path") and name not in SOURCES.own()}


@pytest.mark.parametrize("reader", READERS)
def test_a_damaged_file_is_read_or_refused_in_one_line(reader):
    fuzz_files(reader, 100)


@pytest.mark.long
@pytest.mark.parametrize("reader", READERS)
def test_twenty_thousand_damaged_files_are_read_or_refused(reader):
    fuzz_files(reader, 20_000)
