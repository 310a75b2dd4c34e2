"""The guard of all hit graphs: of arrays of any source a graph is made only after these checks.

`dataset.make_graph` calls it, so that every reader, every simulation, graphs made of other graphs and a user's own
source keep the same rules; `docs/data.md` lists them. What can be repaired without a guess is repaired and counted
(`archioptrx.data.repairs`), all else is refused with one line.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from archioptrx.core.errors import InputError, reason_of
from archioptrx.data.bounds import coordinate_fault
from archioptrx.data.event import PARTICLE_COLUMNS, UNKNOWABLE
from archioptrx.data.hitgraph import (
    CHAIN_HIT_FIELDS,
    EDGE_FIELDS,
    NODE_FIELDS,
    PAIR_FIELDS,
    PARTICLE_FIELDS,
    TRIPLET_FIELDS,
)
from archioptrx.data.identifiers import particle_ids, whole_numbers
from archioptrx.data.pairs import Edges, outward_rank, pair_keys

Arrays = dict[str, Any]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

INDICES = {"edge_index": "hit", "loss_index": "hit", "triplet_index": "edge", "particle_index": "particle"}
"""Fields that hold numbers of rows, and the kind of these rows."""
ROWS = {
    **dict.fromkeys(NODE_FIELDS, "hit"),
    **dict.fromkeys(EDGE_FIELDS, "edge"),
    **dict.fromkeys(TRIPLET_FIELDS, "triplet"),
    **dict.fromkeys(PARTICLE_FIELDS, "particle"),
    **dict.fromkeys(PAIR_FIELDS, "pair of the loss"),
    **dict.fromkeys(CHAIN_HIT_FIELDS, "hit of the chains"),
}
"""Kind of the rows of each field."""
TABLES = ("x", "pos", "embedding", "chain", "edge_attr", "triplet_attr", "particles")
"""Fields with several columns. Another field with two columns would pair each edge with each, without an error."""
WHOLE = ("hit_id", "particle_id", "chain", "edge_order", "chain_hit_id")
PARTICLE_OF = {"pid": "pt", "chain_hit_pid": "chain_hit_pt"}
"""Fields with the particle of each hit, 0 for noise, and those with its pT."""
_UNKNOWABLE = np.isin(PARTICLE_COLUMNS, UNKNOWABLE)
POSITION_SLACK = 1e-3
"""Share of a hit's distance, and mm, by which two forms of its place may differ: digits of files, and of float32."""
LARGEST = float(np.finfo(np.float32).max)
"""Largest number in float32, in which graphs keep their numbers."""
NOT_NEGATIVE = ("pt", "hit_weight", "edge_weight", "triplet_weight", "chain_hit_pt", "chain_hit_weight")
SHARES = ("y", "y_triplet", "y_loss", "edge_mask", "triplet_mask")
"""Truth and masks: 0 or 1."""
ANSWERS = ("edge_weight", "edge_mask")
"""What belongs to the truth of an edge; none is negative."""
PROBABILITIES = {"baseline": "baseline_logit", "triplet_baseline": "triplet_baseline_logit"}
"""Probabilities of an earlier classifier, and the fields that hold the logit in their place."""


def guarded(
    arrays: Mapping[str, Any], scale: tuple[float, ...], sectors: int, directed: bool, own_units: bool = False
) -> tuple[Arrays, dict[str, int]]:
    """Check a graph's arrays, and bring edges and particles into the form of the contract.

    Parameters
    ----------
    arrays
        Arrays under the names of `HitGraph`, edges in any order; None is left out. They aren't changed.
    scale
        Factors that turn the columns of `x` into mm, rad, mm.
    sectors
        φ sectors of an event.
    directed
        The source knows which hit of an edge is the inner one, e.g. by layers. Otherwise r decides, and edges that lead
        inwards are turned. For a pair that stands in both directions r decides in any case.
    own_units
        Lengths aren't mm: places of hits have no bounds, and positions may be in another unit than `x`.

    Returns
    -------
    The arrays, and what was repaired: counts by the names of `repairs.TEXTS`.

    Raises
    ------
    InputError
        The arrays break the contract.
    """
    content: Arrays = {name: _array(name, values) for name, values in arrays.items() if values is not None}
    repairs: dict[str, int] = {}
    _check_rows(content)
    if "pos" in content and content["pos"].shape[1] != 3:
        raise InputError(f"pos has the shape {list(content['pos'].shape)}; allowed: [hits, 3]")
    if content["x"].shape[1] != len(scale):
        raise InputError(f"x has {content['x'].shape[1]} columns; allowed: {len(scale)}, as node_features says")
    repairs["noise_ids"] = sum(_name_particles(content, pid, pt) for pid, pt in PARTICLE_OF.items())
    _check_numbers(content)
    _check_table(content)
    _check_chain_hits(content)
    nodes = content["x"].astype(np.float64) * np.asarray(scale)
    if not own_units:
        if (fault := coordinate_fault(nodes, scale, sectors)) is not None:
            raise InputError(fault)
        _check_positions(content, nodes)
    rank = outward_rank(nodes[:, 0], nodes[:, 2])
    _join_edges(content, rank, directed, repairs)
    _join_pairs(content, len(nodes), repairs)
    _check_truth(content)
    return content, repairs


def _array(name: str, values: Any) -> NDArray[Any]:
    """Values as an array: an array, a tensor or lists."""
    try:
        return np.asarray(values.detach().cpu() if isinstance(values, torch.Tensor) else values)
    except (TypeError, ValueError, RuntimeError) as error:
        reason = reason_of(error, 80)
        raise InputError(f"{name} is no array of numbers ({reason}); allowed: an array, a tensor or lists") from error


def _check_rows(content: Arrays) -> None:
    """Check shapes, and that indices are inside the rows that they count."""
    for name in ("x", "edge_index"):
        if name not in content:
            raise InputError(f"lacks {name}; allowed: x [hits, features] and edge_index [2, edges]")
    if content["x"].ndim != 2 or content["x"].shape[1] < 3 or content["x"].dtype.kind not in "iuf":
        shape = f"{content['x'].dtype} {list(content['x'].shape)}"
        raise InputError(f"x is {shape}; allowed: numbers [hits, 3 or more]")
    for name in INDICES:
        if name in content:
            content[name] = _index(name, content[name])
    counts = {"hit": len(content["x"]), "edge": content["edge_index"].shape[1]}
    counts["particle"] = len(np.atleast_1d(content.get("particles", ())))
    counts["triplet"] = content["triplet_index"].shape[1] if "triplet_index" in content else 0
    counts["hit of the chains"] = next(
        (len(np.atleast_1d(content[name])) for name in CHAIN_HIT_FIELDS if name in content), 0
    )
    counts["pair of the loss"] = content["loss_index"].shape[1] if "loss_index" in content else 0
    for name, kind in INDICES.items():
        values, limit = content.get(name), counts[kind]
        if values is not None and values.size and not (values.min() >= 0 and values.max() < limit):
            wrong = values[(values < 0) | (values >= limit)][0]
            allowed = f"0 … {limit - 1}" if limit else "none"
            raise InputError(f"{name} points outside the {limit} {kind}s ({wrong}); allowed: {allowed}")
    for name, kind in ROWS.items():
        if name in content and (not np.ndim(content[name]) or len(content[name]) != counts[kind]):
            rows = len(content[name]) if np.ndim(content[name]) else "no"
            raise InputError(f"{name} has {rows} rows; allowed: one per {kind}, {counts[kind]}")
        if name in content and np.ndim(content[name]) != (2 if name in TABLES else 1):
            allowed = f"[{kind}s, columns]" if name in TABLES else f"one number per {kind}"
            raise InputError(f"{name} has the shape {list(content[name].shape)}; allowed: {allowed}")


def _index(name: str, values: NDArray[Any]) -> Ints:
    """Rows of hits, edges or particles as int64."""
    width = 1 if name == "particle_index" else 2
    if values.ndim != width or (width == 2 and len(values) != 2):
        raise InputError(f"{name} has the shape {list(values.shape)}; allowed: {'[2, …]' if width == 2 else '[hits]'}")
    return whole_numbers(values, name, "row")


def _check_numbers(content: Arrays) -> None:
    """Check that numbers are finite and in the range of their field."""
    if both := [name for name, logit in PROBABILITIES.items() if name in content and logit in content]:
        raise InputError(f"{both[0]} stands beside {PROBABILITIES[both[0]]}; allowed: one of the two")
    for name, values in content.items():
        if name in PARTICLE_OF or name not in ROWS:
            continue
        if values.dtype.kind not in "iufb":
            raise InputError(f"{name} holds {values.dtype}; allowed: numbers")
        if name == "particles":
            _check_unknown(values)
        elif values.dtype.kind == "f" and not np.isfinite(values).all():
            count = int((~np.isfinite(values)).sum())
            raise InputError(f"{name} holds {count} NaN or infinite numbers; allowed: finite ones")
        if values.dtype.kind == "f" and values.dtype.itemsize > 4 and (np.abs(values) > LARGEST).any():
            raise InputError(f"{name} holds numbers beyond {LARGEST:.3g}; allowed: numbers that float32 holds")
        if name in WHOLE:
            content[name] = whole_numbers(values, name, ROWS[name])
        if name in NOT_NEGATIVE and (values < 0).any():
            row = int(np.argmax(values < 0))
            raise InputError(f"{name} is {values[row]:g} at {ROWS[name]} {row}; allowed: 0 or more")
        if name in SHARES and not np.isin(values, (0, 1)).all():
            row = int(np.argmin(np.isin(values, (0, 1))))
            raise InputError(f"{name} is {values[row]:g} at {ROWS[name]} {row}; allowed: 0 and 1")
        if name in PROBABILITIES and ((values < 0) | (values > 1)).any():
            row = int(np.argmax((values < 0) | (values > 1)))
            raise InputError(f"{name} is {values[row]:g} at {ROWS[name]} {row}; allowed: a probability, 0 … 1")


def _check_unknown(particles: NDArray[Any]) -> None:
    """Check that momentum, vertex and charge of a particle are known, or all NaN; every other number is finite."""
    if particles.dtype.kind != "f" or particles.shape[1] != len(PARTICLE_COLUMNS):  # another width is refused later
        return
    unknown = np.isnan(particles)
    allowed_nan = np.outer(unknown.all(axis=1, where=_UNKNOWABLE), _UNKNOWABLE)
    allowed_nan[:1] = False  # noise
    if (wrong := ~np.isfinite(particles) & ~allowed_nan).any():
        allowed = f"finite ones, or NaN in all of {', '.join(UNKNOWABLE)} of a particle"
        raise InputError(f"particles holds {int(wrong.sum())} NaN or infinite numbers; allowed: {allowed}")


def _name_particles(content: Arrays, pid: str, pt: str) -> int:
    """Make particle ids exact, with 0 for noise, whose pT becomes 0 (in files it is often NaN); number of other marks.

    Parameters
    ----------
    pid, pt
        Names of the two fields.
    """
    if pid not in content:
        return 0
    if content[pid].ndim != 1:
        raise InputError(f"{pid} has the shape {list(content[pid].shape)}; allowed: [hits]")
    content[pid], marked = particle_ids(content[pid], name=pid)
    if pt in content and content[pt].shape == content[pid].shape:
        content[pt] = np.where(content[pid] == 0, 0, content[pt])
    return marked


def _check_table(content: Arrays) -> None:
    """Check that hits are named once, and that the table of particles is sorted and agrees with the hits."""
    for name in ("hit_id", "chain_hit_id"):
        names, counts = np.unique(content.get(name, np.zeros(0, np.int64)), return_counts=True)
        if (counts > 1).any():
            worst = int(np.argmax(counts))
            raise InputError(f"{name} {names[worst]} stands {counts[worst]} times; allowed: each once")
    order = content.get("edge_order")
    if order is not None and not np.array_equal(np.sort(order), np.arange(len(order))):
        raise InputError(f"edge_order doesn't name every edge once; allowed: each of 0 … {len(order) - 1} once")
    table = ("particle_id", "particles", "particle_index")
    missing = [name for name in table if name not in content]
    if len(missing) == len(table):
        return
    if missing:
        raise InputError(f"a table of particles lacks {', '.join(missing)}; allowed: all three arrays, or none")
    ids, width = content["particle_id"], len(PARTICLE_COLUMNS)
    if content["particles"].shape[1:] != (width,):
        raise InputError(f"particles has the shape {list(content['particles'].shape)}; allowed: [particles, {width}]")
    if ids.ndim != 1 or not len(ids) or ids[0] != 0 or (np.diff(ids) <= 0).any():
        raise InputError("particle_id isn't in order; allowed: 0 for noise, then increasing ids")
    if "pid" in content and (ids[content["particle_index"]] != content["pid"]).any():
        raise InputError("pid isn't particle_id[particle_index]; allowed: the same particle by both")


def _check_chain_hits(content: Arrays) -> None:
    """Check that a table of the hits of chains names these hits, and particles that there are."""
    if not any(name in content for name in CHAIN_HIT_FIELDS):
        return
    needed = ["chain", "chain_hit_id"]
    if "pid" in content or "chain_hit_pid" in content:
        needed += ["pid", "chain_hit_pid"]
    if missing := [name for name in needed if name not in content]:
        allowed = "chain, chain_hit_id, and particles of both nodes and hits or of none (pid, chain_hit_pid)"
        raise InputError(f"the table of the hits of chains lacks {', '.join(missing)}; allowed: {allowed}")
    for name, table in (("chain", "chain_hit_id"), ("chain_hit_pid", "particle_id")):
        if name in content and table in content:
            unknown = content[name][~np.isin(content[name], content[table])]
            if len(unknown):
                raise InputError(f"{name} holds {unknown[0]}, which {table} lacks; allowed: numbers of {table}")


def _check_positions(content: Arrays, nodes: NDArray[np.float64]) -> None:
    """Check that positions in mm agree with r and z."""
    if "pos" not in content:
        return
    x, y, z = content["pos"].astype(np.float64).T
    for name, from_pos, known in (("r", np.hypot(x, y), nodes[:, 0]), ("z", z, nodes[:, 2])):
        wrong = np.abs(from_pos - known) > POSITION_SLACK * (1 + np.hypot(nodes[:, 0], nodes[:, 2]))
        if wrong.any():
            row = int(np.argmax(wrong))
            raise InputError(
                f"pos has {name} = {from_pos[row]:g} mm at hit {row}, and x gives {known[row]:g} mm; "
                "allowed: x, y, z of the same hits in mm"
            )


def _join_edges(content: Arrays, rank: Ints, directed: bool, repairs: dict[str, int]) -> None:
    """Join edges of the same two hits to one, from the inner to the outer one; drop those from a hit to itself."""
    edges: Edges = content["edge_index"]
    keys, first, of = np.unique(pair_keys(edges, len(rank)), return_index=True, return_inverse=True)
    own, inwards = edges[0] == edges[1], rank[edges[0]] > rank[edges[1]]
    if len(keys) == len(of) and not own.any() and (directed or not inwards.any()):
        return
    if "triplet_index" in content:
        raise InputError("triplet_index stands beside edges that lead inwards or stand twice; allowed: each pair once")
    outward_too = np.bincount(of[~inwards], minlength=len(keys)) > 0
    remaining = np.sort(first[~own[first]])  # the order in which the pairs came
    group = of[remaining]
    repairs["own_edges"] = int(own.sum())
    repairs["joined_edges"] = int((~own).sum()) - len(remaining)
    repairs["turned_edges"] = 0 if directed else int((~outward_too[group]).sum())
    if "y" in content:
        repairs["one_sided_truth"] = _one_sided(content["y"] > 0, of, inwards, own)
    y = content.get("y", np.zeros(len(of)))
    # A pair that is true in one direction only has that one's weight and mask: the other's are those of a false edge.
    agrees = y == _largest(y, of, len(keys))[of]
    for name in EDGE_FIELDS:
        if name in content and name != "edge_order":
            values = content[name] * agrees if name in ANSWERS else content[name]
            content[name] = _largest(values, of, len(keys))[group]
    if "edge_order" in content:
        content["edge_order"] = np.argsort(np.argsort(content["edge_order"][remaining]))
    pairs = edges[:, remaining]
    turned = (rank[pairs[0]] > rank[pairs[1]]) & (outward_too[group] | (not directed))
    content["edge_index"] = np.where(turned, pairs[::-1], pairs)


def _largest(values: NDArray[Any], of: Ints, count: int) -> NDArray[Any]:
    """The largest number of each group, which doesn't depend on the order. Shapes: [E, …] -> [count, …]."""
    order = np.argsort(of, kind="stable")
    starts = np.searchsorted(of[order], np.arange(count))
    largest: NDArray[Any] = np.maximum.reduceat(values[order], starts, axis=0)
    return largest


def _one_sided(true: Bools, of: Ints, inwards: Bools, own: Bools) -> int:
    """Number of pairs that are true in one of their two directions only.

    Raises
    ------
    InputError
        A pair stands twice in one direction, once as true and once as false.
    """
    count = int(of.max(initial=-1)) + 1
    answers = []
    for side in (inwards, ~inwards):
        side_answers = [np.bincount(of[side & ~own & kind], minlength=count) > 0 for kind in (true, ~true)]
        if (side_answers[0] & side_answers[1]).any():
            pair = int(np.argmax(side_answers[0] & side_answers[1]))
            rows = np.flatnonzero((of == pair) & side)
            raise InputError(
                f"y is 1 and 0 for one pair of hits in one direction (edges {rows[0]} and {rows[1]}); "
                "allowed: one answer for each direction"
            )
        answers.append(side_answers)
    (true_in, false_in), (true_out, false_out) = answers
    return int(((true_in & false_out) | (false_in & true_out)).sum())


def _join_pairs(content: Arrays, hits: int, repairs: dict[str, int]) -> None:
    """Join pairs of the loss of the same two hits to one; its `y_loss` is the largest of theirs."""
    if "loss_index" not in content:
        return
    pairs: Edges = content["loss_index"]
    keys, first, of = np.unique(pair_keys(pairs, hits), return_index=True, return_inverse=True)
    own = pairs[0] == pairs[1]
    if len(keys) == pairs.shape[1] and not own.any():
        return
    repairs["joined_pairs"] = pairs.shape[1] - len(keys)
    remaining = np.flatnonzero(~own[first])
    remaining = remaining[np.argsort(first[remaining])]
    content["loss_index"] = pairs[:, first[remaining]]
    for name in PAIR_FIELDS:
        if name in content:
            content[name] = _largest(content[name], of, len(keys))[remaining]


def _check_truth(content: Arrays) -> None:
    """Check that true edges join hits of particles: 0 is noise; where it is a particle the ids have to begin with 1."""
    if "y" not in content or "pid" not in content:
        return
    start, end = content["edge_index"]
    noise = (content["y"] > 0) & (content["pid"][start] == 0) & (content["pid"][end] == 0)
    if noise.any():
        raise InputError(
            f"a true edge joins two hits of noise ({int(noise.sum())} do); "
            "allowed: particle ids from 1 on, for 0 is noise"
        )
