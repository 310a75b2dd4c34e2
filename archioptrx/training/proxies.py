"""Zero-cost proxies: what an untrained network and one batch tell about the score after training.

`score(name, model, batches, task)` gives a number, larger is better, None where there is none. It works on a copy:
weights, buffers and gradients of the model stay as they are. All run on a CPU without drawing a random number, so that
they depend on weights and batches alone, and the order of the nodes and edges of a batch does not matter.

================  ====================================================================================================
`synflow`         logarithm of Σ |θ · ∂R/∂θ|, R the sum of the outputs for inputs of ones, weights |θ| and no norms
`naswot`          log-determinant of the kernel of activation patterns: how well they tell rows apart
`jacob_cov`       how little the gradients of the outputs by the inputs are correlated from row to row
`parameters`      trained numbers
`readout`         the task's objective of a linear read-out of the last hidden layer, fitted on one batch, on another
================  ====================================================================================================
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from archioptrx.core.errors import InputError, did_you_mean
from archioptrx.data.batches import batched, graphs_for, pieces_of
from archioptrx.data.hitgraph import HitGraph
from archioptrx.networks.blocks import Topology
from archioptrx.networks.blocks.matmul import BLOCK
from archioptrx.networks.blocks.normal import GraphNorm
from archioptrx.networks.blocks.topology import BELOW
from archioptrx.networks.compile import Model
from archioptrx.tasks.task import Task
from archioptrx.training.proxy_readout import fitted_readout

Batches = tuple[HitGraph, HitGraph]

EDGES = 4000
"""Edges of a batch, about."""
ROWS = 128
"""Rows of the target that `naswot` and `jacob_cov` look at."""
INPUTS = {"x": "node", "edge_attr": "edge"}
"""Fields that networks read, with the domain of their rows."""
ACTIVATIONS = frozenset({"relu", "tanh", "sigmoid", "gelu", "silu", "elu", "leaky_relu"})
"""Operations of torch that `naswot` watches."""
TINY = 1e-5
"""Keeps logarithms of eigenvalues finite, as in Mellor et al."""


def proxy_batches(train: Sequence[HitGraph], task: Task, edges: int = EDGES) -> Batches:
    """The first two batches of about so many edges; where there is but one, it is both."""
    few: list[HitGraph] = []
    for graph in train:
        few.append(graph)
        if len(few) > 1 and sum(one.num_edges for one in few) >= 2 * edges:
            break
    if task.divisible:
        few = [piece for graph in few for piece in pieces_of(graph, edges)]
    found = batched(few, min(graphs_for(few, edges), max(1, len(few) // 2)))
    return found[0], found[min(1, len(found) - 1)]


def score(name: str, model: Model, batches: Batches, task: Task) -> float | None:
    """Score an untrained network.

    Parameters
    ----------
    name
        Of the proxy.
    model
        Left as it is.
    batches
        Of training, see `proxy_batches`. Only `readout` needs the second one.
    task
        Only `readout` asks it.

    Returns
    -------
    Larger is better. None: not a finite number.

    Raises
    ------
    InputError
        There is no such proxy.
    """
    if name not in MEASURES:
        raise InputError(f"screen.proxy: is {name!r}; {did_you_mean(name, MEASURES)}")
    value = MEASURES[name](copy.deepcopy(model).eval(), batches, task)
    return value if value is not None and math.isfinite(value) else None


def unfit(name: str, task: Task) -> str | None:
    """Why a proxy can't judge networks of a task; None: it can."""
    if not isinstance(task.target_width, int) and name not in ("parameters", "synflow"):
        return f"screen.proxy: {name} judges networks of one target; allowed for {task.name}: parameters, synflow"
    if name == "jacob_cov" and task.domain == "graph":
        others = "naswot, parameters, synflow"
        return f"screen.proxy: {name} compares rows by their inputs, an event has none; allowed: {others}"
    if name == "readout" and not task.linear:
        allowed = "parameters, synflow, naswot" + (", jacob_cov" if task.domain != "graph" else "")
        return f"screen.proxy: no linear layer can be fitted to {task.name}, as {name} does; allowed: {allowed}"
    return None


# --- parameters and synflow ------------------------------------------------------------------------------------------


def parameters(model: Model, batches: Batches, task: Task) -> float:
    """Count the trained numbers."""
    return float(sum(p.numel() for p in model.parameters() if p.requires_grad))


def synflow(model: Model, batches: Batches, task: Task) -> float | None:
    """Synaptic flow: Tanaka et al. 2020 (arXiv:2006.05467), as a proxy Abdelfattah et al. 2021 (arXiv:2101.08134).

    In double precision, for the flow grows by the number of neighbours with each round; norms are left out, as they
    would scale it away. The graph is that of the batch.
    """
    without_norms(model)
    model.double()
    batch = copy.copy(batches[0])
    for name in inputs_of(batch):
        batch[name] = torch.ones_like(batch[name], dtype=torch.float64)
    trained = [p for p in model.parameters() if p.requires_grad]
    with torch.no_grad():
        for one in trained:
            one.abs_()
    outputs = model(batch)
    total = sum(one.sum() for one in outputs) if isinstance(outputs, tuple) else outputs.sum()
    if not trained or not total.requires_grad:
        return None
    gradients = torch.autograd.grad(total, trained, allow_unused=True)
    flow = sum(float((p * g).detach().abs().sum()) for p, g in zip(trained, gradients, strict=True) if g is not None)
    return math.log(flow) if flow > 0 else None


def without_norms(model: nn.Module) -> None:
    """Take the normalisations out of a network."""
    for parent in list(model.modules()):
        for name, child in parent.named_children():
            if isinstance(child, nn.LayerNorm | nn.modules.batchnorm._BatchNorm | GraphNorm):
                parent._modules[name] = nn.Identity()


def joined(outputs: Any) -> Tensor:
    """The targets of a network side by side: [rows, channels]."""
    parts = outputs if isinstance(outputs, tuple) else (outputs,)
    return torch.cat([one.reshape(len(one), -1) for one in parts], dim=1)


def inputs_of(batch: HitGraph) -> list[str]:
    """Those of `INPUTS` that a batch has."""
    return [name for name in INPUTS if batch.get(name) is not None]


# --- rows of the target, and what belongs to them --------------------------------------------------------------------

Places = dict[str, list[Tensor]]
"""By domain: rows that belong to some rows of the target, in step with them. Of an edge: its start and its end."""


def places_of(rows: Tensor, domain: str, topology: Topology) -> Places:
    """Where the numbers of some rows stand in their own domain, in those below it and among the graphs."""
    found: Places = {domain: [rows]}
    if domain != "graph":
        found["graph"] = [topology.batch(domain).index[rows]]
    while domain in BELOW:
        ends = topology.ends(domain).index
        found[BELOW[domain]] = [ends[side][one] for one in found[domain] for side in (0, 1)]
        domain = BELOW[domain]
    return found


def sampled(batch: HitGraph, domain: str, topology: Topology) -> Places:
    """Some rows of the target: evenly spaced in the order of their features, which the order of rows can't change."""
    rows = torch.arange(topology.rows(domain))
    whole = places_of(rows, domain, topology)
    if len(rows) <= ROWS or domain == "graph":
        return whole
    columns = [batch[name][at] for name in inputs_of(batch) for at in whole.get(INPUTS[name], ())]
    order = np.lexsort(torch.cat(columns, dim=1).numpy().T)
    chosen = order[np.linspace(0, len(order) - 1, ROWS).round().astype(int)]
    return places_of(torch.from_numpy(chosen), domain, topology)


# --- naswot and jacob_cov --------------------------------------------------------------------------------------------


class Signs(TorchDispatchMode):
    """Notes the signs of all that goes into an activation function, whichever block calls it.

    Fused kernels work block by block of rows; their parts are put together again.

    Attributes
    ----------
    seen : list of (domain, bool Tensor [rows, units])
    """

    def __init__(self, sizes: dict[int, str]) -> None:
        super().__init__()
        self.sizes = sizes
        self.seen: list[tuple[str, Tensor]] = []
        self._parts: list[Tensor] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func._schema.name.removeprefix("aten::").rstrip("_")
        if name in ACTIVATIONS and args[0].dim() == 2:
            self._note(args[0] > 0)
        return func(*args, **(kwargs or {}))

    def _note(self, signs: Tensor) -> None:
        full = len(signs) == BLOCK * torch.get_num_threads()
        if not self._parts and len(signs) in self.sizes:
            self.seen.append((self.sizes[len(signs)], signs))
        elif self._parts or full:
            self._parts.append(signs)
            rows = sum(len(part) for part in self._parts)
            if rows in self.sizes:
                self.seen.append((self.sizes[rows], torch.cat(self._parts)))
            if rows in self.sizes or not full:
                self._parts = []


def naswot(model: Model, batches: Batches, task: Task) -> float | None:
    """Mellor et al. 2021 (arXiv:2006.04647): log|K|, K the number of units on which two rows agree.

    A row is one of the target; its units are those of its own domain, of its end points and of its graph. The sign of
    what goes into an activation counts, for tanh and silu too. A unit of its own is added to each row, so that K is
    regular where a small network has fewer units than there are rows.
    """
    batch = batches[0]
    topology = Topology(batch)
    places = sampled(batch, task.domain, topology)
    sizes = {topology.rows(domain): domain for domain in reversed(places)}
    with torch.no_grad(), Signs(sizes) as signs:
        output = joined(model(batch))
    if not torch.isfinite(output).all():
        return None
    kernel = torch.eye(len(places[task.domain][0]), dtype=torch.float64)
    for domain, units in signs.seen:
        for at in places[domain]:
            code = 2.0 * units[at].double() - 1
            kernel += (code @ code.T + code.shape[1]) / 2
    return float(torch.linalg.slogdet(kernel)[1])


def jacob_cov(model: Model, batches: Batches, task: Task) -> float | None:
    """First version of Mellor et al. (arXiv:2006.04647v1): -Σ [log(λ + ε) + 1 / (λ + ε)].

    λ are eigenvalues of the correlation of the rows' gradients: those of the sum of all outputs by the inputs of a row,
    its end points included. There are fewer inputs than rows here: only the eigenvalues that can differ from zero
    count, as many as there are inputs, less the one that is lost by subtracting the mean.
    """
    model.double()
    batch = copy.copy(batches[0])
    topology = Topology(batch)
    places = sampled(batch, task.domain, topology)
    names = [name for name in inputs_of(batch) if INPUTS[name] in places]
    for name in names:
        batch[name] = batch[name].double().requires_grad_()
    total = joined(model(batch)).sum()
    if not names or not total.requires_grad:
        return None
    found = torch.autograd.grad(total, [batch[name] for name in names], materialize_grads=True)
    rows = torch.cat([g[at] for name, g in zip(names, found, strict=True) for at in places[INPUTS[name]]], dim=1)
    if not torch.isfinite(rows).all():
        return None
    rows = rows - rows.mean(1, keepdim=True)
    length = rows.norm(dim=1, keepdim=True)
    values = torch.linalg.svdvals(torch.where(length > 0, rows / length, rows)).square()
    kept = values[: min(rows.shape[1] - 1, len(rows))]
    return -float((torch.log(kept + TINY) + 1 / (kept + TINY)).sum())


def readout(model: Model, batches: Batches, task: Task) -> float | None:
    """See `archioptrx.training.proxy_readout`."""
    return fitted_readout(model, batches, task)


MEASURES: dict[str, Callable[[Model, Batches, Task], float | None]] = {
    "synflow": synflow,
    "naswot": naswot,
    "jacob_cov": jacob_cov,
    "parameters": parameters,
    "readout": readout,
}
"""Each proxy by name; see `archioptrx.runs.experiment_sections.PROXIES`."""
