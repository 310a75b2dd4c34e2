"""Mutation and crossover of traces, on words and on the default space of networks."""

import random
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st
from spaces import Words

from archioptrx.graphs.decisions import Decision, Point, Trace
from archioptrx.sampling.samplers import replay
from archioptrx.sampling.samplers.random import random_choices
from archioptrx.sampling.samplers.variation import Heritage, cross, mutate, options_of, replays

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
        child = mutate(tracking, parent, draw.choice(free(tracking, parent)), random_choices(seed)).trace
        assert child != parent
        shares.append(shared(parent, child))
    # Measured on 400: 0.88.
    assert sum(shares) / len(shares) > 0.8


def test_crossover_of_networks_takes_from_both(tracking):
    fresh = []
    for seed in range(60):
        first, second = drawn(tracking, seed).trace, drawn(tracking, seed + 1000).trace
        child = cross(tracking, first, second, random.Random(seed), random_choices(seed)).trace
        assert replays(tracking, child)
        left = Counter(child.decisions) - Counter(first.decisions) - Counter(second.decisions)
        fresh.append(left.total() / len(child.decisions))
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


def test_a_trace_of_another_space_does_not_replay():
    trace = drawn(WORDS, 1).trace
    assert replays(WORDS, trace)
    assert not replays(Words(sizes=("other", "sizes")), trace)
    assert not replays(WORDS, Trace(()))
