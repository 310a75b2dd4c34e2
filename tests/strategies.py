"""Random function graphs, search spaces, walks and computation graphs, valid by construction.

Everything is drawn from a `random.Random`: a hypothesis one (`st.randoms`, which shrinks) in the properties, a seeded
one in the long runs.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace

from archioptrx.core.errors import InputError
from archioptrx.graphs.computation_graph import ComputationGraph
from archioptrx.graphs.decisions import Choose, Point
from archioptrx.graphs.function_graph import FunctionGraph, costs
from archioptrx.graphs.nodes import DataNode, FunctionNode
from archioptrx.graphs.signatures import Choice, Hyperparameter, Width
from archioptrx.graphs.steps import BackEdge, DataType, Step
from archioptrx.sampling.search_space import Grid, SearchSpace, WalkLimits
from archioptrx.sampling.walk import WalkSpace

HIDDEN = Hyperparameter("hidden")
BLOCKS = (*["mlp"] * 4, "add", "add", "mean", "norm", "norm", "gru", "gate", "gate", "identity", *["attention"] * 3,
          *["aggregate"] * 3, "concat", "readout", "broadcast")  # fmt: skip
"""Each as often as it is drawn."""
NOT_DRAWN = {"pool", "unpool", "pyg"}
"""Blocks on other nodes, and of another package; both have tests of their own."""
GRIDS = (
    Grid("hidden", (8, 16)),
    Grid("depth", (1, 2)),
    Grid("activation", ("relu", "tanh")),
    Grid("learning_rate", (0.1, 0.01)),
    Grid("epochs", (3,)),
)


@dataclass(frozen=True)
class _Place:
    """A data node with the form of its width, before what leads nowhere is removed."""

    node: DataNode
    width: str

    @property
    def name(self) -> str:
        return self.node.name

    @property
    def domain(self) -> str:
        return self.node.domain


def function_graph(rng: random.Random, size: int = 5) -> FunctionGraph:
    """A valid function graph of up to some data nodes: cycles, shared weights, idempotent blocks, several targets."""
    sources = [DataNode("hits", "node", field="x"), DataNode("doublet", "edge", field="edge_attr")]
    places = [_Place(node, node.name) for node in sources[: rng.randint(1, 2)]]
    targets = []
    for i in range(rng.randint(1, 2) if size > 3 else 1):
        wide = rng.random() < 0.5
        domain = rng.choice((*["edge"] * 5, *["node"] * 3, "graph"))
        node = DataNode(f"t{'ab'[i]}", domain, HIDDEN if wide else "target")
        targets.append(_Place(replace(node, merge=_merge(rng)), "hidden" if wide else "target"))
    for i in range(rng.randint(1, size)):
        domain = rng.choice((*["node"] * 4, *["edge"] * 3, "graph"))
        logits = domain == "edge" and rng.random() < 0.3
        node = DataNode(f"d{'abcdefgh'[i]}", domain, "target" if logits else HIDDEN, merge=_merge(rng))
        places.append(_Place(node, "target" if logits else "hidden"))
    places += targets
    functions: list[FunctionNode] = []
    sums: list[_Place] = []
    for _ in range(rng.randint(2 * size, 5 * size)):
        block = rng.choice(BLOCKS)
        addition = (
            _concat(rng, places, len(functions)) if block == "concat" else _function(rng, block, places, functions)
        )
        if isinstance(addition, tuple):
            function, place = addition
            functions.append(function)
            sums.append(place)
        elif addition is not None:
            functions.append(addition)
    graph = _reachable(_trimmed(rng, places + sums, functions, [t.name for t in targets]))
    return graph or function_graph(rng, size)


def _reachable(graph: FunctionGraph) -> FunctionGraph | None:
    """With a function from a source where no walk reaches the targets (it would need two values of a type of one).

    None: a target of nodes has sources of edges alone, from which no mlp leads to it.
    """
    try:
        WalkSpace(graph, SearchSpace("any", GRIDS, WalkLimits(max_steps=10**5)))
        return graph
    except InputError:
        open_ends = [t for t in graph.targets if graph.node[t].domain != "graph"]
        nodes = [s for s in graph.sources if graph.node[s].domain == "node"]
        starts = {t: nodes if graph.node[t].domain == "node" else graph.sources for t in open_ends}
        if not all(starts.values()):
            return None
        return graph.with_functions(*(FunctionNode(f"way_{t}", "mlp", (starts[t][0],), t) for t in open_ends))


def _merge(rng: random.Random) -> tuple[str, ...]:
    return rng.choice((("add",), ("add", "concat"), ("concat",)))


def _function(
    rng: random.Random, block: str, places: Sequence[_Place], known: Sequence[FunctionNode]
) -> FunctionNode | None:
    ends = [p for p in places if p.node.field is None]
    nodes = [p for p in ends if p.domain == "node"]
    output = rng.choice(nodes if nodes and block in ("attention", "aggregate") else ends)
    alike = [p.name for p in places if (p.domain, p.width) == (output.domain, output.width)]
    below = {"node": ("node", "graph"), "edge": ("node", "edge", "graph"), "graph": ("graph",)}[output.domain]
    above = [p for p in places if output.domain == "node" and p.domain == "edge"]
    inputs: list[list[str]]
    if block == "mlp":
        inputs = [[p.name for p in places if p.domain in below]] * rng.randint(1, 3)
    elif block in ("add", "mean"):
        inputs = [alike] * rng.randint(2, 3 if rng.random() < 0.2 else 2)
    elif block in ("norm", "identity"):
        inputs = [alike]
    elif block == "gru":
        inputs = [[p.name for p in places if p.domain == output.domain], alike]
    elif block == "gate":
        inputs = [alike, *[[p.name for p in places if p.domain in below]] * rng.randint(0, 1)]
    elif block == "attention":
        inputs = [[p.name for p in places if p.domain == output.domain], [p.name for p in above if p.width == "target"]]
    elif block == "aggregate":
        inputs = [[p.name for p in above if p.width == output.width]]
    elif block == "readout":
        other = [p.name for p in places if p.domain != "graph" and p.width == output.width]
        inputs = [other if output.domain == "graph" else []]
    elif block == "broadcast":
        other = [p.name for p in places if p.domain == "graph" and p.width == output.width]
        inputs = [other if output.domain != "graph" else []]
    else:
        raise AssertionError(f"{block}: what are its inputs?")
    if not all(inputs):
        return None
    params: dict[str, object] = {}
    if block in ("mlp", "attention"):
        params = rng.choice(({}, {"layers": Hyperparameter("depth")}, {"layers": Choice((1, 2))}, {"layers": 1}))
    elif block == "aggregate":
        params = rng.choice(({}, {"reduce": Choice(("sum", "max"))}))
    elif block == "gate":
        params = rng.choice(({}, {"weights": Choice(("row", "channel"))}))
    return FunctionNode(
        f"f{len(known)}",
        block,
        tuple(rng.choice(names) for names in inputs),
        output.name,
        tuple(params.items()),
        rng.choice(("own", "shared")),
        rng.random() < 0.1,
        rng.choice((1.0, 1.0, 2.0, 0.5)),
    )


def _concat(rng: random.Random, places: Sequence[_Place], number: int) -> tuple[FunctionNode, _Place] | None:
    domain = rng.choice(("node", "edge"))
    allowed = [p for p in places if p.domain == domain]
    if not allowed:
        return None
    inputs = [rng.choice(allowed) for _ in range(rng.randint(2, 3))]
    node = DataNode(f"s{number}_", domain)
    function = FunctionNode(f"f{number}", "concat", tuple(p.name for p in inputs), node.name)
    return function, _Place(node, f"sum {number}")


def _trimmed(
    rng: random.Random, places: Sequence[_Place], functions: list[FunctionNode], targets: Sequence[str]
) -> FunctionGraph:
    """Add what makes a target out of a source where nothing does, a use of each sum; remove what leads nowhere."""
    sources = tuple(p.name for p in places if p.node.field is not None)
    functions = [f for f in functions if not (f.signature.distinct and any(f.inputs.count(s) > 1 for s in sources))]
    domain = {p.name: p.domain for p in places}
    for p in places:
        if p.width.startswith("sum"):
            ends = [q.name for q in places if q.node.field is None and q.domain == p.domain and q.width[:3] != "sum"]
            if ends:
                functions.append(FunctionNode(f"use_{p.name}", "mlp", (p.name,), rng.choice(ends)))
    for target in targets:
        if domain[target] == "graph":
            functions.append(FunctionNode(f"pool_{target}", "readout", (f"p_{target}",), f"r_{target}"))
            functions.append(FunctionNode(f"give_{target}", "mlp", (f"r_{target}",), target))
            functions.append(FunctionNode(f"make_{target}", "mlp", (sources[0],), f"p_{target}"))
            nodes = (DataNode(f"p_{target}", "node", HIDDEN), DataNode(f"r_{target}", "graph", HIDDEN))
            places = [*places, *(_Place(node, "hidden") for node in nodes)]
        elif rng.random() < 0.1 or not any(f.output == target for f in functions):
            functions.append(FunctionNode(f"make_{target}", "mlp", (sources[0],), target))
    while True:
        nodes = tuple(p.node for p in places)
        cost = costs(_Names(nodes, tuple(functions), sources))
        for target in targets:
            if cost[target] == float("inf"):
                functions.append(FunctionNode(f"reach_{target}", "mlp", (sources[0],), target))
        cost = costs(_Names(nodes, tuple(functions), sources))
        useful = set(targets)
        while grown := {n for f in functions if f.output in useful for n in f.inputs} - useful:
            useful |= grown
        usable = [p for p in places if p.name in useful and cost[p.name] < float("inf")]
        names = {p.name for p in usable}
        left = [f for f in functions if {*f.inputs, f.output} <= names]
        if len(usable) == len(places) and len(left) == len(functions):
            break
        places, functions, sources = usable, left, tuple(s for s in sources if s in names)
    return FunctionGraph("random", tuple(p.node for p in places), tuple(functions), sources, tuple(targets))


@dataclass(frozen=True)
class _Names:
    """As much of a function graph as `costs` reads."""

    data: tuple[DataNode, ...]
    functions: tuple[FunctionNode, ...]
    sources: tuple[str, ...]


def limits(rng: random.Random, max_steps: int) -> WalkLimits:
    """Random limits of a walk."""
    return WalkLimits(
        max_steps=max_steps,
        max_walks=rng.randint(1, 6),
        extra=tuple(rng.randint(0, 6) for _ in range(rng.randint(1, 3))),
        iterations=tuple(rng.sample((1, 2, 3, 5), rng.randint(1, 3))),
        max_executed=rng.randint(1, 40),
    )


def walk_space(rng: random.Random, graph: FunctionGraph, room: int = 10) -> WalkSpace:
    """A space with up to some steps more than the graph's targets need."""
    most = limits(rng, 1)
    for least in range(1, 99):
        try:
            WalkSpace(graph, SearchSpace("random", GRIDS, replace(most, max_steps=least)))
        except InputError:
            continue
        return WalkSpace(graph, SearchSpace("random", GRIDS, replace(most, max_steps=least + rng.randint(0, room))))
    raise AssertionError(graph)


def even_choices(rng: random.Random) -> Choose:
    """Every option alike: reaches corners that the prior weights seldom do."""

    def choose(point: Point, labels: Sequence[str], weights: Sequence[float]) -> int:
        assert labels, f"dead end at {point}"
        return rng.randrange(len(labels))

    return choose


TYPES = (
    DataType("hits", "node", Width.of("hits"), "x"),
    DataType("doublet", "edge", Width.of("doublet"), "edge_attr"),
    DataType("x", "node", Width.of("hidden")),
    DataType("e", "edge", Width.of("hidden")),
)


def computation_graph(
    rng: random.Random, steps: int = 8, edges: int = 3, targets: int = 2, identities: bool = True
) -> ComputationGraph:
    """A computation graph of nodes and edges with any back edges: unused steps, overlapping and useless loops."""
    kinds, graph_steps = ["hits", "doublet"], []
    for index in range(rng.randint(2, steps)):
        nodes = [v for v, kind in enumerate(kinds) if kind in ("hits", "x")]
        xs, es = ([v for v, kind in enumerate(kinds) if kind == name] for name in "xe")
        ways = ["mlp", "mlp", "lift", "tie"]
        ways += ["identity", "norm"] * bool(xs) * identities + ["gather"] * bool(es) + ["add", "gru"] * (len(xs) > 1)
        way, kind, params, inputs = rng.choice(ways), "x", (), (rng.choice(nodes),)
        weights, block = "", "mlp"
        if way == "mlp":
            inputs = tuple(rng.sample(nodes, min(len(nodes), rng.randint(1, 2))))
            params, weights = (("layers", rng.choice((1, 2))),), f"own{index}"
        elif way == "tie":
            inputs = (rng.choice(xs or nodes),)
            params, weights = (("layers", 1),), f"tied_{kinds[inputs[0]]}"
        elif way == "lift":
            kind, weights, inputs = "e", f"own{index}", (rng.choice(nodes), rng.choice(es or [1]))
        elif way == "gather":
            block, inputs, params = "aggregate", (rng.choice(es),), (("direction", rng.choice(("in", "out"))),)
        elif way in ("add", "gru"):
            block, inputs = way, tuple(rng.sample(xs, 2))
            weights = f"own{index}" if way == "gru" else ""
        else:
            block, inputs = way, (rng.choice(xs),)
            weights = rng.choice(("norm", f"own{index}")) if way == "norm" else ""
        graph_steps.append(
            Step(f"f{index}", block, inputs, kind, params, weights, weights != "" and rng.random() < 0.1)
        )
        kinds.append(kind)
    results = range(2, len(kinds))
    back: dict[int, BackEdge] = {}
    for _ in range(rng.randint(0, edges)):
        ends = [(c, h) for c in results for h in results if c != h and kinds[c] == kinds[h] and h not in back]
        ends = [(c, h) for c, h in ends if c > h] if rng.random() < 0.7 else ends
        if ends:
            carried, head = rng.choice(ends)
            back[head] = BackEdge(carried, head, rng.choice((1, 1, 2, 3, 4)))
    ends = rng.sample(list(results), min(len(results), rng.randint(1, targets)))
    return ComputationGraph(TYPES, ("hits", "doublet"), tuple(graph_steps), tuple(back.values()), tuple(ends))
