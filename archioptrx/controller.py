"""The RNN controller: a policy that learns by reinforcement which decisions lead to good candidates.

An LSTM reads the decisions made so far and scores the options of the next one by a pointer (Zoph and Le 2017,
arXiv:1611.01578; pointer scores: Vinyals et al. 2015, arXiv:1506.03134). Kinds, places and labels of decisions are
hashed into one table of embeddings, so any space with choices works without change, and options that were never seen
have scores too. The scores are added to the logarithm of the prior weights: an untrained controller *is* the random
walk. It learns by REINFORCE (Williams 1992) or PPO (Schulman et al. 2017, arXiv:1707.06347).
"""

from __future__ import annotations

import hashlib
import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn

from archioptrx.choices import Point, Space, Trace
from archioptrx.errors import InputError, did_you_mean
from archioptrx.samplers.base import seed_of
from archioptrx.samplers.ranking import clean, order
from archioptrx.samplers.variation import replays

BUCKETS = 2048


@lru_cache(maxsize=65536)
def bucket(text: str) -> int:
    """Row of the embedding table for a text, the same in every process."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest()) % BUCKETS


@dataclass(frozen=True)
class Episode:
    """The decisions of one candidate as numbers.

    Attributes
    ----------
    points, taken
        Rows of the embedding table, one a decision: where, and the option that was taken.
    options, priors
        Of each decision: rows of its options, logarithms of their prior weights.
    index
        Which option was taken.
    """

    points: tuple[int, ...]
    taken: tuple[int, ...]
    options: tuple[tuple[int, ...], ...]
    priors: tuple[tuple[float, ...], ...]
    index: tuple[int, ...]


class Policy(nn.Module):
    """LSTM with a pointer over the options of a decision.

    Parameters
    ----------
    width
        Channels of embeddings and of the LSTM's state.
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
        """Scores of options [..., K] at hidden states [..., width]."""
        embedded = self.embedding(options)
        pointer = (embedded @ self.query(hidden).unsqueeze(-1)).squeeze(-1) / math.sqrt(hidden.shape[-1])
        result: Tensor = pointer + self.bias(options).squeeze(-1)
        return result

    def log_probabilities(self, episodes: Sequence[Episode]) -> tuple[Tensor, Tensor]:
        """Of the options taken, summed over each episode; and the mean entropy of each episode's decisions."""
        length = max(len(e.points) for e in episodes)
        most = max(len(o) for e in episodes for o in e.options)
        count = len(episodes)
        points = torch.zeros(count, length, dtype=torch.long)
        before = torch.full((count, length), bucket("start"))
        options = torch.zeros(count, length, most, dtype=torch.long)
        priors = torch.full((count, length, most), -math.inf)
        index = torch.zeros(count, length, dtype=torch.long)
        real = torch.zeros(count, length)
        for row, e in enumerate(episodes):
            size = len(e.points)
            points[row, :size] = torch.tensor(e.points)
            before[row, 1:size] = torch.tensor(e.taken[:-1], dtype=torch.long)
            index[row, :size] = torch.tensor(e.index)
            real[row, :size] = 1
            for step, (rows, weights) in enumerate(zip(e.options, e.priors, strict=True)):
                options[row, step, : len(rows)] = torch.tensor(rows)
                priors[row, step, : len(rows)] = torch.tensor(weights)
        priors[..., 0].masked_fill_(real == 0, 0.0)
        inputs = torch.cat([self.embedding(before), self.embedding(points)], -1)
        hidden, _ = self.lstm(inputs)
        logits = torch.log_softmax(self.scores(hidden, options) + priors, -1)
        chosen = logits.gather(-1, index.unsqueeze(-1)).squeeze(-1)
        entropy = -(logits.exp() * logits.masked_fill(torch.isinf(logits), 0.0)).sum(-1)
        decisions = ((options != 0).sum(-1) > 1).float() * real
        return (chosen * real).sum(-1), (entropy * real).sum(-1) / decisions.sum(-1).clamp(min=1)


class _Player:
    """Answers the decisions of one candidate by the policy."""

    def __init__(self, policy: Policy, seed: int) -> None:
        self.policy, self.draw = policy, random.Random(seed).random
        self.state: tuple[Tensor, Tensor] | None = None
        self.last = bucket("start")

    def __call__(self, point: Point, labels: Sequence[str], weights: Sequence[float]) -> int:
        where, rows, priors = encode(point, labels, weights)
        inputs = self.policy.embedding(torch.tensor([[self.last, where]])).view(1, 1, -1)
        hidden, self.state = self.policy.lstm(inputs, self.state)
        index = 0
        if len(labels) > 1:
            logits = self.policy.scores(hidden[0, 0], torch.tensor(rows)) + torch.tensor(priors)
            index = _pick(torch.softmax(logits.double(), 0).tolist(), self.draw())
        self.last = rows[index]
        return index

    def probabilities(self, point: Point, labels: Sequence[str], weights: Sequence[float], index: int) -> list[float]:
        """Of the options of a decision that is then answered by `index`."""
        where, rows, priors = encode(point, labels, weights)
        inputs = self.policy.embedding(torch.tensor([[self.last, where]])).view(1, 1, -1)
        hidden, self.state = self.policy.lstm(inputs, self.state)
        logits = self.policy.scores(hidden[0, 0], torch.tensor(rows)) + torch.tensor(priors)
        self.last = rows[index]
        return torch.softmax(logits.double(), 0).tolist()


def _pick(probabilities: Sequence[float], share: float) -> int:
    for index, probability in enumerate(probabilities):
        share -= probability
        if share < 0:
            return index
    return max(range(len(probabilities)), key=probabilities.__getitem__)  # what rounding left over


def encode(
    point: Point, labels: Sequence[str], weights: Sequence[float]
) -> tuple[int, tuple[int, ...], tuple[float, ...]]:
    """Rows of a decision and of its options, and the logarithms of the prior weights."""
    even = not any(weight > 0 for weight in weights)
    priors = tuple(0.0 if even else math.log(w) if w > 0 else -math.inf for w in weights)
    rows = tuple(bucket(f"{point.kind} {point.place} {label}") for label in labels)
    return bucket(f"{point.kind} {point.place}"), rows, priors


def episode_of(space: Space, trace: Trace) -> Episode:
    """Walk a trace again to see the options of each of its decisions."""
    points, rows, priors, index = [], [], [], []
    labels_taken = iter(trace.decisions)

    def choose(point: Point, labels: Sequence[str], weights: Sequence[float]) -> int:
        taken = list(labels).index(next(labels_taken).label)
        where, options, logs = encode(point, labels, weights)
        points.append(where)
        rows.append(options)
        priors.append(logs)
        index.append(taken)
        return taken

    space(choose)
    taken = tuple(options[i] for options, i in zip(rows, index, strict=True))
    return Episode(tuple(points), taken, tuple(rows), tuple(priors), tuple(index))


class Controller:
    """Reinforcement learning of a policy over decisions.

    Parameters
    ----------
    algorithm
        `reinforce` or `ppo`.
    batch
        Observed candidates per update. Proposals never wait for an update: those in flight were drawn from an older
        policy, as in any asynchronous search.
    learning_rate, entropy
        Of Adam; weight of the entropy bonus.
    baseline
        Decay of the moving baseline.
    epochs, clip
        Of PPO: passes over a batch, clipping range of the ratio.
    width
        Channels of the policy.
    """

    OPTIONS = ("algorithm", "batch", "learning_rate", "entropy", "baseline", "epochs", "clip", "width")

    def __init__(
        self,
        space: Space,
        seed: int = 0,
        algorithm: str = "ppo",
        batch: int = 8,
        learning_rate: float = 0.01,
        entropy: float = 0.01,
        baseline: float = 0.9,
        epochs: int = 4,
        clip: float = 0.2,
        width: int = 48,
    ) -> None:
        if algorithm not in ("reinforce", "ppo"):
            raise InputError(f"sampler.algorithm: is {algorithm!r}; {did_you_mean(algorithm, ('reinforce', 'ppo'))}")
        self.space, self.seed = space, seed
        self.algorithm, self.batch, self.decay = algorithm, batch, baseline
        self.entropy, self.epochs, self.clip = entropy, epochs, clip
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed_of(seed) % 2**63)
            self.policy = Policy(width)
        self.optimizer = torch.optim.Adam(self.policy.parameters(), learning_rate)
        self.scores: list[tuple[Any, int]] = []  # (score, epochs) of all that was observed
        self.baseline: float | None = None
        self.waiting: list[Trace] = []  # those of the last scores
        self.updates = 0
        self._learned: dict[str, float] = {}

    def draw(self, number: int, attempt: int) -> Any:
        """A candidate of the present policy."""
        with torch.no_grad():
            return self.space(_Player(self.policy, seed_of(self.seed, number, attempt)))

    def observe(self, candidate: Any, score: float | None, epochs: int) -> None:
        """Hear of an ended trial; each full batch is an update. A failed trial counts as the worst.

        What can't be replayed (a reference that this space doesn't hold) teaches nothing.
        """
        if not replays(self.space, candidate.trace):
            return
        self.scores.append((clean(score), epochs))
        self.waiting.append(candidate.trace)
        if len(self.waiting) >= self.batch:
            self._update()
            self.waiting.clear()

    def _advantages(self) -> Tensor:
        """Rank of each score among all seen (scores saturate, ranks don't), less the baseline, normalised."""
        places = order(self.scores)
        share = {number: 1 - place / max(1, len(places) - 1) for place, number in enumerate(places)}
        first = len(self.scores) - len(self.waiting)
        rewards = torch.tensor([share[first + i] for i in range(len(self.waiting))])
        before = float(rewards.mean()) if self.baseline is None else self.baseline
        self.baseline = self.decay * before + (1 - self.decay) * float(rewards.mean())
        advantages = rewards - before
        return advantages / (advantages.std() + 0.1) if len(advantages) > 1 else advantages

    def _update(self) -> None:
        episodes = [episode_of(self.space, trace) for trace in self.waiting]
        advantages, old = self._advantages(), None
        for _ in range(self.epochs if self.algorithm == "ppo" else 1):
            logs, entropies = self.policy.log_probabilities(episodes)
            if self.algorithm == "ppo":
                old = logs.detach() if old is None else old
                ratio = (logs - old).exp()
                clipped = ratio.clamp(1 - self.clip, 1 + self.clip)
                gain = torch.minimum(ratio * advantages, clipped * advantages).mean()
            else:
                gain = (logs * advantages).mean()
            loss = -gain - self.entropy * entropies.mean()
            self.optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(self.policy.parameters(), 1.0)
            self.optimizer.step()
        self.updates += 1
        self._learned = self._probabilities()

    def _probabilities(self) -> dict[str, float]:
        """Mean probability of each option of the decisions of kind `function`, over those of the last batch."""
        sums: dict[str, list[float]] = {}
        for trace in self.waiting:
            player = _Player(self.policy, 0)
            taken = iter(trace.decisions)

            def choose(
                point: Point, labels: Sequence[str], weights: Sequence[float], player: Any = player, taken: Any = taken
            ) -> int:
                index = list(labels).index(next(taken).label)
                found = player.probabilities(point, labels, weights, index)
                if point.kind == "function":
                    for label, probability in zip(labels, found, strict=True):
                        sums.setdefault(label, []).append(probability)
                return index

            with torch.no_grad():
                self.space(choose)
        return {label: sum(found) / len(found) for label, found in sorted(sums.items())}

    def learned(self) -> Mapping[str, float]:
        """Of each function: its mean probability where it could be chosen; empty before the first update."""
        return dict(self._learned)

    def state_dict(self) -> Mapping[str, Any]:
        """Policy, optimiser, baseline and what waits for an update, as lists of numbers."""
        moments = {
            str(key): {name: value.tolist() for name, value in state.items()}
            for key, state in self.optimizer.state_dict()["state"].items()
        }
        return {
            "policy": {name: value.tolist() for name, value in self.policy.state_dict().items()},
            "moments": moments,
            "scores": [list(row) for row in self.scores],
            "baseline": self.baseline,
            "waiting": [trace.to_json() for trace in self.waiting],
            "updates": self.updates,
            "learned": dict(self._learned),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on where another one was."""
        self.policy.load_state_dict({name: torch.tensor(value) for name, value in state["policy"].items()})
        whole = self.optimizer.state_dict()
        whole["state"] = {
            int(key): {name: torch.tensor(value) for name, value in moment.items()}
            for key, moment in state["moments"].items()
        }
        self.optimizer.load_state_dict(whole)
        self.scores = [(clean(score), epochs) for score, epochs in state["scores"]]
        self.baseline = state["baseline"]
        self.waiting = [Trace.from_json(trace) for trace in state["waiting"]]
        self.updates = state["updates"]
        self._learned = dict(state["learned"])
