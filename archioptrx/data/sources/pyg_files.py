"""Reading PyG's files of strangers: no class of theirs is made, and nothing in them is run; see `torch_pickle`."""

from __future__ import annotations

import gzip
import io
import struct
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from archioptrx.core.errors import InputError, reason_of
from archioptrx.data.sources.files import file_fault
from archioptrx.data.sources.torch_pickle import GraphObject, load

ALLOWED = "event graphs of acorn or gnn_tracking, .pyg, .pyg.gz or .pt"
LARGEST = 8 * 2**30
"""Most bytes of a file with one event."""
BROKEN = (
    *(OSError, EOFError, MemoryError, ValueError, RuntimeError, LookupError, OverflowError),
    *(zlib.error, struct.error, zipfile.BadZipFile),
)
"""Exceptions that gzip and zipfile raise about damaged files."""
RATIO, MOST_RATIO, USUAL = 1.5, 50, 16 * 2**20
"""Times of its own size to which a file may unpack: torch.save doesn't compress, gzip does; and bytes for any file."""
OF_BATCHES = ("batch", "ptr")
"""Fields that a `DataLoader` adds."""
Array = NDArray[Any]
Content = Mapping[str, Any]


def read_content(file: Path, folder: Path) -> dict[str, Any]:
    """Read the content of a file: tensors and plain data by name. Nothing of it is run.

    Parameters
    ----------
    folder
        Folder in which the file was found, or the file itself.

    Raises
    ------
    InputError
        The file isn't a graph as `torch.save` writes it, or holds more than that.
    """
    if (fault := file_fault(file, folder, LARGEST)) is not None:
        raise InputError(f"{file}: {fault}; allowed: {ALLOWED}")
    try:
        return _content(load(_whole_archive(_bytes(file))))
    except InputError as error:
        raise InputError(f"{file}: {error.faults[0]}; allowed: {ALLOWED}") from error
    except BROKEN as error:
        raise InputError(f"{file}: can't be read ({reason_of(error, 160)}); allowed: {ALLOWED}") from error


def _bytes(file: Path) -> bytes:
    """Content of a file, of a `.gz` unpacked as far as it may be."""
    if file.suffix != ".gz":
        return file.read_bytes()
    most = min(LARGEST, max(USUAL, MOST_RATIO * file.stat().st_size))
    with gzip.open(file) as stream:
        content = stream.read(most + 1)
    if len(content) > most:
        raise InputError(f"unpacks to more than {most:,} bytes, as a bomb does")
    return content


def _whole_archive(content: bytes) -> bytes:
    """The same bytes, of a zip archive that isn't larger inside."""
    if not zipfile.is_zipfile(io.BytesIO(content)):
        raise InputError("is cut short or no file of torch.save")
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        size = sum(member.file_size for member in archive.infolist())
    if size > RATIO * len(content):
        times = size / len(content)
        raise InputError(f"would unpack to {size:,} bytes, {times:.0f} times its size; allowed: {RATIO:g} times")
    return content


def _content(loaded: Any) -> dict[str, Any]:
    """The fields of a PyG object of any version, of a batch of one, or of a dict."""
    if isinstance(loaded, GraphObject):
        fields = loaded.fields
        store = fields.get("_store")
        if isinstance(store, GraphObject):
            fields = store.fields
        loaded = fields.get("_mapping") if isinstance(store, GraphObject) else fields
        graphs = fields.get("_num_graphs", 1)
        if graphs != 1:
            raise InputError(f"holds a batch of {graphs!r:.20} graphs; allowed: one event in a file")
    if not isinstance(loaded, dict):
        raise InputError(f"can't be read (holds {type(loaded).__name__}, no graph)")
    return {str(name): value for name, value in loaded.items() if value is not None and name not in OF_BATCHES}


def array(content: Content, name: str) -> Array | None:
    """A tensor as numpy array; None where there is none of the name.

    Raises
    ------
    InputError
        It isn't a plain tensor of numbers.
    """
    value = content.get(name)
    if value is None:
        return None
    if not isinstance(value, torch.Tensor) or value.layout != torch.strided or value.is_complex():
        raise InputError(f"{name} is {type(value).__name__}; allowed: a dense tensor of numbers")
    if value.device.type != "cpu" or value.is_quantized:
        kind = "quantized numbers" if value.is_quantized else f"no numbers (a {value.device.type} tensor)"
        raise InputError(f"{name} holds {kind}; allowed: a dense tensor of numbers")
    if value.dtype == torch.bfloat16:
        raise InputError(f"{name} holds bfloat16; allowed: numbers that numpy has")
    # A stride of 0 makes a tensor of any size out of one number.
    if value.numel() * value.element_size() > value.untyped_storage().nbytes():
        raise InputError(f"{name} claims {value.numel():,} numbers, more than the file holds; allowed: stored numbers")
    try:
        return np.asarray(value.detach().numpy())
    except (TypeError, RuntimeError) as error:  # e.g. numbers of four bits
        raise InputError(f"{name} holds {value.dtype}; allowed: numbers that numpy has") from error


def first(content: Content, *names: str) -> tuple[str, Array | None]:
    """The first of several names that a file has, and its array."""
    for name in names:
        values = array(content, name)
        if values is not None:
            return name, values
    return names[0], None
