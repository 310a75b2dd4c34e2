"""Evolution: who is a parent, what children are, local search; and the order of observations."""

import itertools
import json
import math
import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from spaces import Words

from archioptrx.core.errors import InputError
from archioptrx.graphs.decisions import Trace
from archioptrx.sampling.samplers import EvolutionSampler, make_sampler
from archioptrx.sampling.samplers.random import random_choices
from archioptrx.sampling.samplers.ranking import clean, crowding, dominates, fronts, order

WORDS = Words(alphabet="abcdefgh")


def value(word):
    """The more a, and the longer, the better."""
    return word.letters.count("a") + 0.1 * len(word.letters)


def best_of(name, seed, trials=150, **options):
    sampler, best = make_sampler(name, WORDS, seed, **options), -math.inf
    for _ in range(trials):
        word = sampler.propose()
        best = max(best, value(word))
        sampler.observe(word, value(word), 1)
    return best


@pytest.mark.parametrize("options", [{}, {"mode": "local_search"}, {"crossover": 0.5}])
def test_it_finds_far_better_words_than_random_search(options):
    scores = [best_of("evolution", seed, **options) for seed in range(5)]
    chance = [best_of("random", seed) for seed in range(5)]
    assert min(scores) > max(chance)
    assert sum(scores) / 5 > 7.5


def observe_words(sampler, number, score=0.5, epochs=1):
    words = [WORDS(random_choices(1000 + i)) for i in range(number)]
    for word in words:
        sampler.observe(word, score, epochs)
    return words


def parents(sampler, words, draws=200):
    """How often each word is the one that a child has most in common with."""
    count = Counter()
    for number in range(draws):
        child = Counter(sampler.draw(number, 0).trace.decisions)
        count[max(words, key=lambda w: (child & Counter(w.trace.decisions)).total()).letters] += 1
    return count


def word_of(letters, longest=8):
    """The word, by its decisions."""
    answers = iter([str(len(letters)), *letters, "small"])
    return Words(longest, "abcdefgh")(lambda point, labels, weights: labels.index(next(answers)))


def test_old_members_die():
    sampler = EvolutionSampler(WORDS, 0, population=3, tournament=50, initial=0, crossover=0)
    sampler.observe(word_of("hhhhhhhh"), 0.9, 1)
    assert all(sampler.draw(number, 0).letters.count("h") >= 3 for number in range(5))
    for letters in ("aaaaaaaa", "bbbbbbbb", "cccccccc"):
        sampler.observe(word_of(letters), 0.1, 1)
    assert all(sampler.draw(number, 0).letters.count("h") <= 1 for number in range(50))


def test_a_tournament_prefers_the_best():
    words = [WORDS(random_choices(seed)) for seed in (3, 4, 5, 6)]
    chosen = []
    for size in (1, 8):
        sampler = EvolutionSampler(WORDS, 0, tournament=size, initial=0, crossover=0)
        for rank, word in enumerate(words):
            sampler.observe(word, float(rank), 1)
        chosen.append(parents(sampler, words)[words[-1].letters])
    assert chosen[0] < 100 < chosen[1]


def test_failures_and_what_is_not_finite_are_no_parents():
    sampler = EvolutionSampler(WORDS, 0, initial=0)
    for score in (None, math.nan, math.inf, -math.inf):
        observe_words(sampler, 2, score)
    assert sampler.memory.ranked() == []
    assert sampler.draw(0, 0) is not None


def test_what_a_constraint_refused_is_no_member():
    sampler = EvolutionSampler(WORDS, 0)
    word = WORDS(random_choices(1))
    sampler.observe(word, None, 0)
    assert sampler.memory.observations == []
    sampler.observe(word, None, 1)
    assert [observation.key for observation in sampler.memory.observations] == [word.key]


def test_a_refused_twin_with_other_hyperparameters_is_no_member():
    sampler = EvolutionSampler(WORDS, 0)
    small, large = (
        next(w for s in range(999) if (w := WORDS(random_choices(s))).letters == "a" and w.size == size)
        for size in ("small", "large")
    )
    sampler.observe(small, 0.5, 4)
    sampler.again(large, 0.5, 4)
    assert [m.key for m in sampler.memory.observations] == [small.key]
    sampler.observe(large, 0.6, 4)
    assert [m.key for m in sampler.memory.observations] == [small.key, large.key]


def test_a_reference_is_food_if_it_replays():
    sampler = EvolutionSampler(WORDS, 0)
    word = observe_words(sampler, 1)[0]
    sampler.observe(type(word)(Trace(()), "foreign", "small"), 0.9, 1)
    assert [m.key for m in sampler.memory.observations] == [word.key]


def test_hyperparameters_change_too_where_an_architecture_comes_once():
    sampler = make_sampler("evolution", Words(3, "abcdefghijklmnop", [str(n) for n in range(50)]), 1, initial=5)
    sizes = set()
    for _ in range(100):
        word = sampler.propose()
        sizes.add(word.size)
        sampler.observe(word, len(word.letters), 1)
    # Five are those of the random start.
    assert len(sizes) > 10


def test_local_search_proposes_all_neighbours_of_the_best():
    space = Words(longest=2, alphabet="abc", sizes=("one",))
    sampler = EvolutionSampler(space, 3, initial=0, mode="local_search")
    start = next(w for s in range(99) if (w := space(random_choices(s))).letters == "ab")
    sampler.observe(start, 1.0, 1)
    near = [sampler.draw(number, 0).letters for number in range(5)]
    assert sorted(near) == sorted(["bb", "cb", "aa", "ac", "a"])


def test_options_are_checked_all_at_once():
    with pytest.raises(InputError) as error:
        make_sampler("evolution", WORDS, population=0, tournament="x", crossover=2, mode="agein", initial=True)
    assert error.value.faults == (
        "sampler.population: is 0; allowed: a whole number from 1",
        "sampler.tournament: is 'x'; allowed: a whole number from 1",
        "sampler.initial: is True; allowed: a whole number from 0",
        "sampler.crossover: is 2; allowed: a number from 0 to 1",
        "sampler.mode: is 'agein'; allowed: ageing, local_search (did you mean ageing?)",
    )


def test_the_parent_is_the_observed_one_that_a_child_comes_from():
    sampler = make_sampler("evolution", WORDS, 2, initial=5, crossover=0, tournament=1)
    words, far = {}, 0
    for number in range(80):
        word = sampler.propose()
        parent = sampler.parent
        assert (parent is None) == (number < 5)
        if parent is not None:
            assert words[parent.key] == parent.trace
            far += (Counter(word.trace.decisions) - Counter(parent.trace.decisions)).total() > 3
        words[word.key] = word.trace
        sampler.observe(word, value(word), 1)
    assert far < 8


def test_of_two_parents_the_first_one_counts_and_of_a_neighbour_the_one_it_is_near_to():
    crossed = EvolutionSampler(WORDS, 1, initial=0, crossover=1)
    words = observe_words(crossed, 6)
    for number in range(30):
        child = crossed.draw(number, 0)
        assert child.trace.decisions[0] == crossed.parent.trace.decisions[0]
        assert crossed.parent.key in {word.key for word in words}
    near = EvolutionSampler(WORDS, 3, initial=0, mode="local_search")
    near.observe(word_of("abcdabcd"), 0.2, 1)
    near.observe(word_of("hhhh"), 0.9, 1)
    near.draw(0, 0)
    assert near.parent.key == word_of("hhhh").key
    only = EvolutionSampler(Words(1, "ab", ("one",)), 3, initial=0, mode="local_search")
    only.observe(only.space(random_choices(0)), 0.9, 1)
    assert only.draw(0, 0) is not None and only.parent is not None
    assert only.draw(1, 0) is not None and only.parent is None, "no neighbour is left: it is a random one"


def test_what_completes_a_small_space_has_no_parent():
    sampler = make_sampler("evolution", Words(1, "abc", ("one",)), 0, initial=1)
    drawn_parents = []
    while (word := sampler.propose()) is not None:
        drawn_parents.append(sampler.parent)
        sampler.observe(word, 0.5, 1)
    assert len(drawn_parents) == 3 and drawn_parents[0] is None
    assert sampler.parent is None


SCORES = st.one_of(st.none(), st.floats(-5, 5))


@given(st.lists(st.tuples(SCORES, st.integers(1, 4)), max_size=20))
def test_the_order_never_compares_scores_of_different_epochs(rows):
    ranked = [rows[i] for i in order(rows)]
    assert Counter(ranked) == Counter(rows)
    for (score, epochs), (other, later) in itertools.pairwise(ranked):
        if other is not None:
            assert score is not None
            assert epochs > later or (epochs == later and score >= other)


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=15))
def test_fronts_are_the_pareto_fronts(rows):
    partition = fronts(rows)
    assert sorted(i for front in partition for i in front) == list(range(len(rows)))
    for number, front in enumerate(partition):
        assert not any(dominates(rows[i], rows[j]) for i in front for j in front)
        for i in front:
            assert number == 0 or any(dominates(rows[j], rows[i]) for j in partition[number - 1])
        assert len(crowding([rows[i] for i in front])) == len(front)


def test_several_objectives_are_ordered_by_front_then_by_crowding():
    rows = [((1.0, 1.0), 1), ((3.0, 0.0), 1), ((0.0, 3.0), 1), ((0.9, 1.0), 1), (None, 1), ((1.1, 0.9), 1)]
    ranked = order(rows)
    assert set(ranked[:2]) == {1, 2}
    assert set(ranked[2:4]) == {0, 5}
    assert ranked[4:] == [3, 4]


def test_several_scores_survive_the_state():
    sampler = make_sampler("evolution", WORDS, 1, initial=4)
    for _ in range(12):
        word = sampler.propose()
        sampler.observe(word, (float(len(word.letters)), -float(word.letters.count("a"))), 1)
    other = make_sampler("evolution", WORDS, 1, initial=4)
    other.load_state_dict(json.loads(json.dumps(sampler.state_dict())))
    assert [sampler.propose() for _ in range(10)] == [other.propose() for _ in range(10)]
    assert clean([1, 2]) == (1.0, 2.0)
    assert clean((1.0, math.nan)) is None


def test_draws_depend_on_seed_number_attempt_and_what_was_told():
    first, other = (EvolutionSampler(WORDS, 5, initial=0) for _ in range(2))
    for sampler in (first, other):
        observe_words(sampler, 6)
    drawn = [first.draw(number, attempt) for number in range(5) for attempt in range(3)]
    pairs = [(number, attempt) for number in range(5) for attempt in range(3)]
    random.Random(0).shuffle(pairs)
    again = {pair: other.draw(*pair) for pair in pairs}
    assert [again[number, attempt] for number in range(5) for attempt in range(3)] == drawn


@pytest.mark.parametrize("name", ["evolution", "gp"])
def test_the_first_proposals_are_children_of_references(name):
    reference, elsewhere = WORDS(random_choices(5)), Words(alphabet="z")(random_choices(6))

    def likeness(begun):
        sampler = make_sampler(name, WORDS, 0)
        sampler.begin(begun)
        decisions = Counter(reference.trace.decisions)
        words = [sampler.propose() for _ in range(10)]
        return [(Counter(word.trace.decisions) & decisions).total() / decisions.total() for word in words]

    near, far = likeness([elsewhere, reference]), likeness([elsewhere])
    assert near[1::2] == far[1::2], "every other proposal stays random"
    assert sum(near[::2]) / 5 > 0.7 > sum(far[::2]) / 5


def test_a_state_needs_no_references():
    """References come anew with each start of a search; so the state holds observations alone."""
    first, second = (make_sampler("evolution", WORDS, 3) for _ in range(2))
    reference = WORDS(random_choices(5))
    first.begin([reference])
    first.propose()
    second.load_state_dict(json.loads(json.dumps(first.state_dict())))
    second.begin([reference])
    assert [second.propose() for _ in range(8)] == [first.propose() for _ in range(8)]
