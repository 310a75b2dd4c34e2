"""Operations: what a step does, apart from its inputs and the name of its weights.

Many steps of many networks have one operation. All that its identity needs is worked out once for it: a walk keeps the
operations of its functions, and those of other graphs are found in a cache.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache
from typing import Any

from archioptrx.graphs.literals import value_text
from archioptrx.graphs.signatures import SIGNATURES, Hyperparameter, Signature
from archioptrx.graphs.steps import DataType, Step

Params = tuple[tuple[str, Any], ...]

ORDERED, FREE, COMMON, JOINED = "ordered", "free", "common", "joined"
"""Meanings of the order of inputs: it matters; it is free; it is free, but the same for all steps with the weights; it
is that of the channels of the result (`concat`)."""


@lru_cache(maxsize=65536)
def colour_of(text: str) -> int:
    """Hash of a text: a number of 64 bits, the first colour of a value."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest())


class Operation:
    """A block with parameters, on types of inputs, with a type of result. It is immutable.

    Attributes
    ----------
    signature
        Signature of the block.
    text, colour
        Text that is equal for operations that do the same, and its hash.
    symbols
        Names of the hyperparameters among the parameters that have an effect.
    has_weights, neutral
        Fields of the signature.
    order
        Meaning of the order of its inputs: ORDERED, FREE, COMMON or JOINED.
    """

    __slots__ = (
        "_kind", "_note", "_params", "_reads", "_widths", "colour", "has_weights", "neutral", "order", "signature",
        "symbols", "text",
    )  # fmt: skip

    def __init__(self, signature: Signature, params: Params, inputs: tuple[DataType, ...], output: DataType) -> None:
        self.signature, self._params = signature, params
        self._widths = tuple(kind.width for kind in inputs)
        self._kind = f"{output.domain} [{output.width}]"
        self._reads: dict[int, str] = {}
        self._note: str | None = None
        effective = signature.effective(params, tuple(kind.domain for kind in inputs))
        relevant = signature.relevant(dict(effective))
        self.text = f"{signature.name} {output.domain} {output.width} {relevant!r}"
        self.colour = colour_of(self.text)
        named = relevant if effective == params else signature.relevant(dict(params))
        self.symbols = frozenset(value.name for _, value in named if isinstance(value, Hyperparameter))
        self.has_weights, self.neutral = signature.has_weights, signature.neutral
        self.order = _order_of(signature)

    @property
    def note(self) -> str:
        """Type of the result, and the parameters that a printed network names."""
        if self._note is None:
            printed = self.signature.printed(dict(self._params))
            values = {key: value for key, value in printed.items() if not isinstance(value, Hyperparameter)}
            self._note = self._kind + "".join(f", {key}={value_text(value)}" for key, value in values.items())
        return self._note

    def reads(self, slot: int) -> str:
        """Way in which it reads the channels of the input in a slot: MIXES, KEEPS or MEETS (see `Signature.reads`)."""
        if slot not in self._reads:
            complete = self.signature.complete(dict(self._params))
            self._reads[slot] = self.signature.reads(slot, self._widths, complete)
        return self._reads[slot]


def _order_of(signature: Signature) -> str:
    if not signature.commutative:
        return ORDERED
    if signature.symmetric:
        return FREE
    return COMMON if signature.has_weights else JOINED


_known = lru_cache(maxsize=65536)(Operation)


def operation_of(step: Step, inputs: tuple[DataType, ...], output: DataType) -> Operation:
    """Operation of a step."""
    signature = SIGNATURES[step.block]
    # The cache would take 1 and true for equal; inside a mapping they may mean different things.
    make = Operation if signature.structured else _known
    return make(signature, step.params, inputs, output)
