"""Mutation and crossover of traces, on words and on the default space of networks."""

import random
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from spaces import Words

from archioptrx.core.errors import ReplayError
from archioptrx.graphs.decisions import Decision, Point, Trace
from archioptrx.sampling.samplers import replay
from archioptrx.sampling.samplers.random import random_choices
from archioptrx.sampling.samplers.variation import (
    Heritage,
    Start,
    cross,
    known_in,
    mutate,
    noting_options,
    options_of,
    trace_in,
)

WORDS = Words()
SEEDS = st.integers(0, 10**6)


def drawn(space, seed):
    return space(random_choices(seed))


def free(space, trace):
    return [i for i, labels in enumerate(options_of(space, trace)) if len(labels) > 1]


def shared(first, second):
    """Share of one trace's decisions that the other has too."""
    common = Counter(first.decisions) & Counter(second.decisions)
    return common.total() / len(first.decisions)


@given(SEEDS, SEEDS, st.randoms(use_true_random=False))
def test_a_mutation_is_legal_and_changes_the_decision_it_was_told_to(seed, other, draw):
    parent = drawn(WORDS, seed)
    position = draw.choice(free(WORDS, parent.trace))
    child = mutate(WORDS, parent.trace, position, random_choices(other))
    assert replay(WORDS, child.trace) == child
    assert child.trace.decisions[:position] == parent.trace.decisions[:position]
    old, new = parent.trace.decisions[position], child.trace.decisions[position]
    assert (old.kind, old.place) == (new.kind, new.place)
    assert old.label != new.label


@given(SEEDS, SEEDS)
def test_what_follows_a_mutation_is_kept(seed, other):
    parent = drawn(WORDS, seed)
    longer = mutate(WORDS, parent.trace, 0, random_choices(other), "8").trace.decisions
    # All old letters are there, those at the same place in their old order.
    assert Counter(d for d in parent.trace.decisions if d.kind == "letter") <= Counter(longer)
    assert longer[-1] == parent.trace.decisions[-1]


@given(seed=SEEDS)
def test_a_label_that_is_told_is_taken(seed):
    parent = drawn(WORDS, seed)
    for label in options_of(WORDS, parent.trace)[1]:
        assert mutate(WORDS, parent.trace, 1, random_choices(0), label).trace.decisions[1].label == label


def test_networks_keep_most_of_their_decisions(tracking):
    shares, draw = [], random.Random(0)
    for seed in range(60):
        parent = drawn(tracking, seed).trace
        options = []
        space = noting_options(tracking, options)
        child = mutate(space, parent, draw.choice(free(tracking, parent)), random_choices(seed)).trace
        assert child != parent and options == options_of(tracking, child)
        assert all(decision.label in labels for decision, labels in zip(child.decisions, options, strict=True))
        shares.append(shared(parent, child))
    # Measured on 400: 0.88.
    assert sum(shares) / len(shares) > 0.8


def test_crossover_of_networks_takes_from_both(tracking):
    fresh = []
    for seed in range(60):
        first, second = drawn(tracking, seed).trace, drawn(tracking, seed + 1000).trace
        child = cross(tracking, first, second, random.Random(seed), random_choices(seed))
        assert trace_in(tracking, child) == child.trace
        decisions = child.trace.decisions
        left = Counter(decisions) - Counter(first.decisions) - Counter(second.decisions)
        fresh.append(left.total() / len(decisions))
    assert sum(fresh) / len(fresh) < 0.1


def test_a_crossed_word_begins_as_one_and_goes_on_as_the_other():
    lower, upper, both = Words(alphabet="abcdefg"), Words(alphabet="ABCDEFG"), Words(alphabet="abcdefgABCDEFG")
    mixed = 0
    for seed in range(100):
        first, second = drawn(lower, seed).trace, drawn(upper, seed + 1000).trace
        child = cross(both, first, second, random.Random(seed), random_choices(seed))
        length = int(first.decisions[0].label)
        letters = [c for c in child.letters if c.isalpha()]
        assert len(letters) == length
        from_first = sum(c.islower() for c in letters)
        mixed += 0 < from_first < length
        old = Counter(d.label for d in (*first.decisions, *second.decisions))
        assert Counter(letters) <= old
    assert mixed > 40


def test_heritage_takes_the_next_legal_one_and_that_of_the_same_place_first():
    old = [Decision("letter", "0", "a"), Decision("letter", "1", "b"), Decision("digit", "0", "c")]
    rest = Heritage(old)
    point, labels = Point("letter", "1"), ("c", "b", "a")
    assert rest.take(point, labels) == 1
    assert rest.take(point, labels) == 2
    assert rest.take(point, labels) is None
    assert Heritage(old).take(point, ("x", "a")) == 1


def test_what_a_space_lacks_has_no_trace_in_it():
    elsewhere = Words(longest=1, alphabet="z")
    word = drawn(elsewhere, 1)
    assert trace_in(elsewhere, word) == word.trace
    with pytest.raises(ReplayError, match="'z' is no longer allowed"):
        trace_in(WORDS, word)
    with pytest.raises(ReplayError, match="is empty"):
        trace_in(WORDS, replace(drawn(WORDS, 1), trace=Trace(())))
    with pytest.raises(ReplayError, match="give another network"):
        trace_in(WORDS, replace(drawn(WORDS, 1), letters="another"))
    assert known_in(WORDS, [word, drawn(WORDS, 1)]) == (drawn(WORDS, 1).trace,)


@given(SEEDS, st.sampled_from([("1", "4", "9"), ("2", "5"), ("3",)]))
def test_a_hyperparameter_takes_the_nearest_value(seed, sizes):
    word = drawn(Words(sizes=("2", "6")), seed)
    here = Words(sizes=sizes)
    last = trace_in(here, word).decisions[-1]
    gaps = {label: abs(float(label) - float(word.size)) for label in sizes}
    assert gaps[last.label] == min(gaps.values())
    assert replay(here, trace_in(here, word)).letters == word.letters


def test_every_other_opening_is_varied_from_what_is_known():
    parents = [drawn(WORDS, seed).trace for seed in (1, 2)]
    common = {0: [], 1: []}
    for number in range(200):
        child = Start(tuple(parents)).candidate(WORDS, number, number).trace
        common[number % 2].append(max(shared(parent, child) for parent in parents))
        assert replay(WORDS, child).trace == child
    varied, drawn_anew = (sum(shares) / len(shares) for shares in common.values())
    # Random words share 0.3 of their decisions with the nearer parent, mutated or crossed ones 0.8.
    assert varied > 0.7 > 0.5 > drawn_anew


def test_openings_without_anything_known_are_those_of_the_prior():
    for number in range(20):
        draw = random.Random(number)
        assert Start().candidate(WORDS, number, number) == WORDS(random_choices(draw.getrandbits(64)))
