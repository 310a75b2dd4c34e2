"""Reading a stranger's pickle without running anything of it.

A pickle is a program: it names functions and has them called. Here it may name a few, all replaced by functions of this
file, which build numpy arrays out of bytes and do nothing else; numpy's own, which trust their arguments, aren't called
either. What is built are lists, tuples, dicts, numbers, texts, bytes and arrays of numbers or of such objects.

Before that its instructions are listed, without being carried out: those that make objects of classes, ask the
program that reads for something (persistent ids, extension codes, buffers), or reserve more memory than the file has
use for are refused.
"""

from __future__ import annotations

import copyreg
import io
import math
import pickle
import pickletools
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from archioptrx.core.errors import InputError, reason_of

REFUSED = frozenset(("PERSID", "BINPERSID", "EXT1", "EXT2", "EXT4", "NEXT_BUFFER", "READONLY_BUFFER")) | frozenset(
    ("INST", "OBJ", "NEWOBJ", "NEWOBJ_EX")
)
"""Instructions that arrays and plain data don't need."""
MEMO = frozenset(("PUT", "BINPUT", "LONG_BINPUT"))
KINDS = "biuf"
"""Kinds of numbers: truth values, whole numbers with and without sign, fractions."""
ALLOWED = "lists, dicts, numbers, texts and numpy arrays"


def load(content: bytes) -> Any:
    """Build the content of a pickle. Read items of its lists and dicts with `filled`, which makes numpy arrays.

    Raises
    ------
    InputError
        It asks for anything but plain data and arrays, or is damaged; one line.
    """
    check_instructions(content)
    # Objects of extension codes that this process has read before would come without being asked for.
    copyreg.clear_extension_cache()
    try:
        return filled(_Unpickler(io.BytesIO(content)).load())
    except InputError:
        raise
    # Any exception may come out of a damaged pickle, and each means the same to the user.
    except Exception as error:
        raise InputError(f"is no sound pickle ({reason_of(error)}); allowed: {ALLOWED}") from error


def check_instructions(content: bytes, refused: frozenset[str] = REFUSED) -> None:
    """Go through the instructions of a pickle without carrying them out.

    Raises
    ------
    InputError
        There is one that is refused, or one that reserves memory for nothing; or it is no pickle.
    """
    number = 0
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of odd escapes in texts, which are read or can't be
            for number, (code, argument, _) in enumerate(pickletools.genops(content)):
                if code.name in refused:
                    raise InputError(f"asks for {code.name}, which arrays don't need; allowed: {ALLOWED}")
                # The memo is a list in memory as long as its largest number: an honest one counts.
                if code.name in MEMO and int(argument or 0) > number:
                    raise InputError(f"reserves {argument:,} places at instruction {number}; allowed: {ALLOWED}")
    except (ValueError, IndexError, OverflowError, UnicodeDecodeError) as error:
        raise InputError(
            f"is cut short or no pickle, at instruction {number} ({reason_of(error)}); allowed: {ALLOWED}"
        ) from error


class Allowed:
    """A function that a pickle may call. Without a state that the pickle could change."""

    __slots__ = ("_function",)
    _function: Callable[..., Any]

    def __init__(self, function: Callable[..., Any]) -> None:
        object.__setattr__(self, "_function", function)

    def __call__(self, *arguments: Any) -> Any:
        return self._function(*arguments)

    def __setattr__(self, name: str, value: Any) -> None:
        raise pickle.UnpicklingError(f"sets {name} of a function")


class _Type:
    """Stand-in for a numpy type's kind and size in a pickle; its state may give the order of bytes, and no more."""

    __slots__ = ("code", "order")

    def __init__(self, code: str) -> None:
        self.code, self.order = code, "="

    def __setstate__(self, state: Any) -> None:
        if not isinstance(state, tuple) or len(state) < 5 or state[1] not in "<>=|" or any(state[2:5]):
            raise pickle.UnpicklingError(f"describes numbers by {state!r:.60}")
        self.order = state[1]

    @property
    def numpy(self) -> np.dtype[Any]:
        """The type of the numbers."""
        return np.dtype(self.code).newbyteorder("=" if self.order == "|" else self.order)  # type: ignore[arg-type]


class _Array:
    """An array that its state will fill."""

    __slots__ = ("filled",)

    def __init__(self) -> None:
        self.filled: NDArray[Any] | list[Any] | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the array itself, for another process."""
        return filled, (self.filled,)

    def __setstate__(self, state: Any) -> None:
        _, shape, kind, columns_first, data = state
        if not isinstance(kind, _Type):
            raise pickle.UnpicklingError("has an array without a type")
        if kind.code != "O":
            self.filled = _array(data, kind, shape, "F" if columns_first else "C")
        elif isinstance(data, list) and shape == (len(data),):
            self.filled = data
        else:
            raise pickle.UnpicklingError(f"has objects in an array of the shape {shape!r:.60}")


def _reconstruct(kind: Any, shape: Any, code: Any) -> _Array:
    if kind is not _NDARRAY or shape != (0,):
        raise pickle.UnpicklingError("makes something else than an empty array")
    return _Array()


def _dtype(code: Any, *_: Any) -> _Type:
    known = isinstance(code, str) and (code == "O8" or (code[:1] in KINDS and code[1:] in ("1", "2", "4", "8")))
    if not known:
        raise pickle.UnpicklingError(f"has numbers of type {code!r:.60}")
    return _Type("O" if code == "O8" else code)


def _array(data: Any, kind: Any, shape: Any, order: Any = "C") -> NDArray[Any]:
    if isinstance(data, str):
        data = data.encode("latin1")
    if not isinstance(kind, _Type) or kind.code == "O" or not isinstance(data, bytes | bytearray):
        raise pickle.UnpicklingError("has an array of something else than numbers")
    size = math.prod(int(length) for length in shape) if min(shape, default=0) >= 0 else -1
    if size * kind.numpy.itemsize != len(data):
        raise pickle.UnpicklingError(f"has an array of the shape {shape!r:.60} in {len(data)} bytes")
    return np.frombuffer(data, kind.numpy).reshape(shape, order="F" if order == "F" else "C")


def _scalar(kind: Any, data: Any = b"") -> Any:
    return _array(data, kind, (1,))[0]


def _encode(text: Any, encoding: Any) -> bytes:
    if not isinstance(text, str) or encoding not in ("latin1", "latin-1"):
        raise pickle.UnpicklingError(f"encodes in {encoding!r:.60}")
    return text.encode("latin1")


def _empty() -> bytes:
    return b""


_NDARRAY = Allowed(lambda *_: _refuse("ndarray"))


def _refuse(name: str) -> None:
    raise pickle.UnpicklingError(f"calls {name}")


_ALLOWED: dict[tuple[str, str], Allowed] = {
    ("numpy", "ndarray"): _NDARRAY,
    ("numpy", "dtype"): Allowed(_dtype),
    # Python's protocols below 3 have no bytes.
    ("_codecs", "encode"): Allowed(_encode),
    ("__builtin__", "bytes"): Allowed(_empty),
}
for _core in ("numpy.core", "numpy._core"):
    _ALLOWED[f"{_core}.multiarray", "_reconstruct"] = Allowed(_reconstruct)
    _ALLOWED[f"{_core}.multiarray", "scalar"] = Allowed(_scalar)
    _ALLOWED[f"{_core}.numeric", "_frombuffer"] = Allowed(_array)


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ALLOWED:
            raise InputError(f"asks for {module}.{name}; allowed: {ALLOWED}")
        return _ALLOWED[module, name]


def filled(value: Any) -> Any:
    """Content of a list or dict of a pickle: an array of numbers, the list that an array of objects was, or itself.

    One at a time: a small pickle may hold one dict in billions of places.
    """
    return value.filled if isinstance(value, _Array) else value
