"""The RNN controller: a policy that learns by reinforcement which decisions lead to good candidates.

Candidates are drawn from the policy (`controller_policy`) and rewarded by their rank. It learns by REINFORCE
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
"""Number of last observations among which a new one is ranked, so that its cost doesn't grow in a long search."""
REPLAY_WEIGHT = 0.5
"""Weight of the mean log-likelihood of good examples in the objective of an update."""
REFUSED_WEIGHT = 0.5
"""Weight of all refused candidates of an update together; all trained ones together weigh 1."""


@dataclass(frozen=True)
class Example:
    """A candidate that was trained, or refused by a constraint.

    Attributes
    ----------
    trace, episode
        Decisions of the candidate, and the same with their options as numbers.
    score, epochs
        Score and epochs as they were observed.
    """

    trace: Trace
    episode: Episode
    score: Score
    epochs: int

    def to_json(self) -> list[Any]:
        """Plain data; `_example` of a controller inverts it."""
        return [self.trace.to_json(), self.score, self.epochs]


@sampler("controller")
class Controller:
    """Reinforcement learning of a policy over decisions.

    There is an update for each full batch of trained candidates. A reward is the rank of a score among the last ones.
    The advantage is the reward minus a moving baseline, normalised over the batch. A repeated observation, as of a
    refused duplicate, has no effect.

    A candidate that a constraint refused (`observe(candidate, None, 0)`) counts as the worst. There may be hundreds
    of them for each trained one, so the last `batch` of them join the next update with half its weight. Without such
    an update they get one of their own after `batch`, 2 `batch`, 4 `batch` … of them, with allowed candidates as
    examples.

    Parameters
    ----------
    algorithm
        `reinforce` or `ppo`.
    batch
        Trained candidates per update. Proposals never wait for an update: those in flight were drawn from an older
        policy, as in any asynchronous search.
    learning_rate, entropy
        Learning rate of Adam; weight of the entropy bonus (mean over decisions, nats).
    baseline
        Decay of the moving baseline, from 0 to 1.
    epochs, clip
        For PPO: passes over a batch, clipping range of a decision's ratio of probabilities.
    width
        Number of channels of the policy.
    replay
        Number of best candidates that join each update with their log-likelihood.
    flatten
        Number by which draws become more random: in attempt k of a proposal the learned scores are multiplied by
        1 / (1 + flatten · k): nearer to the random walk, so that a narrow policy reaches a new candidate in few draws.
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
        self.waiting: list[Example] = []
        self.best: list[Example] = []
        self.refused: list[Example] = []  # the last `batch` since the last update
        self.refusals = 0  # since the last update of trained ones
        self.patience = batch  # refusals after which they are an update of their own
        self.updates = 0
        self._known: set[tuple[str, Score, int]] = set()
        self._learned: dict[str, float] = {}

    def draw(self, number: int, attempt: int) -> Any:
        """A candidate of the present policy; a later attempt is nearer to the random walk."""
        return self.player.draw(self.space, seed_of(self.seed, number, attempt), 1 / (1 + self.flatten * attempt))

    def observe(self, candidate: Any, score: Any, epochs: int) -> None:
        """Learn from an ended trial, or from a candidate that a constraint refused (no score, 0 epochs).

        A repeated observation, a candidate without choices and one of another space (a reference) have no effect. A
        trial that had paused teaches once more, by its rank with more epochs.
        """
        outcome = clean(score), epochs
        observation = candidate.key, *outcome
        if observation in self._known:
            return
        self._known.add(observation)
        try:
            episode = episode_of(self.space, candidate.trace)
        except ReplayError:
            return
        if not any(len(menu.labels) > 1 for menu in episode.menus):
            return
        example = Example(candidate.trace, episode, *outcome)
        if outcome == REFUSED:
            self._refuse(example)
            return
        self.scores = [*self.scores, outcome][-max(RANKED, self.batch) :]
        self.waiting.append(example)
        if len(self.waiting) >= self.batch:
            full, self.waiting = self.waiting, []
            self._welcome(full)
            self._update(full, self._advantages(len(full)), self.best)
            self.refusals, self.patience = 0, self.batch

    def again(self, candidate: Any, score: Any, epochs: int) -> None:
        """Ignore a refused duplicate: it brings no new score."""

    def _refuse(self, example: Example) -> None:
        """Add a refused candidate; an update where there have been enough of them."""
        self.refused = [*self.refused, example][-self.batch :]
        self.refusals += 1
        if self.refusals >= self.patience:
            # Twice as many until the next time: else refusals would outweigh the few trained candidates.
            self.patience *= 2
            allowed = [*self.best, *(trained for trained in self.waiting if trained.score is not None)]
            self._update([], torch.zeros(0), allowed)

    def learned(self) -> Mapping[str, float]:
        """Mean probability of each function under the present policy.

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
        """Rewards of the newest minus the moving baseline, normalised."""
        rewards = self._rewards(count)
        mean = float(rewards.mean())
        before = mean if self.baseline is None else self.baseline
        self.baseline = self.decay * before + (1 - self.decay) * mean
        return (rewards - before) / (rewards.std(unbiased=False) + 0.1)

    def _welcome(self, trained: Sequence[Example]) -> None:
        """Keep the best candidates for replay."""
        known = [*self.best, *trained]
        longest = {example.trace: example.epochs for example in sorted(known, key=lambda example: example.epochs)}
        # Of a trial that had paused the last observation alone counts.
        rivals = [one for one in known if one.score is not None and one.epochs == longest[one.trace]]
        self.best = [rivals[i] for i in order([(rival.score, rival.epochs) for rival in rivals])[: self.replay]]

    def _update(self, trained: Sequence[Example], advantages: Tensor, good: Sequence[Example]) -> None:
        """Learn from trained candidates, from the refused ones, and from examples of good ones."""
        refused, self.refused = self.refused, []
        weighted = torch.full((len(trained) + len(refused),), -REFUSED_WEIGHT / max(1, len(refused)))  # advantage -1
        weighted[: len(trained)] = advantages / max(1, len(trained))
        batch = Batch([example.episode for example in (*trained, *refused, *good)])
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
        """Objective of REINFORCE or of PPO, without replay and entropy.

        Parameters
        ----------
        taken, before
            [B, T]: logarithms of the probabilities of the decisions taken, now and before the update.
        weighted
            [B]: advantages times the weights of their candidates.
        """
        if self.clip is None:
            return (taken.sum(1) * weighted).sum()
        ratio, gain = (taken - before).exp(), weighted.unsqueeze(1)
        return torch.minimum(ratio * gain, ratio.clamp(1 - self.clip, 1 + self.clip) * gain).sum()

    def _example(self, row: Any) -> Example:
        trace = Trace.from_json(row[0])
        return Example(trace, episode_of(self.space, trace), clean(row[1]), row[2])

    def state_dict(self) -> Mapping[str, Any]:
        """Policy, optimiser, baseline and candidates that wait for an update, as plain data."""
        moments = {
            str(key): {name: value.tolist() for name, value in state.items()}
            for key, state in self.optimizer.state_dict()["state"].items()
        }
        return {
            "policy": {name: value.tolist() for name, value in self.policy.state_dict().items()},
            "moments": moments,
            "scores": [list(row) for row in self.scores],
            "baseline": self.baseline,
            "waiting": [example.to_json() for example in self.waiting],
            "best": [example.to_json() for example in self.best],
            "refused": [example.to_json() for example in self.refused],
            "counts": [self.refusals, self.patience, self.updates],
            "known": sorted(map(list, self._known), key=repr),
            "learned": dict(self._learned),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over a state."""
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
        self.waiting = [self._example(row) for row in state["waiting"]]
        self.best = [self._example(row) for row in state["best"]]
        self.refused = [self._example(row) for row in state["refused"]]
        self.refusals, self.patience, self.updates = state["counts"]
        self._known = {(key, clean(score), epochs) for key, score, epochs in state["known"]}
        self._learned = dict(state["learned"])
