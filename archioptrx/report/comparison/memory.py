"""Memory of a forward pass, measured."""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map_only

from archioptrx.data.hitgraph import HitGraph
from archioptrx.training.fit import predict


def peak_memory(model: nn.Module, graph: HitGraph) -> int:
    """Peak size in bytes of the tensors that a forward pass creates.

    Weights and graph aren't counted. On CUDA it is the allocator's own count. On CPU the results of all operations are
    followed until they are freed; memory inside of an operation isn't seen.
    """
    if graph.x.is_cuda:
        torch.cuda.reset_peak_memory_stats(graph.x.device)
        before = torch.cuda.memory_allocated(graph.x.device)
        predict(model, [graph])
        return int(torch.cuda.max_memory_allocated(graph.x.device) - before)
    followed = _Followed([*model.parameters(), *model.buffers(), *graph.to_dict().values()])
    with followed:
        predict(model, [graph])
    return followed.peak


class _Followed(TorchDispatchMode):
    """Dispatch mode that follows tensor storages from their creation until they are freed.

    Parameters
    ----------
    known
        Tensors that exist already and don't count.
    """

    def __init__(self, known: Sequence[object]) -> None:
        super().__init__()
        self.now = self.peak = 0
        self._alive = {_key(value) for value in known if isinstance(value, Tensor)}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run an operation and count the storages of its results."""
        output = func(*args, **(kwargs or {}))
        tree_map_only(Tensor, self._see, output)
        return output

    def _see(self, tensor: Tensor) -> Tensor:
        storage, key = tensor.untyped_storage(), _key(tensor)
        if key not in self._alive:
            self._alive.add(key)
            self.now += storage.nbytes()
            self.peak = max(self.peak, self.now)
            weakref.finalize(storage, self._gone, key, storage.nbytes())
        return tensor

    def _gone(self, key: int, size: int) -> None:
        self._alive.discard(key)
        self.now -= size


def _key(tensor: Tensor) -> int:
    return int(tensor.untyped_storage()._cdata)
