"""Applying the rules of acorn's YAML files to the edges of an event; see `archioptrx.data.options.acorn_rules`.

A column belongs to the hits, to the edges, or to the true edges (tracks): by the beginning of its name in the newer
scheme, by its name where it is one of true edges in the older scheme, else by its length, in this order. What a true
edge says holds for the edge at the place that `truth_map` (`track_to_edge_map`) names, without such a map for the edges
of the same two hits; it doesn't hold for other edges. What hits say has to hold for both ends.

A pair of hits that stands twice or in both directions is one edge later. So all of its copies have one answer: it is
true if one of them is, and conditions hold for all where they hold for one, such as the one that the map names.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from archioptrx.core.errors import InputError
from archioptrx.data.options.acorn_rules import AcornRules, Condition
from archioptrx.data.pairs import Edges, pair_keys
from archioptrx.data.sources.pyg_files import Content, array, first

Bools = NDArray[np.bool_]
HITS, TRACKS, PARTICLES, EDGES = PREFIXES = ("hit_", "track_", "track_particle_", "edge_")
"""Beginnings of names in the newer scheme."""
OF_PARTICLES = {
    **{name: f"{PARTICLES}{name}" for name in ("pt", "radius", "primary", "nhits", "pdgId")},
    "particle_id": "track_particle_id",
    "eta_particle": "track_particle_eta",
}
"""Columns of true edges in the older scheme, and their names in the newer one. η of hits has the bare name there."""
MAPS = ("track_to_edge_map", "truth_map")


def edge_targets(content: Content, edges: Edges, truth: Bools, hits: int, rules: AcornRules) -> dict[str, Any]:
    """Edges, truth, weights and mask of an event under the rules.

    Parameters
    ----------
    content
        Columns of the file.
    edges, truth : [2, E], [E]
        Edges and their truth, in the file's order.
    hits
        Number of hits.
    rules
        The rules.

    Returns
    -------
    `edge_index`, `y`, and where there are rules for them `edge_weight`, `edge_mask`; hard cuts leave out edges.

    Raises
    ------
    InputError
        A condition names a column that the file lacks.
    """
    columns = _Columns(content, edges, truth, hits)
    arrays: dict[str, Any] = {"edge_index": edges, "y": truth}
    mask = np.ones(edges.shape[1], np.bool_)
    if rules.weighting is not None:
        weights = np.where(columns.truth, 0.0, 1.0)
        for rule in rules.weighting:
            weights[columns.all_hold(rule.conditions)] = rule.weight
        mask = weights != 0
        arrays |= {"edge_weight": np.abs(weights), "y": truth & (weights >= 0)}
    if rules.target_tracks:
        mask &= ~columns.truth | columns.all_hold(rules.target_tracks)
    if rules.weighting is not None or rules.target_tracks:
        arrays["edge_mask"] = mask
    if rules.hard_cuts:
        kept = columns.hits_of_tracks(rules.hard_cuts)[edges].all(axis=0)
        arrays = {name: values[..., kept] for name, values in arrays.items()}
    return arrays


class _Columns:
    """Columns of a file, by the names of both schemes, as truth values of edges.

    Attributes
    ----------
    truth : [E]
        Truth of each edge's pair of hits.
    """

    def __init__(self, content: Content, edges: Edges, truth: Bools, hits: int) -> None:
        self._content, self._edges, self._hits = content, edges, hits
        self._pairs = pair_keys(edges, hits)
        self.truth = self._of_pairs(truth)
        tracks = array(content, "track_edges")
        self._tracks = np.zeros((2, 0), np.int64) if tracks is None else tracks.astype(np.int64)

    def all_hold(self, conditions: tuple[Condition, ...]) -> Bools:
        """Edges for which all conditions hold. Shapes: -> [E]."""
        result = np.ones(self._edges.shape[1], np.bool_)
        for condition in conditions:
            name, holds = self._holds(condition)
            result &= self._of_edges(holds, name)
        return self._of_pairs(result)

    def hits_of_tracks(self, conditions: tuple[Condition, ...]) -> Bools:
        """Hits on true edges for which all conditions hold. Shapes: -> [N]."""
        passing = np.ones(self._tracks.shape[1], np.bool_)
        for condition in conditions:
            _, holds = self._holds(condition)
            if holds.shape != passing.shape:
                raise InputError(f"hard_cuts: {condition.name} has {len(holds)} rows; allowed: one per true edge")
            passing &= holds
        chosen = np.zeros(self._hits, np.bool_)
        chosen[self._tracks[:, passing]] = True
        return chosen

    def _holds(self, condition: Condition) -> tuple[str, Bools]:
        """The column that a condition names, and the rows of it for which the condition holds."""
        name, values = first(self._content, *_names(condition.name))
        if condition.name in ("y", "edge_y"):  # never the y of hits
            name, values = "edge_y", self.truth
        if values is None or values.ndim != 1:
            raise InputError(f"lacks {condition.name}, which a rule of acorn names; allowed: files with it")
        numbers, limits = values.astype(np.float64), np.asarray(condition.values)
        if condition.test in ("within", "not_within"):
            inside: Bools = (numbers >= limits[0]) & (numbers <= limits[1])
            return name, inside if condition.test == "within" else ~inside
        equal = np.isin(numbers, limits)
        return name, equal if condition.test in ("is", "in") else ~equal

    def _of_edges(self, holds: Bools, name: str) -> Bools:
        """A condition on hits, edges or true edges as one on edges. Shapes: [rows] -> [E]."""
        tracks = self._tracks.shape[1]
        lengths = {HITS: self._hits, EDGES: self._edges.shape[1], TRACKS: tracks}
        named = TRACKS if name in OF_PARTICLES else next((kind for kind in lengths if name.startswith(kind)), None)
        kind = named if named and len(holds) == lengths[named] else None
        kind = kind or next((kind for kind, length in lengths.items() if len(holds) == length), None)
        if kind is None:
            raise InputError(f"{name} has {len(holds)} rows; allowed: one per hit, edge or true edge")
        if kind == HITS:
            return np.asarray(holds[self._edges].all(axis=0))
        if kind == EDGES:
            return holds
        result = np.zeros(self._edges.shape[1], np.bool_)
        _, places = first(self._content, *MAPS)
        if places is None:
            return np.isin(self._pairs, pair_keys(self._tracks[:, holds], self._hits))
        if places.shape != holds.shape or places.dtype.kind not in "iu":
            raise InputError(f"{MAPS[1]} is {places.dtype} {list(places.shape)}; allowed: whole numbers [{tracks}]")
        if ((places < -1) | (places >= len(result))).any():
            raise InputError(f"{MAPS[1]} points outside the {len(result)} edges; allowed: -1 … {len(result) - 1}")
        result[places[holds & (places >= 0)]] = True
        return self._of_pairs(result)

    def _of_pairs(self, holds: Bools) -> Bools:
        """Whether something holds for one of the edges of the same two hits. Shapes: [E] -> [E]."""
        return np.isin(self._pairs, self._pairs[holds])


def _names(name: str) -> tuple[str, ...]:
    """Names that a column may have in both schemes, the likeliest first.

    >>> _names("track_particle_eta"), _names("hit_eta"), _names("particle_id")[:2]
    (('track_particle_eta', 'eta_particle'), ('hit_eta', 'eta'), ('particle_id', 'track_particle_id'))
    """
    if name in OF_PARTICLES:
        return (name, OF_PARTICLES[name], *(f"{prefix}{name}" for prefix in PREFIXES))
    older = [old for old, new in OF_PARTICLES.items() if new == name]
    prefix = next((prefix for prefix in (PARTICLES, HITS, TRACKS, EDGES) if name.startswith(prefix)), None)
    if older or prefix:
        return (name, *(older or [name.removeprefix(prefix or "")]))
    return (name, *(f"{prefix}{name}" for prefix in PREFIXES))
