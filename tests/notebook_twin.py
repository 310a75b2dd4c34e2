"""The notebook's network and training in plain torch, without a part of ArchiOpTrX: the oracle of `test_notebook.py`.

It reads the notebook's samples with `pickle` and their lists of neighbours as they are.
"""

import pickle
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import hinge_embedding_loss, pairwise_distance


@dataclass(frozen=True)
class Sample:
    """What the notebook's loop reads of a sample, or of several in one.

    Attributes
    ----------
    x : float64 [N, 6]
        x, y, z in mm and the three learned coordinates.
    predicted : int64 [2, E]
        Pairs whose hits tell each other their states.
    compared : int64 [2, L]
        Pairs of the loss graph.
    same : bool [L]
        Whether both hits of a compared pair are of one particle, which is to say, neighbours in `true`.
    """

    x: Tensor
    predicted: Tensor
    compared: Tensor
    same: Tensor


@dataclass(frozen=True)
class Epoch:
    """Mean of the losses of an epoch's batches; loss and accuracy of all pairs of the validation samples after it."""

    loss: float
    validation_loss: float
    accuracy: float


class Notebook(nn.Module):
    """Four layers: batch normalisation, a weight for each pair of neighbours, a new state of each hit; then a point."""

    def __init__(self, width: int) -> None:
        super().__init__()
        widths = [width, 16, 16, 16]
        self.norms = nn.ModuleList(nn.BatchNorm1d(w, momentum=0.1) for w in widths)
        self.weights = nn.ModuleList(nn.Sequential(nn.Linear(2 * w, 16), nn.ReLU(), nn.Linear(16, 1)) for w in widths)
        self.nodes = nn.ModuleList(nn.Linear(2 * w, 16) for w in widths)
        self.last = nn.Linear(16, 2)

    def forward(self, x: Tensor, pairs: Tensor) -> Tensor:
        """Shapes: x [N, width], pairs [2, E], each once -> [N, 2]."""
        first, second = pairs
        for norm, weight, node in zip(self.norms, self.weights, self.nodes, strict=True):
            x = norm(x)
            a = torch.sigmoid(weight(torch.cat([x[first], x[second]], 1)))
            neighbours = torch.zeros_like(x).index_add(0, second, a * x[first]).index_add(0, first, a * x[second])
            x = torch.relu(node(torch.cat([x, neighbours], 1)))
        return self.last(x)


def with_weights_of(model: nn.Module, plain: Notebook) -> Notebook:
    """Give the network by hand the weights of the compiled one."""
    state = model.state_dict()
    norms = ["normalise", "normalise_again.0", "normalise_again.1", "normalise_again.2"]
    weighs = ["weigh.0", "weigh_again.0", "weigh_again.1", "weigh_again.2"]
    attends = ["attend.0", "attend_again.0", "attend_again.1", "attend_again.2"]
    for place, (norm, weigh, attend) in enumerate(zip(norms, weighs, attends, strict=True)):
        key = norm if f"{norm}.layer.weight" in state else f"{norm}.0"
        plain.norms[place].load_state_dict(
            {k.split(".")[-1]: v for k, v in state.items() if k.startswith(f"{key}.layer")}
        )
        for layer, part in ((0, 0), (1, 2)):
            own = {k: state[f"{weigh}.layers.{layer}.{k}"] for k in ("weight", "bias")}
            plain.weights[place][part].load_state_dict(own)
        weight, bias = state[f"{attend}.layers.0.weight"], state[f"{attend}.layers.0.bias"]
        summed, own = weight.chunk(2, dim=1)  # here the sum of the neighbours comes first
        plain.nodes[place].load_state_dict({"weight": torch.cat([own, summed], 1), "bias": bias})
    plain.last.load_state_dict({k: state[f"embed.0.layers.0.{k}"] for k in ("weight", "bias")})
    return plain


def read_samples(file: Path) -> dict[str, Sample]:
    """The samples of a file that this project wrote, by the names of their events."""
    return {content["event"]: _sample(content) for content in pickle.loads(file.read_bytes())}


def _sample(content: dict[str, dict[str, list[np.ndarray]]]) -> Sample:
    xyz = np.asarray(content["hits"]["xyz"])
    predicted, compared, true = (_pairs(content["graphs"][name], xyz) for name in ("pred", "loss", "true"))
    neighbours = set(zip(*true.tolist(), strict=True))
    same = [pair in neighbours for pair in zip(*compared.tolist(), strict=True)]
    x = torch.from_numpy(np.concatenate([xyz, content["hits"]["emb"]], axis=1)).double()
    return Sample(x, torch.from_numpy(predicted), torch.from_numpy(compared), torch.tensor(same))


def _pairs(neighbours: Sequence[np.ndarray], xyz: np.ndarray) -> np.ndarray:
    """Each pair of neighbours once, the hit nearer to the beam line (then to z = 0) first. Shapes: -> [2, E]."""
    r, z = np.hypot(xyz[:, 0].astype(float), xyz[:, 1].astype(float)), np.abs(xyz[:, 2].astype(float))
    both = [(hit, int(other)) for hit, others in enumerate(neighbours) for other in others]
    return np.array([(p, q) for p, q in both if (r[p], z[p], p) < (r[q], z[q], q)], dtype=np.int64).reshape(-1, 2).T


def joined(samples: Sequence[Sample]) -> Sample:
    """Several samples as one, whose hits are numbered on."""
    starts = np.cumsum([0, *(len(sample.x) for sample in samples)])
    parts = [
        (s.x, s.predicted + int(start), s.compared + int(start), s.same)
        for s, start in zip(samples, starts, strict=False)
    ]
    x, predicted, compared, same = zip(*parts, strict=True)
    return Sample(torch.cat(x), torch.cat(predicted, 1), torch.cat(compared, 1), torch.cat(same))


def distances(network: Notebook, sample: Sample) -> Tensor:
    """Distance of the points of the compared pairs. Shapes: -> [L]."""
    points = network(sample.x, sample.predicted)
    return pairwise_distance(points[sample.compared[0]], points[sample.compared[1]])


def hinge(distance: Tensor, same: Tensor) -> Tensor:
    """The loss with margin 1, mean over the pairs."""
    return hinge_embedding_loss(distance, torch.where(same, 1.0, -1.0).to(distance.dtype), margin=1.0)


def train(
    network: Notebook, epochs: Iterable[Sequence[Sequence[Sample]]], validation: Sequence[Sample]
) -> Iterator[Epoch]:
    """Train with Adamax, one step a batch; `epochs` holds the batches of each epoch."""
    optimizer = torch.optim.Adamax(network.parameters(), lr=1e-3)
    unseen = joined(validation)
    for batches in epochs:
        losses = []
        network.train()
        for batch in map(joined, batches):
            optimizer.zero_grad()
            loss = hinge(distances(network, batch), batch.same)
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        network.eval()
        with torch.no_grad():
            distance = distances(network, unseen)
        right = (distance.round() == 0) == unseen.same
        yield Epoch(float(np.mean(losses)), float(hinge(distance, unseen.same)), float(right.double().mean()))
