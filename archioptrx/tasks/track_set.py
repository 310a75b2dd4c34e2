"""Track set: all tracks of an event with their parameters, in any order, as a padded list."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, huber_loss, softplus

from archioptrx.data.hitgraph import HitGraph
from archioptrx.tasks.classification_metrics import logit
from archioptrx.tasks.options.parameters import channels_of
from archioptrx.tasks.options.registry import task
from archioptrx.tasks.options.track_set import SetOptions
from archioptrx.tasks.parameters import PT, lacks_particles, no_parameters, scaled, scores
from archioptrx.tasks.particle_hits import particle_rows, particles_with
from archioptrx.tasks.task import Task, TaskObjective, finite, mean_loss


@dataclass(frozen=True)
class Match:
    """Matching of slots and tracks of one graph; slots and tracks that aren't named stand alone.

    Attributes
    ----------
    slots, tracks : int64 [M]
        Slot and track of each pair.
    """

    slots: Tensor
    tracks: Tensor


@task(SetOptions)
class TrackSet(Task):
    """A list of `slots` tracks: for each the logit of its existence and its scaled parameters.

    Slots and true tracks are matched so that the sum of the pairs' costs is least (the Hungarian method, Kuhn 1955;
    Carion et al. 2020, arXiv:2005.12872, train object detectors so): cost = -log σ(logit) + weight · mean Huber loss of
    the parameters. The loss is the mean over the graphs of: the cross-entropy of existence, mean over the slots, plus
    weight · the Huber loss, mean over channels and pairs. Particles whose parameters aren't known are no tracks.
    """

    name = "track_set"
    domain = "graph"
    divisible = False
    target_width: int

    def __init__(self, options: SetOptions) -> None:
        self.options = options
        self.channels = channels_of(options.parameters)
        self.target_width = options.slots * (1 + self.channels)
        self.objective = TaskObjective("f1", "max")

    def data_fault(self, graph: HitGraph) -> str | None:
        """Fault of events without particles."""
        return lacks_particles(graph)

    def truth_fault(self, graphs: Iterable[HitGraph]) -> str | None:
        """Fault of graphs without hits of particles whose parameters are known."""
        return no_parameters(graphs)

    def loss(self, output: Tensor, batch: HitGraph) -> Tensor:
        """Mean loss per graph after matching. Shapes: output [graphs, slots · (1 + C)] -> []."""
        if not bool(torch.isfinite(output).all()):
            return output.sum()  # nothing can be matched; a training stops at a loss that is no number
        logits, predicted = self._parts(output)
        losses: list[Tensor] = []
        for row, truth in enumerate(self._truths(batch)):
            match = self.match(logits[row], predicted[row], truth)
            exists = torch.zeros_like(logits[row])
            exists[match.slots] = 1
            loss = binary_cross_entropy_with_logits(logits[row], exists)
            if len(match.slots):
                pairs = huber_loss(predicted[row][match.slots], truth[match.tracks], delta=self.options.delta)
                loss = loss + self.options.parameter_weight * pairs
            losses.append(loss)
        return torch.stack(losses).mean()

    def match(self, logits: Tensor, predicted: Tensor, truth: Tensor) -> Match:
        """Match slots and tracks of one graph. Shapes: logits [S], predicted [S, C], truth [T, C]."""
        with torch.no_grad():
            distance = self._distance(predicted, truth, self.options.delta)
            cost = softplus(-logits)[:, None] + self.options.parameter_weight * distance
        slots, tracks = linear_sum_assignment(cost.double().cpu().numpy())
        return Match(torch.from_numpy(slots).to(logits.device), torch.from_numpy(tracks).to(logits.device))

    def metrics(
        self, outputs: Sequence[Tensor], graphs: Sequence[HitGraph], cut: float = 0.5, bins: bool = False
    ) -> dict[str, Any]:
        """Score lists of tracks; see `Task.metrics`.

        A slot is accepted where its probability is the cut or more. Accepted slots and tracks are matched by their
        parameters alone, with the mean Huber loss that turns from square to linear at the tolerance: what the training
        minimised has no part in it. A pair is good where each scaled number agrees within the tolerance.

        Returns
        -------
        `loss`; `efficiency`, good pairs over tracks; `purity`, good pairs over accepted slots; `fake_rate`, 1 less
        that; `f1`, twice the good pairs over tracks and accepted slots; `count_error`, mean of |accepted - tracks|;
        `tracks`; of the matched pairs, good or not, the scores of `archioptrx.tasks.parameters.scores`.
        """
        logit(cut)  # a wrong one is refused before anything is computed
        finite(outputs)
        good = accepted = tracks = 0
        errors: list[int] = []
        ours, theirs = [np.zeros((0, self.channels))], [np.zeros((0, self.channels))]
        for predicted, truth in self.accepted(outputs, graphs, cut):
            distance = self._distance(predicted, truth, self.options.tolerance).double().cpu().numpy()
            slots, matched = linear_sum_assignment(distance)
            pairs = predicted[slots].double().cpu().numpy(), truth[matched].double().cpu().numpy()
            good += int((np.abs(pairs[0] - pairs[1]) <= self.options.tolerance).all(axis=1).sum())
            accepted, tracks = accepted + len(predicted), tracks + len(truth)
            errors.append(abs(len(predicted) - len(truth)))
            ours.append(pairs[0])
            theirs.append(pairs[1])
        purity = good / accepted if accepted else None
        return {
            "loss": mean_loss(self, outputs, graphs, [graph.num_graphs for graph in graphs]),
            "f1": 2 * good / (accepted + tracks) if accepted + tracks else None,
            "efficiency": good / tracks if tracks else None,
            "purity": purity,
            "fake_rate": None if purity is None else 1 - purity,
            "count_error": float(np.mean(errors)) if errors else None,
            "tracks": tracks,
            **scores(np.concatenate(ours), np.concatenate(theirs), self.options.parameters),
        }

    def perfect(self, graph: HitGraph) -> Tensor:
        """The true tracks in the first slots, as many as there are slots."""
        size = self.options.slots
        rows = []
        for truth in self._truths(graph):
            row = graph.x.new_zeros(size, 1 + self.channels)
            row[:, 0] = torch.where(torch.arange(size, device=row.device) < len(truth), 10.0, -10.0)
            row[: len(truth), 1:] = truth[:size]
            rows.append(row.flatten())
        return torch.stack(rows)

    def constant(self, graph: HitGraph) -> Tensor:
        """A probability of 0.5 for each slot, and the centre of each parameter's scale."""
        output: Tensor = graph.x.new_zeros(graph.num_graphs, self.target_width)
        return output

    def _parts(self, output: Tensor) -> tuple[Tensor, Tensor]:
        """Logits and parameters. Shapes: [graphs, slots · (1 + C)] -> [graphs, slots], [graphs, slots, C]."""
        rows = output.reshape(-1, self.options.slots, 1 + self.channels)
        return rows[:, :, 0], rows[:, :, 1:]

    def _distance(self, predicted: Tensor, truth: Tensor, delta: float) -> Tensor:
        """Mean Huber loss of the parameters of each pair. Shapes: [S, C], [T, C] -> [S, T]."""
        ours, theirs = torch.broadcast_tensors(predicted[:, None], truth.to(predicted.dtype)[None])
        return huber_loss(ours, theirs, reduction="none", delta=delta).mean(dim=2)

    def _truths(self, batch: HitGraph) -> Iterator[Tensor]:
        """Scaled parameters of the tracks of each graph: [T, C], in the order of the particles' numbers."""
        graph, pid = particles_with(batch, self.options.hits)
        particles = batch["particles"][particle_rows(batch, graph, pid)]
        are_known = ~particles[:, PT].isnan()
        for number in range(batch.num_graphs):
            yield scaled(particles[are_known & (graph == number)], self.options.parameters)

    def accepted(
        self, outputs: Sequence[Tensor], graphs: Sequence[HitGraph], cut: float
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Parameters of accepted slots, and of true tracks, of each graph."""
        for output, graph in zip(outputs, graphs, strict=True):
            logits, predicted = self._parts(output.detach())
            for row, truth in enumerate(self._truths(graph)):
                yield predicted[row][logits[row].double() >= logit(cut)], truth
