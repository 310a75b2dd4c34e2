"""An embedding of hits: a network that brings hits of one particle together, and how it is fitted.

After the metric learning stage of the Exa.TrkX pipeline (Ju et al. 2021, arXiv:2103.06995): a perceptron reads each hit
alone; of pairs of hits at the squared distance d² in its output, those of one particle cost d², others
max(0, margin² - d²). The pairs of each step: the true pairs, each hit with another one of its
particle, each hit with any hit, and the nearest hits of other particles within the margin, which are the hard ones.
"""

from __future__ import annotations

import base64
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from torch import Tensor
from torch.nn.functional import hinge_embedding_loss

from archioptrx.data.dataset import Metadata
from archioptrx.data.hitgraph import HitGraph
from archioptrx.data.options.learned import LearnedOptions
from archioptrx.data.pairs import Edges, outward_rank

GEOMETRY = 5
"""Inputs that are made of r, φ and z."""
HARD = 10
"""Nearest neighbours of a hit that are looked at for hard pairs."""
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class EmbeddingInput:
    """Input of the fit from one graph.

    Attributes
    ----------
    inputs : float32 [N, F]
    pid : int64 [N]
    true : int64 [2, T]
        True pairs.
    """

    inputs: Tensor
    pid: NDArray[np.int64]
    true: Edges


@dataclass(frozen=True, eq=False)
class Embedding:
    """A fitted network: linear layers with tanh between them, and the radius that belongs to it.

    Attributes
    ----------
    weights, biases : float32 [in, out], [out]
        Weights and biases of each layer.
    radius
        Distance within which most hits of one particle that follow each other lie.
    """

    weights: tuple[Tensor, ...]
    biases: tuple[Tensor, ...]
    radius: float = 0.0

    def __call__(self, inputs: Tensor) -> Tensor:
        """Shapes: inputs [N, F] -> [N, K]."""
        for last, weight, bias in zip(range(len(self.weights) - 1, -1, -1), self.weights, self.biases, strict=True):
            inputs = inputs @ weight + bias
            inputs = torch.tanh(inputs) if last else inputs
        return inputs

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle as plain data: a tensor's own pickle names its place in memory, and no cache would know it again."""
        return Embedding.from_dict, (self.to_dict(),)

    def to_dict(self) -> dict[str, Any]:
        """Plain data, small enough to travel in the metadata of a data set: the numbers as base64 of float32."""
        numbers = np.concatenate([tensor.detach().numpy().ravel() for tensor in (*self.weights, *self.biases)])
        text = base64.b64encode(numbers.astype("<f4").tobytes()).decode()
        sizes = [len(self.weights[0]), *(len(tensor) for tensor in self.biases)]
        return {"radius": self.radius, "sizes": sizes, "numbers": text}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Embedding:
        """Read what `to_dict` wrote."""
        sizes = content["sizes"]
        shapes = [*itertools.pairwise(sizes), *((size,) for size in sizes[1:])]
        numbers = torch.tensor(np.frombuffer(base64.b64decode(content["numbers"]), "<f4").astype(np.float32))
        parts = torch.split(numbers, [int(np.prod(shape)) for shape in shapes])
        tensors = tuple(part.reshape(shape) for part, shape in zip(parts, shapes, strict=True))
        half = len(sizes) - 1
        return cls(tensors[:half], tensors[half:], float(content["radius"]))


def inputs_of(graph: HitGraph, metadata: Metadata) -> Tensor:
    """r, cos φ, sin φ, z and η of the hits, then the further features as they are scaled. Shapes: -> [N, F].

    φ itself would tear hits at ±π apart.
    """
    r, phi, z = (graph.x[:, :3].double() * torch.tensor(metadata.node_scale[:3], dtype=torch.float64)).T
    eta = torch.asinh(z / r.clamp(min=1e-3))
    geometry = torch.stack([r / 1000, torch.cos(phi), torch.sin(phi), z / 1000, eta / 2], dim=1)
    return torch.cat([geometry.float(), graph.x[:, 3:]], dim=1)


def true_pairs(graph: HitGraph, metadata: Metadata, truth: str = "consecutive") -> Edges:
    """Pairs of hits of one particle, from the inner to the outer one. Shapes: -> [2, T].

    Parameters
    ----------
    truth
        `consecutive`: hits that follow each other on the way out from the beam line. `all`: any two.
    """
    nodes = graph.x[:, :3].double().numpy() * metadata.node_scale[:3]
    return pairs_of_particles(graph.pid.numpy(), nodes[:, 0], nodes[:, 2], truth)


def pairs_of_particles(pid: NDArray[np.int64], r: Floats, z: Floats, truth: str) -> Edges:
    """`true_pairs` of hits with these particles and places. Shapes: [N] each -> [2, T]."""
    order = np.lexsort((outward_rank(r, z), pid))
    most = int(np.unique(pid[pid != 0], return_counts=True)[1].max(initial=2)) if truth == "all" else 2
    pairs = []
    for step in range(1, most):
        inner, outer = order[:-step], order[step:]
        joined = (pid[inner] == pid[outer]) & (pid[inner] != 0)
        pairs.append(np.stack([inner[joined], outer[joined]]))
    return np.concatenate(pairs, axis=1)


@contextmanager
def one_thread() -> Iterator[None]:
    """Context with one thread of torch: sums have one order, so the same data give the same weights anywhere."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def fit(
    graphs: Sequence[HitGraph], metadata: Metadata, options: LearnedOptions, report: Callable[[int], None]
) -> Embedding:
    """Fit an embedding on some graphs, seeded.

    Parameters
    ----------
    report
        Function that is called with the number of each epoch that ended, from 1.
    """
    hits = [
        EmbeddingInput(inputs_of(g, metadata), g.pid.numpy(), true_pairs(g, metadata, options.truth)) for g in graphs
    ]
    random = np.random.default_rng(options.seed)
    with one_thread():
        embedding = new_embedding(hits[0].inputs.shape[1], options, random)
        parameters = [*embedding.weights, *embedding.biases]
        optimizer = torch.optim.Adam(parameters, lr=options.learning_rate)
        for epoch in range(1, options.epochs + 1):
            for k in random.permutation(len(hits)):
                optimizer.zero_grad()
                cast(Any, pair_loss(embedding(hits[k].inputs), hits[k], options.margin, random)).backward()
                optimizer.step()
            report(epoch)
        fixed = [tuple(tensor.detach() for tensor in part) for part in (embedding.weights, embedding.biases)]
        embedding = Embedding(fixed[0], fixed[1])
        radius = options.radius or spanning_radius(embedding, hits, options.efficiency)
    return Embedding(embedding.weights, embedding.biases, radius)


def new_embedding(inputs: int, options: LearnedOptions, random: np.random.Generator) -> Embedding:
    """Weights before the fit, of variance 1 / inputs."""
    sizes = [inputs, *[options.hidden] * options.layers, options.dimension]
    weights, biases = [], []
    for before, after in itertools.pairwise(sizes):
        values = random.normal(0, before**-0.5, (before, after))
        weights.append(torch.tensor(values, dtype=torch.float32, requires_grad=True))
        biases.append(torch.zeros(after, requires_grad=True))
    return Embedding(tuple(weights), tuple(biases))


def pair_loss(places: Tensor, hits: EmbeddingInput, margin: float, random: np.random.Generator) -> Tensor:
    """Mean loss of pairs of one particle plus that of other pairs; see the head of this file.

    Shapes: places [N, K] -> [].
    """
    of_one_particle = np.concatenate([hits.true, partners(hits.pid, random)], axis=1)
    others = np.concatenate(
        [random_pairs(len(hits.pid), random), near_pairs(places.detach().numpy(), margin, HARD)], axis=1
    )
    same = (hits.pid[others[0]] == hits.pid[others[1]]) & (hits.pid[others[0]] != 0)
    others = others[:, ~same & (others[0] != others[1])]
    losses = []
    for pairs, sign in ((of_one_particle, 1.0), (others, -1.0)):
        if pairs.shape[1]:
            squares = (places[pairs[0]] - places[pairs[1]]).square().sum(dim=1)
            losses.append(hinge_embedding_loss(squares, squares.new_full(squares.shape, sign), margin=margin**2))
    return torch.stack(losses).sum() if losses else places.sum() * 0


def partners(pid: NDArray[np.int64], random: np.random.Generator) -> Edges:
    """Each hit of a particle with any hit of it. Shapes: pid [N] -> [2, …]."""
    order = np.argsort(pid, kind="stable")
    _, starts, counts = np.unique(pid[order], return_index=True, return_counts=True)
    start, count = np.repeat(starts, counts), np.repeat(counts, counts)
    other = order[start + (random.random(len(pid)) * count).astype(np.int64)]
    return np.stack([order, other])[:, (pid[order] != 0) & (order != other)]


def random_pairs(count: int, random: np.random.Generator) -> Edges:
    """Each hit with any other one. Shapes: -> [2, N]."""
    return np.stack([np.arange(count), random.integers(0, count, count)])


def near_pairs(places: NDArray[Any], radius: float, neighbours: int) -> Edges:
    """Each hit with its nearest neighbours within a radius, of which the first are so many.

    By a k-d tree. faiss would do the same by comparing all hits with all; it pays from some ten dimensions or on a GPU,
    and is one dependency more.

    Shapes: places [N, K] -> [2, E], hit and neighbour.
    """
    count = len(places)
    if count < 2:
        return np.zeros((2, 0), dtype=np.int64)
    k = min(neighbours + 1, count)
    # The bound of scipy is an open one.
    bound = np.nextafter(radius, np.inf)
    near = cKDTree(places).query(places, k=list(range(1, k + 1)), distance_upper_bound=bound)[1]
    hit = np.repeat(np.arange(count), k)
    inside = (near.ravel() < count) & (near.ravel() != hit)
    return np.stack([hit[inside], near.ravel()[inside]]).astype(np.int64)


def spanning_radius(embedding: Embedding, hits: Sequence[EmbeddingInput], efficiency: float) -> float:
    """The radius that spans a share of all true pairs."""
    distances = []
    for points in hits:
        places = embedding(points.inputs)
        distances.append((places[points.true[0]] - places[points.true[1]]).norm(dim=1))
    joined = torch.cat(distances).double().numpy()
    return float(np.quantile(joined, efficiency)) if len(joined) else 0.0
