"""Types of the building blocks: domains, widths and parameters, as data. No torch here.

A *signature* says which domains a block accepts, how wide its result is and which parameters it has. The torch
side (`archioptrx.networks.blocks`) implements each of them; a user's block registers both at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from archioptrx.core.errors import InputError, did_you_mean

LADDER = {"node": 0, "edge": 1, "triplet": 2}  # each rung's index points at the rung below
POOLED = "pooled"  # the nodes of a smaller graph, a graph of its own
DOMAINS = ("node", "edge", "triplet", "graph", POOLED)
ACTIVATIONS = ("relu", "tanh", "gelu", "silu", "elu", "leaky_relu", "sigmoid", "none")


@dataclass(frozen=True, slots=True)
class Hyperparameter:
    """A parameter or width left symbolic: one value per candidate, bound when the network is compiled."""

    name: str


@dataclass(frozen=True, slots=True)
class Choice:
    """A parameter that is decided anew at each step."""

    options: tuple[Any, ...]


@dataclass(frozen=True)
class Width:
    """A number of channels as a linear form, `2*hidden + hits + 3`.

    Symbols are names of hyperparameters, names of sources (their width in the data set) and `target` (the width
    that the task asks for), with several targets also `target.NAME`.
    """

    terms: tuple[tuple[str, int], ...] = ()  # sorted by symbol, no zero
    constant: int = 0

    @staticmethod
    def of(value: int | str | Hyperparameter) -> Width:
        """A literal number or a single symbol."""
        if isinstance(value, int):
            return Width((), value)
        return Width(((value.name if isinstance(value, Hyperparameter) else value, 1),))

    @property
    def of_target(self) -> bool:
        """Whether it is that of a target: known when the task is."""
        return len(self.terms) == 1 and self.constant == 0 and self.terms[0][0].split(".")[0] == "target"

    def __add__(self, other: Width) -> Width:
        total = dict(self.terms)
        for symbol, count in other.terms:
            total[symbol] = total.get(symbol, 0) + count
        return Width(tuple(sorted(total.items())), self.constant + other.constant)

    def __mul__(self, factor: int) -> Width:
        return Width(tuple((symbol, count * factor) for symbol, count in self.terms), self.constant * factor)

    def bind(self, values: Mapping[str, int]) -> int:
        """Number of channels under these values of the symbols.

        Raises
        ------
        InputError
            A symbol has no value, or a value that is not a whole number of at least 1.
        """
        total = self.constant
        for symbol, count in self.terms:
            value = values.get(symbol)
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                what = "has no value" if value is None else f"is {value!r}; allowed: a whole number from 1"
                raise InputError(f"width {self}: {symbol} {what}")
            total += count * value
        return total

    def __str__(self) -> str:
        parts = [symbol if count == 1 else f"{count}*{symbol}" for symbol, count in self.terms]
        return " + ".join(parts + [str(self.constant)] * bool(self.constant or not parts))

    def to_json(self) -> dict[str, int]:
        """`{symbol: count, "1": constant}`."""
        return dict(self.terms) | ({"1": self.constant} if self.constant else {})

    @staticmethod
    def from_json(content: Mapping[str, int]) -> Width:
        """The inverse of `to_json`."""
        terms = tuple(sorted((symbol, count) for symbol, count in content.items() if symbol != "1"))
        return Width(terms, content.get("1", 0))


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of a block: its allowed values and its default."""

    name: str
    types: tuple[type, ...]
    default: Any = field(hash=False)  # may be a mapping
    choices: tuple[str, ...] = ()
    minimum: float | None = None
    below: float | None = None

    def fault(self, value: object) -> str | None:
        """What is wrong with a literal value; None when it is allowed."""
        number = isinstance(value, int) and not isinstance(value, bool) and float in self.types
        if not number and (not isinstance(value, self.types) or (isinstance(value, bool) and bool not in self.types)):
            allowed = did_you_mean(value, self.choices) if self.choices else f"allowed: {self._allowed()}"
            return f"is {value!r}; {allowed}"
        if self.choices and value not in self.choices:
            return f"is {value!r}; {did_you_mean(value, self.choices)}"
        if isinstance(value, int | float) and not isinstance(value, bool):
            low = self.minimum is not None and not value >= self.minimum
            if low or (self.below is not None and not value < self.below):
                return f"is {value!r}; allowed: {self._allowed()}"
        return None

    def _allowed(self) -> str:
        noun = {
            int: "a whole number",
            float: "a number",
            bool: "true or false",
            str: "a text",
            dict: "a mapping",
        }
        bounds = [f"from {self.minimum:g}"] * (self.minimum is not None) + [f"below {self.below}"] * (
            self.below is not None
        )
        return " ".join([" or ".join(noun.get(t, t.__name__) for t in self.types), *bounds])


Domains = tuple[str, ...]
WidthRule = Callable[[tuple[Width, ...], Mapping[str, Any]], Width | None]


@dataclass(frozen=True)
class Signature:
    """The type of a building block.

    Attributes
    ----------
    name
        As function graphs write it.
    accepts
        `(input domains, output domain) -> fault or None`.
    width
        `(input widths, parameters) -> width of the result`; None where any width is possible (the output's data
        node declares it). Raises InputError when the input widths don't fit together.
    parameters
        In the order of the documentation.
    commutative
        The order of the inputs makes no other network (up to an order of weights).
    distinct
        The same value twice among the inputs is of no use.
    idempotent
        The block on its own result gives that result again.
    has_weights
        It can learn. A block without weights on the same inputs is the same step.
    passes_messages
        A step of it moves information along edges to other nodes: a message-passing round.
    changes_nodes
        It leads from one set of nodes to another. All other blocks work on pooled nodes as they do on hits.
    """

    name: str
    accepts: Callable[[Domains, str], str | None]
    width: WidthRule
    parameters: tuple[Parameter, ...] = ()
    commutative: bool = False
    distinct: bool = False
    idempotent: bool = False
    has_weights: bool = True
    passes_messages: bool = False
    changes_nodes: bool = False
    irrelevant: Callable[[Mapping[str, Any]], Iterable[str]] = field(default=lambda parameters: ())

    def type_fault(self, inputs: Domains, output: str) -> str | None:
        """What is wrong with the domains; None when they are allowed."""
        if POOLED not in (*inputs, output) or self.changes_nodes:
            return self.accepts(inputs, output)
        if POOLED not in inputs or not {*inputs, output} <= {POOLED, "graph"}:
            return f"can't take {' and '.join(inputs)} to {output}; allowed: pool and unpool lead from hits and back"
        on_graph = {POOLED: "node", "graph": "graph"}
        return self.accepts(tuple(on_graph[domain] for domain in inputs), on_graph[output])

    def complete(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """All parameters, those not given at their defaults."""
        return {p.name: given.get(p.name, p.default) for p in self.parameters}

    def relevant(self, given: Mapping[str, Any]) -> tuple[tuple[str, Any], ...]:
        """The parameters that have an effect, sorted: what identity is judged by."""
        complete = self.complete(given)
        for parameter in self.parameters:  # 0 and 0.0 are one number
            if float in parameter.types and type(complete[parameter.name]) is int:
                complete[parameter.name] = float(complete[parameter.name])
        return tuple(sorted((k, v) for k, v in complete.items() if k not in set(self.irrelevant(complete))))

    @cached_property
    def structured(self) -> bool:
        """Whether a parameter is a mapping, in which 1 and true may mean different things but compare equal."""
        return any(dict in parameter.types for parameter in self.parameters)


def _ladder(domains: Domains) -> str | None:
    off = [domain for domain in domains if domain not in LADDER]
    return f"takes no {off[0]} value; {did_you_mean(off[0], LADDER)}" if off else None


def _count(domains: Domains, number: int, what: str) -> str | None:
    return None if len(domains) == number else f"takes {number} input{'s' * (number > 1)} ({what}), not {len(domains)}"


def _mlp_accepts(domains: Domains, output: str) -> str | None:
    for domain in domains:
        if domain == "graph" or (output in LADDER and domain in LADDER and LADDER[domain] <= LADDER[output]):
            continue
        first = "readout" if output == "graph" else "aggregate"
        return f"can't turn {domain} values into {output} values; allowed: {first} it first"
    return None if domains else "takes one input or more, not 0"


def _aggregate_accepts(domains: Domains, output: str) -> str | None:
    if fault := _count(domains, 1, "values of the rung above") or _ladder((*domains, output)):
        return fault
    if LADDER[domains[0]] != LADDER[output] + 1:
        return f"can't turn {domains[0]} values into {output} values; allowed: edge to node, triplet to edge"
    return None


def _attention_accepts(domains: Domains, output: str) -> str | None:
    if fault := _count(domains, 2, "values, logits of the rung above") or _ladder((*domains, output)):
        return fault
    if domains[0] != output or LADDER[domains[1]] != LADDER[output] + 1:
        return (
            f"can't take {' and '.join(domains)} to {output}; allowed: node and edge to node, edge and triplet to edge"
        )
    return None


def _alike(least: int, most: int = 99) -> Callable[[Domains, str], str | None]:
    def accepts(domains: Domains, output: str) -> str | None:
        if not least <= len(domains) <= most:
            number = f"{least}" if least == most else f"{least} or more"
            return f"takes {number} input{'s' * (most > 1)}, not {len(domains)}"
        if {*domains, output} != {output}:
            return f"needs inputs and output of one domain, not {', '.join(domains)} to {output}"
        return None

    return accepts


def _readout_accepts(domains: Domains, output: str) -> str | None:
    if fault := _count(domains, 1, "values of nodes, edges or triplets") or _ladder(domains):
        return fault
    return None if output == "graph" else f"gives a graph value, not a {output} value"


def _broadcast_accepts(domains: Domains, output: str) -> str | None:
    if fault := _count(domains, 1, "a graph value"):
        return fault
    if domains[0] != "graph":
        return f"takes a graph value, not a {domains[0]} value"
    return _ladder((output,))


def _pyg_accepts(domains: Domains, output: str) -> str | None:
    allowed = (("node",), ("node", "edge"))
    if domains in allowed and output == "node":
        return None
    return f"can't take {' and '.join(domains)} to {output}; allowed: node to node, node and edge to node"


def _between(inner: str, outer: str) -> Callable[[Domains, str], str | None]:
    def accepts(domains: Domains, output: str) -> str | None:
        if fault := _count(domains, 1, f"{inner} values"):
            return fault
        return None if (domains[0], output) == (inner, outer) else f"leads from {inner} to {outer} values only"

    return accepts


def _pool_irrelevant(parameters: Mapping[str, Any]) -> set[str]:
    return {"ratio", "clusters"} - {"topk": {"ratio"}, "diff": {"clusters"}}.get(parameters["method"], set())


def _any_width(widths: tuple[Width, ...], parameters: Mapping[str, Any]) -> None:
    return None


def _same_width(widths: tuple[Width, ...], parameters: Mapping[str, Any]) -> Width:
    for width in widths[1:]:
        if width != widths[0]:
            raise InputError(f"inputs of width {widths[0]} and {width} don't agree; allowed: equal widths")
    return widths[0]


def _sum_of_widths(widths: tuple[Width, ...], parameters: Mapping[str, Any]) -> Width:
    return sum(widths[1:], widths[0])


def _aggregate_width(widths: tuple[Width, ...], parameters: Mapping[str, Any]) -> Width:
    return widths[0] * 2 if parameters["direction"] == "both" else widths[0]


def _attention_width(widths: tuple[Width, ...], parameters: Mapping[str, Any]) -> None:
    if widths[1] not in (widths[0], Width.of(1)) and not widths[1].of_target:
        raise InputError(f"logits of width {widths[1]} don't fit values of width {widths[0]}; allowed: 1, {widths[0]}")


def _mlp_irrelevant(parameters: Mapping[str, Any]) -> set[str]:
    activation, output = parameters["activation"], parameters["output_activation"]
    single, plain = parameters["layers"] == 1, output == "none"
    drop = ({"hidden", "activation"} if single else set()) | ({"dropout"} if single else set())
    return drop | ({"norm"} if plain and (single or activation == "none") else set())


def _attention_irrelevant(parameters: Mapping[str, Any]) -> set[str]:
    # At its default the direction is no part of an architecture's identity: it came later than searches that are kept.
    return _mlp_irrelevant(parameters) | ({"direction"} if parameters["direction"] == "both" else set())


SUMS = ("sum", "mean", "max")
_MLP = (
    Parameter("layers", (int,), 2, minimum=1),
    Parameter("hidden", (int,), Hyperparameter("hidden"), minimum=1),
    Parameter("activation", (str,), "relu", ACTIVATIONS),
    Parameter("norm", (str,), "layer", ("layer", "batch", "none")),
    Parameter("output_activation", (str,), "none", ACTIVATIONS),
    Parameter("dropout", (float,), 0.0, minimum=0, below=1),
)
_REDUCE = Parameter("reduce", (str,), "sum", (*SUMS, "std", "softmax"))
_DIRECTION = Parameter("direction", (str,), "in", ("in", "out", "both"))
_POOL = (
    Parameter("method", (str,), "topk", ("topk", "edge", "diff")),
    Parameter("ratio", (float,), 0.5, minimum=0.01, below=1),
    Parameter("clusters", (int,), 16, minimum=1),
)
_FLOWS = Parameter("direction", (str,), "both", ("both", "together"))
_NORM = Parameter("kind", (str,), "layer", ("layer", "batch", "graph"))

SIGNATURES: dict[str, Signature] = {}


def register(signature: Signature) -> Signature:
    """Make a block known by its name. A later one of the same name takes its place."""
    SIGNATURES[signature.name] = signature
    return signature


for _signature in (
    Signature("mlp", _mlp_accepts, _any_width, _MLP, commutative=True, distinct=True, irrelevant=_mlp_irrelevant),
    Signature(
        "aggregate", _aggregate_accepts, _aggregate_width, (_REDUCE, _DIRECTION),
        has_weights=False, passes_messages=True,
    ),
    Signature(
        "attention", _attention_accepts, _attention_width, (*_MLP, _FLOWS),
        passes_messages=True, irrelevant=_attention_irrelevant,
    ),
    Signature("gru", _alike(2, 2), lambda widths, parameters: widths[1], distinct=True),
    Signature("concat", _alike(1), _sum_of_widths, commutative=True, distinct=True, has_weights=False),
    Signature("add", _alike(2), _same_width, commutative=True, distinct=True, has_weights=False),
    Signature("mean", _alike(2), _same_width, commutative=True, distinct=True, has_weights=False),
    Signature("identity", _alike(1, 1), _same_width, has_weights=False),
    Signature("norm", _alike(1, 1), _same_width, (_NORM,), idempotent=True),
    Signature(
        "readout", _readout_accepts, _same_width, (Parameter("reduce", (str,), "mean", SUMS),), has_weights=False
    ),
    Signature("broadcast", _broadcast_accepts, _same_width, has_weights=False),
    Signature(
        "pyg", _pyg_accepts, _any_width,
        (Parameter("conv", (str,), "GCNConv"), Parameter("arguments", (dict,), {})), passes_messages=True,
    ),
    Signature(
        "pool", _between("node", POOLED), _same_width, _POOL, changes_nodes=True, irrelevant=_pool_irrelevant
    ),
    Signature("unpool", _between(POOLED, "node"), _same_width, has_weights=False, changes_nodes=True),
):  # fmt: skip
    register(_signature)
