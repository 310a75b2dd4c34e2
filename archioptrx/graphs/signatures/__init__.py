"""Signatures of the building blocks: domains, widths, parameters and all other properties, as data. No torch here.

One file for each family of blocks describes them without torch: `networks` (mlp, attention),
`joining` (concat, add, mean, identity), `reducing` (aggregate, readout, broadcast), `single` (gru, norm), `pyg` and
`pooling`. The torch side (`archioptrx.networks.blocks`) implements each of them; the decorator `block` there registers
a user's signature and class together.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from archioptrx.core.errors import InputError
from archioptrx.core.plugins import DescribedRegistry
from archioptrx.graphs.signatures import joining, networks, pooling, pyg, reducing, single
from archioptrx.graphs.signatures.domains import DOMAINS, LADDER, POOLED, Kind, Shape
from archioptrx.graphs.signatures.networks import ACTIVATIONS
from archioptrx.graphs.signatures.parameter import Parameter
from archioptrx.graphs.signatures.signature import KEEPS, MEETS, MIXES, Signature, keeps, meets, mixes
from archioptrx.graphs.signatures.width import Choice, Hyperparameter, Width

__all__ = [
    "ACTIVATIONS", "BLOCKS", "DOMAINS", "KEEPS", "LADDER", "MEETS", "MIXES", "POOLED", "SIGNATURES", "Choice",
    "Hyperparameter", "Kind", "Parameter", "Shape", "Signature", "Width", "check_signature", "keeps", "meets", "mixes",
    "register",
]  # fmt: skip

FAMILIES = (networks, reducing, single, joining, pyg, pooling)
TORCH_SIDE = "archioptrx.networks.blocks"
_MODULES = {
    signature.name: (f"{TORCH_SIDE}.{file}", signature)
    for family in FAMILIES
    for file, signatures in family.BLOCKS.items()
    for signature in signatures
}
BUNDLED = {name: signature for name, (_, signature) in _MODULES.items()}
BLOCKS: DescribedRegistry[type[Any], Signature] = DescribedRegistry("block", _MODULES)
"""Classes of torch modules, each described by its signature."""
SIGNATURES: Mapping[str, Signature] = BLOCKS.descriptions
"""All signatures by name. A plain dictionary: a walk reads it thousands of times a second."""


def register(signature: Signature) -> Signature:
    """Register a block by its name. A user's block replaces an earlier one of the user's with the same name.

    Raises
    ------
    InputError
        See `check_signature`.
    """
    check_signature(signature)
    BLOCKS.descriptions[signature.name] = signature
    return signature


def check_signature(signature: Signature) -> None:
    """Raise InputError if it is no signature, a part of it has a wrong type, or a bundled block has its name."""
    if not isinstance(signature, Signature):
        raise InputError(f"block: got a {type(signature).__name__}; allowed: a Signature")
    if not isinstance(signature.name, str) or not signature.name:
        raise InputError(f"block: its name is {signature.name!r}; allowed: a text")
    place = f"block {signature.name}"
    if BUNDLED.get(signature.name, signature) is not signature:
        raise InputError(f"{place}: is the name of a bundled block; allowed: another name")
    always = ("accepts", "width", "irrelevant", "idle", "reads", "normal", "faults")
    for name in (*always, "count", "leaves", "passes_on", "multiplies", "source"):
        rule, needed = getattr(signature, name), name in always
        if not callable(rule) and (needed or rule is not None):
            raise InputError(f"{place}: {name} is {rule!r}; allowed: a function{'' if needed else ', or None'}")
    if not all(isinstance(parameter, Parameter) for parameter in signature.parameters):
        raise InputError(f"{place}: parameters is {signature.parameters!r}; allowed: a tuple of Parameter")
