"""The controller's policy: an LSTM that reads decisions and points at the options of the next one.

Kinds, places and labels are hashed into one table of embeddings, so any space with choices works without change, and
options that were never seen have scores too. An option is the sum of two rows, one of its kind and label and one of
its kind, place and label: what is learned at one place is known at others. The scores are added to the logarithm of
the prior weights, and are 0 at first: an untrained policy *is* the random walk. LSTM: Zoph and Le 2017,
arXiv:1611.01578; pointer scores: Vinyals et al. 2015, arXiv:1506.03134.
"""

from __future__ import annotations

import hashlib
import math
import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from statistics import fmean

import numpy as np
import torch
from torch import Tensor, nn

from archioptrx.graphs.decisions import Choose, Point, Space, Trace
from archioptrx.sampling.samplers.replay import replay

BUCKETS = 2048
PARTS = 2
"""Rows of the table that are added for a point, and for an option."""


@lru_cache(maxsize=65536)
def bucket(*texts: str) -> int:
    """Row of the embedding table for some texts, the same in every process."""
    return int.from_bytes(hashlib.blake2b("\0".join(texts).encode(), digest_size=8).digest()) % BUCKETS


@contextmanager
def one_thread() -> Iterator[None]:
    """Context with one thread: tensors here are too small for more, and sums must not depend on their number."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


START = (bucket("start"), bucket("start", ""))


@dataclass(frozen=True, eq=False)
class EncodedDecision:
    """A decision as numbers.

    Attributes
    ----------
    kind, labels
        Kind of the point, and labels of the options.
    point
        Rows of the table for kind, and kind and place.
    options
        Rows for each option: for kind and label, and for kind, place and label.
    priors
        Logarithms of the prior weights; where all weights are 0, zeros.
    """

    kind: str
    labels: tuple[str, ...]
    point: tuple[int, int]
    options: tuple[tuple[int, int], ...]
    priors: tuple[float, ...]


@lru_cache(maxsize=16384)
def menu_of(point: Point, labels: tuple[str, ...], weights: tuple[float, ...]) -> EncodedDecision:
    """A decision as numbers, from a cache."""
    kind, place = point
    even = not any(weight > 0 for weight in weights)
    priors = tuple(0.0 if even else math.log(w) if w > 0 else -math.inf for w in weights)
    options = tuple((bucket(kind, "", label), bucket(kind, place, label)) for label in labels)
    return EncodedDecision(kind, labels, (bucket(kind), bucket(kind, place)), options, priors)


@dataclass(frozen=True)
class Episode:
    """The decisions of one candidate, and the index of the option taken in each."""

    menus: tuple[EncodedDecision, ...]
    index: tuple[int, ...]


def episode_of(space: Space, trace: Trace) -> Episode:
    """Decisions of a trace with their options, from a replay in its space.

    Raises
    ------
    ReplayError
        The trace isn't one of this space.
    """
    menus: list[EncodedDecision] = []
    index: list[int] = []

    def watched(choose: Choose) -> object:
        def watch(point: Point, labels: Sequence[str], weights: Sequence[float]) -> int:
            menus.append(menu_of(point, tuple(labels), tuple(weights)))
            index.append(choose(point, labels, weights))
            return index[-1]

        return space(watch)

    replay(watched, trace)
    return Episode(tuple(menus), tuple(index))


class Policy(nn.Module):
    """LSTM with a pointer over the options of a decision.

    Parameters
    ----------
    width
        Number of channels of the embeddings and of the state of the LSTM.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(BUCKETS, width)
        self.lstm = nn.LSTM(2 * width, width, batch_first=True)
        self.query = nn.Linear(width, width)
        self.bias = nn.Embedding(BUCKETS, 1)
        # Scores of 0: the first policy is the prior.
        nn.init.zeros_(self.query.weight)
        nn.init.zeros_(self.query.bias)
        nn.init.zeros_(self.bias.weight)

    def scores(self, hidden: Tensor, options: Tensor) -> Tensor:
        """Scores [..., K] of options [..., K, 2] at hidden states [..., width]."""
        embedded = self.embedding(options).sum(-2)
        pointer = (embedded @ self.query(hidden).unsqueeze(-1)).squeeze(-1) / math.sqrt(hidden.shape[-1])
        result: Tensor = pointer + self.bias(options).sum((-2, -1))
        return result

    def forward(self, batch: Batch) -> Tensor:
        """Logarithms of the probabilities [B, T, K] of all options."""
        inputs = torch.cat([self.embedding(batch.before).sum(-2), self.embedding(batch.points).sum(-2)], -1)
        hidden, _ = self.lstm(inputs)
        return torch.log_softmax(self.scores(hidden, batch.options) + batch.priors, -1)


class Batch:
    """Episodes as padded arrays.

    Attributes
    ----------
    points, before
        [B, T, 2]: rows of each point, and of the option taken before it.
    options
        [B, T, K, 2]: rows of the options.
    priors
        [B, T, K]: logarithms of the prior weights; -inf where there is no option, which masks it.
    index
        [B, T]: the option taken.
    free
        [B, T]: 1 where there is more than one option, else 0.
    """

    def __init__(self, episodes: Sequence[Episode]) -> None:
        self.episodes = tuple(episodes)
        count, length = len(episodes), max(len(e.menus) for e in episodes)
        most = max((len(menu.options) for e in episodes for menu in e.menus), default=1)
        points, before = np.zeros((count, length, PARTS), int), np.zeros((count, length, PARTS), int)
        options, priors = np.zeros((count, length, most, PARTS), int), np.full((count, length, most), -math.inf, "f4")
        index, free = np.zeros((count, length), int), np.zeros((count, length), "f4")
        priors[..., 0] = 0
        for row, episode in enumerate(episodes):
            last = START
            for step, (menu, taken) in enumerate(zip(episode.menus, episode.index, strict=True)):
                size = len(menu.options)
                points[row, step], before[row, step], index[row, step] = menu.point, last, taken
                options[row, step, :size], priors[row, step, :size] = menu.options, menu.priors
                free[row, step] = size > 1
                last = menu.options[taken]
        self.points, self.before, self.options = map(torch.from_numpy, (points, before, options))
        self.priors, self.index, self.free = map(torch.from_numpy, (priors, index, free))

    def taken(self, logs: Tensor) -> Tensor:
        """Logarithms of the probabilities [B, T] of the options taken.

        0 where there is no choice, and where the option has no prior weight, as in a candidate from elsewhere.
        """
        return logs.masked_fill(torch.isinf(logs), 0.0).gather(-1, self.index.unsqueeze(-1)).squeeze(-1) * self.free

    def labels(self, kind: str, logs: Tensor) -> dict[str, float]:
        """Mean probability of each label of the decisions of a kind, over those where it was an option.

        Parameters
        ----------
        logs
            [b, T, K]: of all episodes or of the first b.
        """
        probabilities: dict[str, list[float]] = {}
        for episode, rows in zip(self.episodes, logs.exp().tolist(), strict=False):
            for menu, row in zip(episode.menus, rows, strict=False):
                for label, probability in zip(menu.labels, row, strict=False) if menu.kind == kind else ():
                    probabilities.setdefault(label, []).append(probability)
        return {label: fmean(probabilities[label]) for label in sorted(probabilities)}

    def entropy(self, logs: Tensor) -> Tensor:
        """Entropy [B, T] of each decision, nats."""
        finite = logs.masked_fill(torch.isinf(logs), 0.0)
        return -(logs.exp() * finite).sum(-1) * self.free


class Player:
    """The present policy, for draws: its weights without gradients, with a cache of embeddings.

    Parameters
    ----------
    policy
        The policy. It must not change while this object is used.
    """

    def __init__(self, policy: Policy) -> None:
        lstm = policy.lstm
        self.embedding, self.bias = policy.embedding.weight.detach(), policy.bias.weight.detach()[:, 0]
        self.lstm = [weights.detach() for weights in lstm.parameters()]  # as lstm_cell takes them
        self.query = policy.query.weight.detach(), policy.query.bias.detach()
        self._cache: dict[EncodedDecision, tuple[Tensor, Tensor, Tensor, Tensor]] = {}
        self._start = self.embedding[list(START)].sum(0)

    def draw(self, space: Space, seed: int, trust: float = 1.0) -> object:
        """A candidate. The learned scores are multiplied by `trust`: 1 is the policy, 0 the random walk."""
        uniform = random.Random(seed).random
        width = self.embedding.shape[1]
        last = self._start
        state = torch.zeros(1, width), torch.zeros(1, width)

        def choose(point: Point, labels: Sequence[str], weights: Sequence[float]) -> int:
            nonlocal last, state
            menu = menu_of(point, tuple(labels), tuple(weights))
            where, options, bias, priors = self._look(menu)
            state = torch.lstm_cell(torch.cat([last, where]).unsqueeze(0), state, *self.lstm)
            index = 0
            if len(labels) > 1:
                pointer = options @ nn.functional.linear(state[0][0], *self.query) / math.sqrt(width)
                index = pick(torch.softmax((pointer + bias) * trust + priors, 0).tolist(), uniform())
            last = options[index]
            return index

        with one_thread():
            return space(choose)

    def _look(self, menu: EncodedDecision) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Embedding of the point; embeddings, bias and logarithms of prior weights of the options."""
        if menu not in self._cache:
            rows = torch.tensor(menu.options)
            self._cache[menu] = (
                self.embedding[list(menu.point)].sum(0),
                self.embedding[rows].sum(1),
                self.bias[rows].sum(1),
                torch.tensor(menu.priors),
            )
        return self._cache[menu]


def pick(probabilities: Sequence[float], share: float) -> int:
    """The option at a share, from 0 to 1, of the summed probabilities."""
    for index, probability in enumerate(probabilities):
        share -= probability
        if share < 0:
            return index
    return max(range(len(probabilities)), key=probabilities.__getitem__)  # by rounding, the sum may not be reached
