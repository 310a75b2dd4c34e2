"""Files of hit graphs: arrays first, then a header that names them, so that they can be mapped into memory.

A file holds the graphs of one event, or pieces of graphs, one after the other:

    arrays of a graph, each at a multiple of 64 bytes, little endian; its header in JSON: for each field of `HitGraph`
    its type, shape and offset in the file, or its value where it is no tensor

Nothing is unpickled. Reading maps the file (copy on write: what is written to a tensor never reaches it): the operating
system brings in the pages that are used and drops them when memory is short.
"""

from __future__ import annotations

import json
import zlib
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, NamedTuple

import numpy as np
import torch
from torch import Tensor

from archioptrx.data.hitgraph import HitGraph, graph_digest

ALIGNMENT = 64
TYPES = {
    np.dtype(name).newbyteorder("<").str: kind
    for name, kind in (
        ("float32", torch.float32),
        ("float64", torch.float64),
        ("float16", torch.float16),
        ("int64", torch.int64),
        ("int32", torch.int32),
        ("int16", torch.int16),
        ("int8", torch.int8),
        ("uint8", torch.uint8),
        ("bool", torch.bool),
    )
}


class StoredGraph(NamedTuple):
    """Index entry of a graph: its place in the file, and facts that need no reading.

    Attributes
    ----------
    event, sector, hits, edges
        See `graph_views.Facts`.
    digest
        `graph_digest` in hexadecimal.
    start, header, end
        Bytes of the graph in the file: arrays, then header.
    check
        CRC-32 of these bytes.
    """

    event: str
    sector: int
    hits: int
    edges: int
    digest: str
    start: int
    header: int
    end: int
    check: int


def graph_bytes(graph: HitGraph) -> int:
    """Bytes of the tensors of a graph."""
    return sum(v.numel() * v.element_size() for v in graph.to_dict().values() if isinstance(v, Tensor))


class GraphWriter:
    """Writes one file. It appears with the first graph."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: BinaryIO | None = None
        self._end, self._check = 0, 0
        self._last: dict[str, tuple[Tensor, dict[str, Any]]] = {}

    def __enter__(self) -> GraphWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()

    @property
    def size(self) -> int:
        """Bytes so far."""
        return self._end

    def add(self, graph: HitGraph) -> StoredGraph:
        """Append a graph. A tensor that it shares with the graph before is written once."""
        if self._file is None:
            self._file = self.path.open("wb")
        self._check = 0
        self._write(bytes(-self._end % ALIGNMENT))
        start, self._check = self._end, 0
        fields: dict[str, Any] = {}
        known: dict[str, tuple[Tensor, dict[str, Any]]] = {}
        for key, value in graph.to_dict().items():
            if isinstance(value, Tensor):
                known[key] = self._same(key, value) or (value, self._array(value))
                fields[key] = known[key][1]
            else:
                fields[key] = {"value": value}
        self._last = known
        header = self._end
        self._write(json.dumps(fields, ensure_ascii=False).encode())
        sizes = (len(graph.x), graph.num_edges, graph_digest(graph).hex())
        return StoredGraph(graph.event, graph.sector, *sizes, start, header, self._end, self._check)

    def _same(self, key: str, value: Tensor) -> tuple[Tensor, dict[str, Any]] | None:
        before = self._last.get(key)
        if before is None or before[0].data_ptr() != value.data_ptr():
            return None
        same = (before[0].shape, before[0].stride(), before[0].dtype) == (value.shape, value.stride(), value.dtype)
        return before if same and value.numel() else None

    def _array(self, value: Tensor) -> dict[str, Any]:
        array = value.detach().cpu().numpy()
        kind = array.dtype.newbyteorder("<")
        self._write(bytes(-self._end % ALIGNMENT))
        description = {"type": kind.str, "shape": list(array.shape), "offset": self._end}
        self._write(np.ascontiguousarray(array, kind).reshape(-1).view(np.uint8))
        return description

    def _write(self, content: Any) -> None:
        assert self._file is not None
        self._file.write(content)
        self._check = zlib.crc32(content, self._check)
        self._end += len(content)


class GraphFile:
    """A file that is mapped into memory. Its tensors keep the mapping, and it needs no open file."""

    def __init__(self, path: Path, size: int) -> None:
        self._storage = torch.UntypedStorage.from_file(str(path), False, size)
        self._bytes = torch.empty(0, dtype=torch.uint8).set_(self._storage).numpy()  # type: ignore[arg-type]

    def whole(self, entry: StoredGraph) -> bool:
        """Whether the bytes of a graph are those that were written."""
        return zlib.crc32(self._bytes[entry.start : entry.end].data) == entry.check

    def read(self, entry: StoredGraph) -> HitGraph:
        """Make a graph of mapped tensors."""
        fields = json.loads(self._bytes[entry.header : entry.end].tobytes())
        return HitGraph(**{key: self._value(description) for key, description in fields.items()})

    def _value(self, description: dict[str, Any]) -> Any:
        if "value" in description:
            return description["value"]
        kind = TYPES[description["type"]]
        place = description["offset"] // kind.itemsize
        shape = torch.Size(description["shape"])
        strides = np.cumprod([1, *(max(1, n) for n in shape[:0:-1])])[::-1].tolist() if len(shape) else ()
        return torch.empty(0, dtype=kind).set_(self._storage, place, shape, strides)  # type: ignore[arg-type]
