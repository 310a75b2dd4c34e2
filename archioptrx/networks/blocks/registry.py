"""The decorator of building blocks: bundled ones and a user's own, by the name of their signature."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from torch import nn

from archioptrx.core.errors import InputError
from archioptrx.graphs.signatures import BLOCKS, Signature, check_signature

Module = TypeVar("Module", bound=type[nn.Module])


def block(signature: Signature) -> Callable[[Module], Module]:
    """Make a decorator that registers a class as the building block of a signature.

    Parameters
    ----------
    signature
        Signature of the block; the class gets it as its attribute `signature`.

    Raises
    ------
    InputError
        Another block has that name, the argument is no signature, or the class is no class of modules.
    """
    check_signature(signature)

    def decorate(module: Module) -> Module:
        if not (isinstance(module, type) and issubclass(module, nn.Module)):
            raise InputError(f"block {signature.name}: is {module!r}; allowed: a class that inherits from nn.Module")
        BLOCKS.describing(signature.name, signature)(module)
        module.signature = signature  # type: ignore[attr-defined]
        return module

    return decorate
