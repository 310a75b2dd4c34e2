"""Reading what `torch.save` wrote, without running anything of it, and without the classes that it names.

A file is a zip archive: a pickle of the objects, and one member with the bytes of each tensor. As in `safe_pickle`, the
pickle may name a few classes and functions, all replaced by those of this file. Objects of PyG's `Data` and of its
batches become their fields; `AttributeDict` of Lightning, in which acorn keeps its settings, a dict. Tensors are views
of bytes that the file holds; numbers that it only claims to hold are refused.
"""

from __future__ import annotations

import io
import math
import pickle
import zipfile
from collections.abc import Callable
from typing import Any

import torch

from archioptrx.core.errors import InputError, reason_of
from archioptrx.data.sources.safe_pickle import REFUSED, Allowed, check_instructions

NEEDED = frozenset(("BINPERSID", "NEWOBJ"))
"""Instructions for tensors and for objects of classes."""
STORAGES = {
    "DoubleStorage": torch.float64,
    "FloatStorage": torch.float32,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
}
_DATA = "torch_geometric.data"
OBJECTS = (
    *((f"{_DATA}.data", name) for name in ("Data", "DataEdgeAttr", "DataTensorAttr")),
    *((f"{_DATA}.storage", name) for name in ("EdgeStorage", "GlobalStorage", "NodeStorage")),
    *((f"{_DATA}.batch", name) for name in ("Batch", "DataBatch", "DynamicInheritanceGetter")),
)
"""Classes of which an event consists, one of a `DataLoader` too."""
DICTS = (
    ("collections", "OrderedDict"),
    ("lightning.fabric.utilities.data", "AttributeDict"),
    ("lightning.pytorch.utilities.parsing", "AttributeDict"),
    ("lightning_fabric.utilities.data", "AttributeDict"),
    ("pytorch_lightning.utilities.parsing", "AttributeDict"),
)


class GraphObject:
    """Object of one of `OBJECTS`: its fields, and nothing that it could do."""

    __slots__ = ("fields",)
    fields: dict[str, Any]

    def __new__(cls, *_: Any) -> GraphObject:
        """An object without fields."""
        new = object.__new__(cls)
        new.fields = {}
        return new

    def __call__(self, *_: Any) -> GraphObject:
        """Answer PyG, which calls it for the class of a batch: an object again."""
        return GraphObject()

    def __setstate__(self, state: Any) -> None:
        if not isinstance(state, dict):
            raise pickle.UnpicklingError(f"has fields of {type(state).__name__}")
        self.fields = state


class SparseTensor:
    """A sparse tensor, which no event needs: it is known by its name alone."""

    __slots__ = ()

    def __new__(cls, *_: Any) -> SparseTensor:
        """Forget what it is made of."""
        return object.__new__(cls)

    def __setstate__(self, state: Any) -> None: ...


def load(content: bytes) -> Any:
    """Build the objects of a file of `torch.save`.

    Returns
    -------
    Tensors, plain data, and `GraphObject`.

    Raises
    ------
    InputError
        It asks for anything else, or is damaged: one line without the file's name.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            (name,) = [name for name in archive.namelist() if name.endswith("/data.pkl")]
            program, folder = archive.read(name), name.removesuffix("data.pkl")
            if f"{folder}byteorder" in archive.namelist() and archive.read(f"{folder}byteorder") != b"little":
                raise InputError("comes from a machine with another order of bytes")
            check_instructions(program, REFUSED - NEEDED)
            return _TensorUnpickler(program, archive, f"{folder}data/").load()
    except InputError:
        raise
    except zipfile.BadZipFile as error:
        raise InputError(f"is damaged ({reason_of(error)})") from error
    # Any exception may come out of a damaged file, and each means the same to the user.
    except Exception as error:
        raise InputError(f"can't be read ({reason_of(error, 160)})") from error


class _TensorUnpickler(pickle.Unpickler):
    def __init__(self, program: bytes, archive: zipfile.ZipFile, folder: str) -> None:
        super().__init__(io.BytesIO(program))
        self._archive, self._folder = archive, folder
        self._read: dict[str, torch.Tensor] = {}

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in OBJECTS:
            return GraphObject
        if (module, name) in DICTS:
            return dict
        if (module, name) == ("torch", "Size"):
            return tuple
        if module == "torch" and name in STORAGES:
            return ("storage", name)
        if module == "torch._utils" and name in _REBUILD:
            return Allowed(_REBUILD[name])
        if (module, name) == ("torch.serialization", "_get_layout"):
            return Allowed(lambda *_: None)
        raise InputError(f"holds more than a graph needs (it asks for {module}.{name})")

    def persistent_load(self, pid: Any) -> torch.Tensor:
        """The numbers of a storage, which the file has to hold."""
        kind, storage, key, _, count = pid
        dtype = STORAGES[storage[1]]
        if kind != "storage" or not isinstance(key, str) or not isinstance(count, int):
            raise pickle.UnpicklingError(f"names its numbers by {pid!r:.60}")
        if key not in self._read:
            self._read[key] = _numbers(self._archive.read(f"{self._folder}{key}"), dtype)
        numbers = self._read[key]
        if numbers.dtype != dtype or count > len(numbers):
            raise pickle.UnpicklingError(f"claims {count} numbers, and holds {len(numbers)}")
        return numbers


def _numbers(content: bytes, dtype: torch.dtype) -> torch.Tensor:
    """Bytes as numbers; a truth value is 0 or 1 whatever its byte is."""
    whole = len(content) // dtype.itemsize * dtype.itemsize
    if not whole:
        return torch.empty(0, dtype=dtype)
    if dtype == torch.bool:
        return torch.frombuffer(bytearray(content), dtype=torch.uint8) != 0
    return torch.frombuffer(bytearray(content[:whole]), dtype=dtype)


def _tensor(numbers: Any, offset: Any, size: Any, stride: Any, *_: Any) -> torch.Tensor:
    """A view of a storage, all of which lies inside of it."""
    if not isinstance(numbers, torch.Tensor) or len(size) != len(stride) or len(size) > 8:
        raise pickle.UnpicklingError("has a tensor without numbers")
    places = (offset, *size, *stride)
    if not all(isinstance(place, int) and 0 <= place < 2**62 for place in places):
        raise pickle.UnpicklingError(f"has a tensor at {places!r:.60}")
    last = offset + sum((length - 1) * step for length, step in zip(size, stride, strict=True))
    if math.prod(size) and last >= len(numbers):
        raise pickle.UnpicklingError(f"has a tensor of {len(numbers)} numbers that reaches to {last}")
    return numbers.as_strided(tuple(size), tuple(stride), offset if math.prod(size) else 0)


_REBUILD: dict[str, Callable[..., Any]] = {
    "_rebuild_tensor_v2": _tensor,
    "_rebuild_parameter": lambda tensor, *_: tensor,
    "_rebuild_sparse_tensor": lambda *_: SparseTensor(),
}
