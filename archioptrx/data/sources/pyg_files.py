"""Reading PyG's files of strangers: with `weights_only=True`, and no class but those that a graph consists of."""

from __future__ import annotations

import pickle
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch_geometric.data.data import Data, DataEdgeAttr, DataTensorAttr
from torch_geometric.data.storage import EdgeStorage, GlobalStorage, NodeStorage

from archioptrx.core.errors import InputError
from archioptrx.data.sources.files import file_fault, unpacked_fault

ALLOWED = "event graphs of acorn or gnn_tracking, .pyg or .pt"
LARGEST = 8 * 2**30
"""Most bytes of a file with one event."""
CLASSES = [Data, DataEdgeAttr, DataTensorAttr, EdgeStorage, GlobalStorage, NodeStorage]
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
    fault = file_fault(file, folder, LARGEST)
    try:
        if fault is None and not zipfile.is_zipfile(file):
            fault = "is cut short or no file of torch.save"
        # torch.save doesn't compress.
        fault = fault or unpacked_fault(file, 1.5)
        if fault is None:
            with torch.serialization.safe_globals(CLASSES), warnings.catch_warnings():
                warnings.simplefilter("ignore")  # e.g. of other protocols: the file can be read or can't
                return _content(torch.load(file, map_location="cpu", weights_only=True))
    except pickle.UnpicklingError as error:
        fault = f"holds more than a graph needs ({_reason(error)})"
    except (OSError, RuntimeError, ValueError, TypeError, AttributeError, LookupError, EOFError, MemoryError) as error:
        fault = f"can't be read ({_reason(error)})"
    except zipfile.BadZipFile as error:
        fault = f"is damaged ({_reason(error)})"
    raise InputError(f"{file}: {fault}; allowed: {ALLOWED}")


def _reason(error: Exception) -> str:
    """The line of torch's message with the reason."""
    lines = [line.strip() for line in str(error).splitlines()]
    telling = [line for line in lines if "Unsupported" in line or "GLOBAL" in line]
    return (telling or lines or [type(error).__name__])[0][:160]


def _content(loaded: Any) -> dict[str, Any]:
    """The fields of a PyG object of any version, or of a dict."""
    if isinstance(loaded, Data):
        fields = vars(loaded)
        store = fields.get("_store")
        loaded = fields if store is None else vars(store).get("_mapping")
    if not isinstance(loaded, dict):
        raise TypeError(f"holds {type(loaded).__name__}, no graph")
    return {str(name): value for name, value in loaded.items() if value is not None}


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
