"""The RNN controller: a policy that learns by reinforcement which decisions lead to good candidates.

The policy (`controller_policy`) is drawn from; what it proposed is rewarded by its rank. It learns by REINFORCE
(Williams 1992) or PPO (Schulman et al. 2017, arXiv:1707.06347), helped by a replay of the best candidates (priority
queue training, Abolafia et al. 2018, arXiv:1801.03526).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from archioptrx.core.errors import ReplayError
from archioptrx.graphs.decisions import Space, Trace
from archioptrx.sampling.samplers.base import seed_of
from archioptrx.sampling.samplers.controller_policy import Batch, Episode, Player, Policy, episode_of, one_thread
from archioptrx.sampling.samplers.options import OptionChecks
from archioptrx.sampling.samplers.ranking import REFUSED, Score, clean, order
from archioptrx.sampling.samplers.registry import sampler

ALGORITHMS = ("ppo", "reinforce")
RANKED = 500
"""Observations that a new one is ranked among: the last ones, so that a long search costs no more each time."""
REPLAY_WEIGHT = 0.5
"""Of the mean log-likelihood of examples of what is good in what is maximised."""
REFUSED_WEIGHT = 0.5
"""Of all refused candidates of an update together, where its trained ones together weigh 1."""


@dataclass(frozen=True)
class Told:
    """A candidate that was trained, or refused by a constraint.

    Attributes
    ----------
    trace, episode
        Its decisions; the second is made of the first.
    score, epochs
        As observed.
    """

    trace: Trace
    episode: Episode
    score: Score
    epochs: int

    def to_json(self) -> list[Any]:
        """Plain data; `_told` of a controller inverts it."""
        return [self.trace.to_json(), self.score, self.epochs]


@sampler("controller")
class Controller:
    """Reinforcement learning of a policy over decisions.

    Each full batch of trained candidates is an update. A reward is the rank of a score among the last ones; from it
    goes a moving baseline, and what is left is normalised over the batch. The same news twice is no news: a duplicate
    that was refused teaches nothing again.

    A candidate that a constraint refused (`observe(candidate, None, 0)`) counts as the worst. There may be hundreds
    of them for each that is trained, so the last `batch` of them join the next update with half its weight; and where
    no update comes, they are one of their own after `batch`, 2 `batch`, 4 `batch` … of them, with what was allowed as
    examples.

    Parameters
    ----------
    algorithm
        `reinforce` or `ppo`.
    batch
        Trained candidates per update. Proposals never wait for an update: those in flight were drawn from an older
        policy, as in any asynchronous search.
    learning_rate, entropy
        Of Adam; weight of the entropy bonus (mean over decisions, nats).
    baseline
        Decay of the moving baseline.
    epochs, clip
        Of PPO: passes over a batch, clipping range of a decision's ratio.
    width
        Channels of the policy.
    replay
        So many of the best candidates join each update with their log-likelihood; 0: none.
    flatten
        Draw k of a proposal (those before were duplicates) counts the learned scores by 1 / (1 + flatten · k): nearer
        to the random walk, so that a policy that is sure of itself finds something new in a few draws.
    """

    OPTIONS = (
        "algorithm", "batch", "learning_rate", "entropy", "baseline", "epochs", "clip", "width", "replay", "flatten",
    )  # fmt: skip

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
        width: int = 32,
        replay: int = 10,
        flatten: float = 0.4,
    ) -> None:
        checks = OptionChecks()
        checks.one_of("algorithm", algorithm, ALGORITHMS)
        for name, whole, minimum in (("batch", batch, 1), ("epochs", epochs, 1), ("width", width, 1)):
            checks.whole(name, whole, minimum)
        checks.whole("replay", replay, 0)
        checks.share("baseline", baseline)
        checks.number("learning_rate", learning_rate, above=True)
        checks.number("clip", clip, above=True)
        checks.number("entropy", entropy)
        checks.number("flatten", flatten)
        checks.finish()
        self.space, self.seed = space, seed
        self.passes = epochs if algorithm == "ppo" else 1
        self.batch, self.decay, self.entropy, self.replay = batch, baseline, entropy, replay
        self.clip, self.flatten = clip if algorithm == "ppo" else None, flatten
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed_of(seed) % 2**63)
            self.policy = Policy(width)
        self.optimizer = torch.optim.Adam(self.policy.parameters(), learning_rate, fused=True)
        self.player = Player(self.policy)
        self.scores: list[tuple[Score, int]] = []  # the last RANKED, those that wait at the end
        self.baseline: float | None = None
        self.waiting: list[Told] = []
        self.best: list[Told] = []
        self.refused: list[Told] = []  # the last `batch` since the last update
        self.refusals = 0  # since the last update of trained ones
        self.patience = batch  # refusals after which they are an update of their own
        self.updates = 0
        self._known: set[tuple[str, Score, int]] = set()
        self._learned: dict[str, float] = {}

    def draw(self, number: int, attempt: int) -> Any:
        """A candidate of the present policy; a later attempt is nearer to the random walk."""
        return self.player.draw(self.space, seed_of(self.seed, number, attempt), 1 / (1 + self.flatten * attempt))

    def observe(self, candidate: Any, score: Any, epochs: int) -> None:
        """Hear of an ended trial, or of a candidate that a constraint refused (no score, 0 epochs).

        What was told before, has no choices, or is not of this space (a reference) teaches nothing.
        """
        told = clean(score), epochs
        news = candidate.key, *told
        if news in self._known:
            return
        self._known.add(news)
        try:
            episode = episode_of(self.space, candidate.trace)
        except ReplayError:
            return
        if not any(len(menu.labels) > 1 for menu in episode.menus):
            return
        one = Told(candidate.trace, episode, *told)
        if told == REFUSED:
            self._refuse(one)
            return
        self.scores = [*self.scores, told][-max(RANKED, self.batch) :]
        self.waiting.append(one)
        if len(self.waiting) >= self.batch:
            full, self.waiting = self.waiting, []
            self._welcome(full)
            self._update(full, self._advantages(len(full)), self.best)
            self.refusals, self.patience = 0, self.batch

    def again(self, candidate: Any, score: Any, epochs: int) -> None:
        """A refused duplicate is no news."""

    def _refuse(self, one: Told) -> None:
        self.refused = [*self.refused, one][-self.batch :]
        self.refusals += 1
        if self.refusals >= self.patience:
            # Twice as many until the next time: else hundreds of refusals would be all that it learns from.
            self.patience *= 2
            allowed = [*self.best, *(one for one in self.waiting if one.score is not None)]
            self._update([], torch.zeros(0), allowed)

    def learned(self) -> Mapping[str, float]:
        """By function: its mean probability under the present policy.

        Averaged over the decisions of kind `function` in the last update's candidates (trained or refused) in which
        it was an option. Empty before the first update.
        """
        return dict(self._learned)

    def _rewards(self, count: int) -> Tensor:
        """Rank of each of the newest among the last scores, 1 the best, 0 the worst: scores saturate, ranks don't."""
        places = order(self.scores)
        share = {number: 1 - place / max(1, len(places) - 1) for place, number in enumerate(places)}
        return torch.tensor([share[len(places) - count + i] for i in range(count)])

    def _advantages(self, count: int) -> Tensor:
        """Rewards of the newest less the moving baseline, normalised."""
        rewards = self._rewards(count)
        mean = float(rewards.mean())
        before = mean if self.baseline is None else self.baseline
        self.baseline = self.decay * before + (1 - self.decay) * mean
        return (rewards - before) / (rewards.std(unbiased=False) + 0.1)

    def _welcome(self, told: Sequence[Told]) -> None:
        """Keep the best candidates for replay."""
        rivals = [one for one in (*self.best, *told) if one.score is not None]
        self.best = [rivals[i] for i in order([(one.score, one.epochs) for one in rivals])[: self.replay]]

    def _update(self, told: Sequence[Told], advantages: Tensor, examples: Sequence[Told]) -> None:
        """Learn from what was told and what was refused, and from examples of what is good."""
        refused, self.refused = self.refused, []
        weighted = torch.full((len(told) + len(refused),), -REFUSED_WEIGHT / max(1, len(refused)))  # advantage -1
        weighted[: len(told)] = advantages / max(1, len(told))
        batch = Batch([one.episode for one in (*told, *refused, *examples)])
        with one_thread():
            self._improve(batch, weighted)
            with torch.no_grad():
                self._learned = batch.labels("function", self.policy(batch)[: len(weighted)])
        self.player = Player(self.policy)
        self.updates += 1

    def _improve(self, batch: Batch, weighted: Tensor) -> None:
        """Steps of Adam; the first rows of the batch have weighted advantages, the others are examples."""
        count, before = len(weighted), None
        for _ in range(self.passes):
            logs = self.policy(batch)
            taken = batch.taken(logs)
            before = taken.detach() if before is None else before
            gain = self._gain(taken[:count], before[:count], weighted)
            if len(taken) > count:
                gain = gain + REPLAY_WEIGHT * taken[count:].sum(1).mean()
            entropy = batch.entropy(logs)[:count].sum() / batch.free[:count].sum()
            loss = -gain - self.entropy * entropy
            self.optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(self.policy.parameters(), 1.0)
            self.optimizer.step()

    def _gain(self, taken: Tensor, before: Tensor, weighted: Tensor) -> Tensor:
        """What a step of REINFORCE or of PPO makes larger.

        Parameters
        ----------
        taken, before
            [B, T]: logarithms of the probabilities of the decisions taken, now and before the update.
        weighted
            [B]: advantages by their weights.
        """
        if self.clip is None:
            return (taken.sum(1) * weighted).sum()
        ratio, gain = (taken - before).exp(), weighted.unsqueeze(1)
        return torch.minimum(ratio * gain, ratio.clamp(1 - self.clip, 1 + self.clip) * gain).sum()

    def _told(self, row: Any) -> Told:
        trace = Trace.from_json(row[0])
        return Told(trace, episode_of(self.space, trace), clean(row[1]), row[2])

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
            "waiting": [one.to_json() for one in self.waiting],
            "best": [one.to_json() for one in self.best],
            "refused": [one.to_json() for one in self.refused],
            "counts": [self.refusals, self.patience, self.updates],
            "known": sorted(map(list, self._known), key=repr),
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
        self.player = Player(self.policy)
        self.scores = [(clean(score), epochs) for score, epochs in state["scores"]]
        self.baseline = state["baseline"]
        self.waiting = [self._told(row) for row in state["waiting"]]
        self.best = [self._told(row) for row in state["best"]]
        self.refused = [self._told(row) for row in state["refused"]]
        self.refusals, self.patience, self.updates = state["counts"]
        self._known = {(key, clean(score), epochs) for key, score, epochs in state["known"]}
        self._learned = dict(state["learned"])
