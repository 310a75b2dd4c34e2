"""A user's own sampler, held to the contract of a `Proposer`: each fault is one line."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any

from archioptrx.core.errors import InputError
from archioptrx.sampling.samplers.base import Proposer
from archioptrx.sampling.samplers.registry import SAMPLERS

METHODS = ("draw", "observe", "state_dict", "load_state_dict")
OF_CANDIDATE = ("key", "fingerprint")


class Guarded:
    """A sampler with the same methods and optional members as the one inside it.

    Parameters
    ----------
    name
        Name that it is registered under.
    inner
        The user's sampler.

    Raises
    ------
    InputError
        It lacks a method. From any method: it raised an error, or gave a value of a wrong type.
    """

    def __init__(self, name: str, inner: Proposer) -> None:
        lacking = [method for method in METHODS if not callable(getattr(inner, method, None))]
        if lacking:
            raise InputError(
                f"sampler {name}: {type(inner).__name__} has no {', no '.join(lacking)}; "
                f"allowed: a class with {', '.join(METHODS)}"
            )
        self.name, self.inner = name, inner

    def __getattr__(self, member: str) -> Any:
        """Members that not all samplers have: `parent`, `inherit`, `learned`, `again`."""
        if member.startswith("_") or member in ("name", "inner"):  # while a copy of it is made, there is no inner one
            raise AttributeError(member)
        value = getattr(self.inner, member)
        return self._guarded(value) if callable(value) else value

    def _guarded(self, method: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(method)
        def call(*arguments: Any) -> Any:
            with SAMPLERS.guarded(self.name):
                return method(*arguments)

        return call

    def draw(self, number: int, attempt: int) -> Any | None:
        """See `Proposer`."""
        candidate = self._guarded(self.inner.draw)(number, attempt)
        if candidate is not None and not all(hasattr(candidate, attribute) for attribute in OF_CANDIDATE):
            kind = type(candidate).__name__
            raise InputError(f"sampler {self.name}: draw gave {kind}; allowed: a result of its space(choose), or None")
        return candidate

    def observe(self, candidate: Any, score: Any, epochs: int) -> None:
        """See `Proposer`."""
        self._guarded(self.inner.observe)(candidate, score, epochs)

    def state_dict(self) -> Mapping[str, Any]:
        """See `Proposer`."""
        state = self._guarded(self.inner.state_dict)()
        if not isinstance(state, Mapping):
            raise InputError(f"sampler {self.name}: state_dict gave {type(state).__name__}; allowed: a mapping")
        return state

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """See `Proposer`."""
        self._guarded(self.inner.load_state_dict)(state)
