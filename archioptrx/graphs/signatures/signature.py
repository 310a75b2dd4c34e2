"""The signature of a building block: its description without torch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from archioptrx.core.errors import RAISED_BY_CALL, GraphError, InputError, error_text
from archioptrx.graphs.signatures.domains import POOLED, Accepts, Domains, Kind, Shape
from archioptrx.graphs.signatures.parameter import Parameter
from archioptrx.graphs.signatures.width import Width
from archioptrx.graphs.source.step import Source, SourceStep

WidthRule = Callable[[tuple[Width, ...], Mapping[str, Any]], Width | None]
Count = Callable[[Sequence[Shape], Shape, Mapping[str, Any]], int | None]
"""`(input shapes, output shape, parameters) -> number`."""
Products = Callable[[int, Sequence[Shape], Shape, Mapping[str, Any]], int]
"""`(slot, input shapes, output shape, parameters) -> number`."""
Faults = Callable[[Sequence[Kind], Kind, Mapping[str, Any]], Iterable[str]]
"""`(input kinds, output kind, parameters) -> faults`."""

MIXES, KEEPS, MEETS = "mixes", "keeps", "meets"
Reads = Callable[[int, Sequence[Width], Mapping[str, Any]], str]
"""`(slot, input widths, parameters) -> MIXES, KEEPS or MEETS`."""


def _nothing(parameters: Mapping[str, Any]) -> Iterable[str]:
    return ()


def _none_idle(inputs: Domains) -> Iterable[str]:
    return ()


def _as_given(parameters: dict[str, Any]) -> dict[str, Any]:
    return parameters


def _no_faults(inputs: Sequence[Kind], output: Kind, parameters: Mapping[str, Any]) -> Iterable[str]:
    return ()


def mixes(slot: int, widths: Sequence[Width], parameters: Mapping[str, Any]) -> str:
    """Rule of a block that begins with a linear layer on each input."""
    return MIXES


def keeps(slot: int, widths: Sequence[Width], parameters: Mapping[str, Any]) -> str:
    """Rule of a block that treats each channel by itself."""
    return KEEPS


def meets(slot: int, widths: Sequence[Width], parameters: Mapping[str, Any]) -> str:
    """Rule of a block of which nothing is known: the order of channels may matter."""
    return MEETS


@dataclass(frozen=True)
class Signature:
    """The type of a building block, and its properties.

    The functions among the fields take `parameters` by name, all of them or those that have an effect, literal or bound
    to numbers and texts. Where a field is None the block lacks that ability, and everything else still works: without a
    `count` a search can't constrain `parameters`, without a `source` a network can't be exported.

    Attributes
    ----------
    name
        Name of the block in function graphs.
    accepts
        `(input domains, output domain) -> fault or None`.
    width
        `(input widths, parameters) -> width of the result`; None where any width is possible (the output's data
        node declares it). Raises InputError when the input widths don't fit together.
    parameters
        Parameters in the order of the documentation.
    commutative
        Another order of the inputs gives the same network, with another order of weights or channels. It is free only
        where nothing else depends on that order: see `archioptrx.graphs.fingerprint`.
    symmetric
        Another order of the inputs gives the same result, where all of them are hits or of one smaller graph.
    neutral
        With one input the result is that input itself.
    distinct
        Inputs have to be different values.
    idempotent
        The block on its own result gives that result again.
    has_weights
        It can learn. Steps of a block without weights on the same inputs are one step.
    passes_messages
        A step of it moves information along edges to other nodes: a message-passing round.
    changes_nodes
        It leads from one set of nodes to another. All other blocks work on pooled nodes as they do on hits.
    irrelevant
        `parameters -> names of those without an effect`: they are no part of an architecture's identity.
    idle
        `input domains -> names of parameters` without an effect on such inputs: they are no part of it either.
    count
        Exact number of the block's weights: `(input shapes, output shape, parameters) -> number`; it returns None where
        only torch knows it.
    leaves
        `parameters -> channels before the last linear layer`, where a step can leave that layer pending
        (`forward(values, run, pending=True)`), else 0.
    passes_on
        `parameters -> whether a step hands on the pieces of its input`, pending layers included, without multiplying
        them out.
    multiplies
        Products per row and channel of the input in this slot in the linear layer that a step begins with, which then
        takes a pending one along: `(slot, input shapes, output shape, parameters) -> number`, 0 for none.
    reads
        Way in which a step reads the channels of the input in this slot: `(slot, input widths, parameters) -> MIXES,
        KEEPS or MEETS`. MIXES: each output channel is a weighted sum over all of them, with weights that are learned,
        so that another order of the channels is another order of weights. KEEPS: each by itself, so that the result has
        them in the order of the input. MEETS: an order that the rest of the network can see.
    source
        A step written as plain torch, for exports: `SourceStep -> Expression`, or `LayerSource` for a step with
        weights.
    normal
        `parameters -> parameters` in one form, where several forms mean the same; both are complete.
    faults
        Faults that domains, widths and single parameters don't show: `(input kinds, output kind, parameters) -> texts`.
        Widths are symbols where they aren't known yet, and a parameter may be a `Hyperparameter`; the rule is applied
        again when more is known, at last with numbers alone.
    """

    name: str
    accepts: Accepts
    width: WidthRule
    parameters: tuple[Parameter, ...] = ()
    commutative: bool = False
    symmetric: bool = False
    neutral: bool = False
    distinct: bool = False
    idempotent: bool = False
    has_weights: bool = True
    passes_messages: bool = False
    changes_nodes: bool = False
    irrelevant: Callable[[Mapping[str, Any]], Iterable[str]] = _nothing
    idle: Callable[[Domains], Iterable[str]] = _none_idle
    count: Count | None = None
    leaves: Callable[[Mapping[str, Any]], int] | None = None
    passes_on: Callable[[Mapping[str, Any]], bool] | None = None
    multiplies: Products | None = None
    reads: Reads = meets
    source: Callable[[SourceStep], Source] | None = None
    normal: Callable[[dict[str, Any]], dict[str, Any]] = _as_given
    faults: Faults = _no_faults

    def __hash__(self) -> int:
        """Hash of the name alone: equal signatures have one name, and a hash of all fields takes long."""
        return hash(self.name)

    def type_fault(self, inputs: Domains, output: str) -> str | None:
        """Fault of the domains; None: they are allowed."""
        if POOLED not in (*inputs, output) or self.changes_nodes:
            return self._accepts(inputs, output)
        if POOLED not in inputs or not {*inputs, output} <= {POOLED, "graph"}:
            return f"can't take {' and '.join(inputs)} to {output}; allowed: pool and unpool lead from hits and back"
        on_graph = {POOLED: "node", "graph": "graph"}
        return self._accepts(tuple(on_graph[domain] for domain in inputs), on_graph[output])

    def _accepts(self, inputs: Domains, output: str) -> str | None:
        try:
            return self.accepts(inputs, output)
        except RAISED_BY_CALL as error:  # a user's rule may do anything
            return f"fails in its rule accepts: {error_text(error)}; allowed: a fault as text, or None"

    def result_width(self, inputs: tuple[Width, ...], parameters: Mapping[str, Any]) -> Width | None:
        """Width of the result; None where any is possible.

        Raises
        ------
        InputError
            The widths don't fit together, or a user's rule fails.
        """
        try:
            width = self.width(inputs, parameters)
        except InputError:
            raise
        except RAISED_BY_CALL as error:  # a user's rule may do anything
            raise InputError(f"{self.name} fails in its rule width: {error_text(error)}") from error
        if width is not None and not isinstance(width, Width):
            raise InputError(f"{self.name}: its rule width gives {width!r}; allowed: a Width, or None")
        return width

    def ask(self, rule: str, *arguments: Any) -> Any:
        """Apply a rule that a block may lack: `count`, `leaves`, `passes_on`, `multiplies` or `source`.

        Returns
        -------
        Result of the rule; None where the block lacks it.

        Raises
        ------
        GraphError
            The rule fails, as a user's may.
        """
        function = getattr(self, rule)
        try:
            return None if function is None else function(*arguments)
        except RAISED_BY_CALL as error:  # a user's rule may do anything
            raise GraphError(f"block {self.name}: its {rule} fails: {error_text(error)}") from error

    def complete(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """All parameters, those not given at their defaults, in their normal form.

        Raises
        ------
        GraphError
            The rule `normal` of a user's block fails.
        """
        try:
            return self.normal({p.name: given.get(p.name, p.default) for p in self.parameters})
        except RAISED_BY_CALL as error:  # a user's rule may do anything
            raise GraphError(f"block {self.name}: its normal fails: {error_text(error)}") from error

    def printed(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """The parameters that a printed network names: the `shown` ones, then, sorted, others without their default."""
        complete, usual = self.complete(given), self.complete({})
        first = {p.name: complete[p.name] for p in self.parameters if p.shown}
        return first | {k: v for k, v in sorted(complete.items()) if k not in first and v != usual[k]}

    def faults_of(self, inputs: Sequence[Kind], output: Kind, parameters: Mapping[str, Any]) -> list[str]:
        """Faults by the rule `faults`; its own failure, as a user's rule may do anything, is one."""
        try:
            return list(self.faults(inputs, output, self.complete(parameters)))
        except RAISED_BY_CALL as error:
            return [f"{self.name} fails in its rule faults: {error_text(error)}"]

    def effective(self, given: tuple[tuple[str, Any], ...], inputs: Domains) -> tuple[tuple[str, Any], ...]:
        """Given parameters without those that have no effect on inputs of these domains."""
        idle = set(self.idle(inputs))
        return tuple(item for item in given if item[0] not in idle) if idle else given

    def can_leave_out(self, wrong: set[str]) -> bool:
        """Whether the other parameters can be judged without these wrong ones: unknown names, or texts of a list."""
        return wrong.isdisjoint(parameter.name for parameter in self.parameters if not parameter.choices)

    def relevant(self, given: Mapping[str, Any]) -> tuple[tuple[str, Any], ...]:
        """The parameters that have an effect, sorted; identity depends on these."""
        complete = self.complete(given)
        for parameter in self.parameters:  # 0 and 0.0 are one number
            if float in parameter.types and type(complete[parameter.name]) is int:
                complete[parameter.name] = float(complete[parameter.name])
        return tuple(sorted((k, v) for k, v in complete.items() if k not in set(self.irrelevant(complete))))

    @cached_property
    def structured(self) -> bool:
        """Whether a parameter is a mapping, in which 1 and true may mean different things but compare equal."""
        return any(dict in parameter.types for parameter in self.parameters)
