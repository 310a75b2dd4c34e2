"""Earlier searches as prior knowledge: what is read, what samplers make of it, what is said."""

import json
import re
import shutil
from dataclasses import asdict

import numpy as np
import pytest
from small_search import lines, searched, small
from spaces import Words

from archioptrx.core.errors import InputError
from archioptrx.graphs.architecture import Architecture
from archioptrx.runs.run_folder import RunFolder
from archioptrx.sampling.samplers import make_sampler
from archioptrx.sampling.samplers.base import Earlier
from archioptrx.sampling.samplers.features import features
from archioptrx.sampling.samplers.gaussian_process import (
    Regression,
    cosines_among,
    evidence,
    fit,
    fit_kinship,
    kernel,
    levels_of,
    likeness,
    point_of,
)
from archioptrx.sampling.samplers.random import random_choices
from archioptrx.sampling.samplers.replay import replay
from archioptrx.sampling.samplers.variation import Start
from archioptrx.search.earlier import EarlierRuns, Gain
from archioptrx.search.final_report import final_json, final_text
from archioptrx.search.setup import prepare

WORDS = Words(alphabet="abcdefgh")
ONE = {"budget__trials": 6, "training__epochs": 1, "retrain__seeds": 1, "data__num_samples": 9}


def value(word):
    """The more a, and the longer, the better."""
    return word.letters.count("a") + 0.1 * len(word.letters)


def words(count, first=0):
    return [WORDS(random_choices(first + i)) for i in range(count)]


def earlier(count, search=1, sign=1.0):
    return [Earlier(search, word, sign * value(word), 1) for word in words(count, first=1000 * search)]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """An ended search."""
    path = tmp_path_factory.mktemp("earlier") / "first"
    searched(path, small(**ONE))
    return path


# --- the kernel ---------------------------------------------------------------------------------------------------


def test_the_posterior_with_several_searches_agrees_with_the_textbook():
    points = [point_of(features(word)) for word in words(14)]
    theta, kinship = np.array([-1.0] * 5 + [-3.0]), 0.6
    searches = np.array([1] * 4 + [2] * 3 + [0] * 7)
    whole = kernel(cosines_among(levels_of(points)), theta) * likeness(searches, searches, kinship)
    targets = np.linspace(-1, 1, 10)
    solved = np.linalg.solve(whole[:10, :10] + np.exp(-3) * np.eye(10), whole[:10, 10:])
    regression = Regression(points[:9], theta, searches[:9], kinship)
    regression.append(points[9])
    posterior = regression.posterior(targets, points[10:])
    np.testing.assert_allclose(posterior.mean, solved.T @ targets, atol=1e-9)
    np.testing.assert_allclose(posterior.covariance, whole[10:, 10:] - whole[10:, :10] @ solved, atol=1e-9)


@pytest.mark.parametrize(("sign", "least", "most"), [(1.0, 0.8, 1.0), (-1.0, 0.0, 0.3)])
def test_searches_that_rank_alike_are_kin(sign, least, most):
    trained = words(40)
    points = [point_of(features(word)) for word in trained * 2]
    scores = np.array([value(word) for word in trained])
    scores = (scores - scores.mean()) / scores.std()
    searches = np.array([1] * 40 + [0] * 40)
    _, kinship = fit_kinship(cosines_among(levels_of(points)), np.concatenate([sign * scores, scores]), searches)
    assert least <= kinship <= most


def test_the_fit_climbs_the_evidence():
    points = [point_of(features(word)) for word in words(30)]
    parts, targets = cosines_among(levels_of(points)), np.array([value(word) for word in words(30)])
    targets = (targets - targets.mean()) / targets.std()
    best = fit(parts, targets)
    assert evidence(parts, targets, best) > evidence(parts, targets, np.array([-1.5] * len(parts) + [-2.0]))
    for place in range(len(best)):  # a maximum: no step to either side is better, but for the last steps of the search
        for step in (-0.5, 0.5):
            beside = best + step * np.eye(len(best))[place]
            assert evidence(parts, targets, beside) < evidence(parts, targets, best) + 0.01


# --- samplers -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["evolution", "gp"])
def test_the_best_of_each_search_are_tried_again_first(name):
    known = earlier(20) + earlier(20, search=2)
    order = [sorted((t for t in known if t.search == search), key=lambda t: -t.score)[:3] for search in (1, 2)]
    best = [trial.candidate for pair in zip(*order, strict=True) for trial in pair]
    sampler = make_sampler(name, WORDS, 0, initial=20)
    sampler.begin([], known)
    assert [sampler.propose().letters for _ in range(12)][::2] == [word.letters for word in best]


def test_what_the_space_lacks_is_not_tried_again():
    other = Words(alphabet="z")(random_choices(0))
    start = Start.of(WORDS, [], [Earlier(1, other, 9.0, 1), *earlier(2)])
    assert len(start.again) == 2


def test_gp_learns_from_earlier_searches():
    """Its first own proposal, without a score of this search, is far better than random ones."""

    def first(known):
        scores = []
        for seed in range(10):
            sampler = make_sampler("gp", WORDS, seed, initial=2)
            sampler.begin([], known)
            sampler.propose()
            scores.append(value(sampler.propose()))
        return sum(scores) / len(scores)

    assert first(earlier(60)) > first([]) + 1.0


def test_earlier_searches_that_mislead_are_found_out():
    known, scores = earlier(60, sign=-1.0), []
    sampler = make_sampler("gp", WORDS)
    sampler.begin([], known)
    for _ in range(60):
        word = sampler.propose()
        sampler.observe(word, value(word), 1)
        scores.append(value(word))
    assert max(scores) > 6


def test_a_state_goes_on_the_same_with_earlier_searches():
    known = earlier(30)
    first, second = (make_sampler("gp", WORDS, 3, initial=4) for _ in range(2))
    first.begin([], known)
    for _ in range(12):
        word = first.propose()
        first.observe(word, value(word), 1)
    second.load_state_dict(json.loads(json.dumps(first.state_dict())))
    second.begin([], known)
    assert [second.propose() for _ in range(6)] == [first.propose() for _ in range(6)]


# --- a search -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def second(run, tmp_path_factory):
    """A search that began with the first one, whose folder is gone since."""
    folder = tmp_path_factory.mktemp("later")
    copy = folder / "first"
    shutil.copytree(run, copy)
    experiment = small(**ONE, sampler={"name": "gp", "initial": 8}, earlier_runs=[str(copy)], seed=5)
    result = searched(folder / "second", experiment)
    shutil.rmtree(copy)
    return result, experiment


def test_a_search_begins_with_the_best_of_another(run, second):
    result, _ = second
    best = [row["fingerprint"] for row in RunFolder(run).rows()]
    proposals = [line["fingerprint"] for line in lines(result.folder.path / "proposals.jsonl")]
    assert [name for name in proposals if name in best][:3] == best[:3]
    assert proposals[0] == best[0]


def test_a_resume_does_not_need_the_other_folder(second):
    result, experiment = second
    before = lines(result.folder.path / "proposals.jsonl")
    longer = small(**{**ONE, "budget__trials": 8}, sampler=dict(experiment.sampler), seed=5)
    longer = longer.__class__(**{**longer.__dict__, "earlier_runs": experiment.earlier_runs})
    (result.folder.path / "sampler.json").unlink()  # so that all proposals are drawn again
    searched(result.folder.path, longer)
    assert lines(result.folder.path / "proposals.jsonl")[: len(before)] == before


def test_a_trial_that_patience_ended_counts_all_epochs(tmp_path):
    """It wasn't stopped because it was bad: samplers compare it with those that ran on."""
    experiment = small(
        **{**ONE, "budget__trials": 5, "training__epochs": 9, "training__patience": 1},
        sampler={"name": "evolution", "initial": 3},
        training__learning_rate=0.1,
    )
    folder = searched(tmp_path / "run", experiment).folder
    epochs = {row["epochs"] for row in folder.rows()}
    assert min(epochs) < 9 and {row["status"] for row in folder.rows()} == {"finished"}
    observed = re.findall(r", (\d+), null\]", (folder.path / "sampler.json").read_text())
    assert set(observed) == {"9"}
    later = small(**ONE, sampler=dict(experiment.sampler), earlier_runs=[str(folder.path)])
    assert {trial.epochs for trial in EarlierRuns.of(later, True).trials} == {9}


def test_the_gain_is_said(second):
    result, experiment = second
    gain = Gain.of(EarlierRuns.of(experiment, True, result.folder.path), result.folder.rows())
    assert gain.text.startswith("from 1 earlier search: 6 trials; ")
    assert f"{gain.tried_again} of their networks tried again, the best of them at place {gain.best_place}" in gain.text
    assert gain.text in final_text(result, experiment)
    assert json.loads(final_json(result, experiment))["earlier"] == asdict(gain)
    assert Gain.of(EarlierRuns(), result.folder.rows()) is None


def test_the_gain_of_hyperparameters_knows_them_apart():
    """Of one architecture all trials have its fingerprint; equal ranks give no correlation."""
    trace, graph = {"decisions": [], "function_graph": "", "search_space": ""}, Architecture.load("interaction").graph
    base = {"search": 1, "run": "r", "id": "0", "epochs": 1, "trace": trace, "graph": graph.to_dict(), "scores": None}
    rows = [{**base, "score": k / 10, "hyperparameters": {"width": k}} for k in range(6)]
    now = [{"fingerprint": graph.fingerprint, "score": 1.0, "hyperparameters": {"width": k}} for k in (5, 9)]
    text = Gain.of(EarlierRuns(tuple(rows)), now, architectures=False).text
    assert text.endswith("6 trials; 1 of their networks tried again, the best of them at place 1 of 2")
    now = [{"fingerprint": graph.fingerprint, "score": 1.0, "hyperparameters": {"width": k}} for k in range(6)]
    text = Gain.of(EarlierRuns(tuple(rows)), now, architectures=False).text
    assert text.endswith("rank correlation of the 6, then and now: -1.00")
    alike = [{**row, "score": 0.5} for row in rows]
    assert "correlation" not in Gain.of(EarlierRuns(tuple(alike)), now, architectures=False).text


def test_the_best_of_all_searches_come_first_and_none_of_them_twice():
    known = [*earlier(6), *earlier(6, search=2), *earlier(6, search=3)]
    best = {n: max((t for t in known if t.search == n), key=lambda trial: trial.score) for n in (1, 2, 3)}
    twin = Earlier(4, best[1].candidate, 1.0, 1)
    start = Start.of(WORDS, [best[2].candidate], [*known, twin])
    names = [replay(WORDS, trace).fingerprint for trace in start.again]
    assert names[0] == best[1].candidate.fingerprint and len(set(names)) == len(names) == 8
    assert best[2].candidate.fingerprint not in names  # it is a reference
    assert names.index(best[3].candidate.fingerprint) < 3
    assert start.length(4) == 16 and start.length(40) == 40
    # What is refused, as a constraint may, isn't proposed again and again.
    assert start.candidate(WORDS, 0, 1, attempt=1).fingerprint != names[0]


@pytest.mark.parametrize("name", ["gp", "evolution"])
def test_all_of_them_are_tried_whatever_initial_is(name):
    known = [*earlier(6), *earlier(6, search=2)]
    sampler = make_sampler(name, WORDS, 0, initial=2)
    sampler.begin([], known)
    wanted = {replay(WORDS, trace).fingerprint for trace in Start.of(WORDS, [], known).again}
    proposed = set()
    for _ in range(12):
        word = sampler.propose()
        proposed.add(word.fingerprint)
        sampler.observe(word, value(word), 1)
    assert len(wanted) == 6 and wanted <= proposed


@pytest.mark.parametrize(
    ("file", "change", "message"),
    [
        (
            "proposals.jsonl",
            lambda lines: lines[:2],
            r"trials.jsonl: line 3: proposal 2 isn't in proposals.jsonl",
        ),
        ("trials.jsonl", lambda lines: [lines[0].replace('"decisions"', '"other"')], r"earlier_runs: .*: trial 0"),
        (
            "proposals.jsonl",
            lambda lines: [line.replace('"types"', '"t"') for line in lines],
            r"earlier_runs: .*: trial 0",
        ),
    ],
)
def test_a_damaged_run_is_named(run, tmp_path, file, change, message):
    copy = shutil.copytree(run, tmp_path / "copy")
    lines = (copy / file).read_text().splitlines(keepends=True)
    (copy / file).write_text("".join(change(lines)))
    with pytest.raises(InputError, match=message):
        EarlierRuns.of(small(earlier_runs=[str(copy)]), True)


def test_the_winner_of_a_run_is_a_reference_that_can_be_varied(run, tmp_path):
    setup = prepare(small(references=[str(run / "best")]))
    assert [reference.name for reference in setup.references] == [f"{run.name}/best"] and setup.warnings == ()
    best = Architecture.load(run / "best" / "architecture.yaml")
    Architecture(best.graph, best.hyperparameters).save(tmp_path / "bare.yaml")
    (warning,) = prepare(small(references=[str(tmp_path / "bare.yaml")])).warnings
    assert warning.endswith("bare is tried, but samplers can't vary it, as its file has no decisions (trace)")


def test_the_same_metric_with_a_price_or_in_the_other_direction_ranks_otherwise(run):
    for objective, text in (
        ({"metric": "auc", "cost": "latency"}, "auc (max, 0.2 for a doubled latency)"),
        ({"metric": "auc", "mode": "min"}, "auc (min)"),
    ):
        setup = prepare(small(earlier_runs=[str(run)], sampler={"name": "gp"}, objective=objective))
        (warning,) = setup.warnings
        assert warning.endswith(f": its trials are ranked by auc (max), this one by {text}")


def test_scores_that_mean_something_else_are_warned_of(run):
    task = {"name": "edge_classification", "class_weight": 3.0}
    setup = prepare(small(earlier_runs=[str(run)], sampler={"name": "gp"}, task=task, objective="loss"))
    assert any(warning.endswith("options of the task by which loss means something else") for warning in setup.warnings)


def test_a_reference_that_stands_twice_is_refused():
    with pytest.raises(InputError, match=r"^references: interaction: is the same as another one; allowed: each archit"):
        prepare(small(references=["interaction", "interaction"]))


def test_a_run_that_stands_twice_is_refused(run):
    with pytest.raises(InputError, match=rf"^earlier_runs: {run}: stands twice; allowed: each once$"):
        EarlierRuns.of(small(earlier_runs=[str(run), f"{run}/."]), True)


def test_a_copy_that_is_gone_is_a_fault(second, tmp_path):
    result, experiment = second
    folder = tmp_path / "run"
    shutil.copytree(result.folder.path, folder)
    (folder / "earlier.jsonl").unlink()
    with pytest.raises(InputError, match=r"earlier\.jsonl: is missing"):
        EarlierRuns.of(experiment, True, folder)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"task": "node_embedding"}, "is a search for edge_classification; allowed: one for node_embedding"),
        ({"objective": ["auc", "parameters"]}, "has 1 goals; allowed: 2, as this search"),
        ({"architecture": "interaction"}, "is a search of another kind; allowed: one for hyperparameters"),
    ],
)
def test_what_cannot_be_compared_is_refused(run, keys, message):
    experiment = small(earlier_runs=[str(run)], **keys)
    with pytest.raises(InputError) as error:
        EarlierRuns.of(experiment, experiment.architecture is None)
    assert message in str(error.value)
    assert str(error.value).startswith(f"earlier_runs: {run}: ")


def test_a_search_with_another_metric_or_space_is_warned_of(run):
    known = {"earlier_runs": [str(run)], "sampler": {"name": "gp"}}
    assert prepare(small(**known)).warnings == ()
    (warning,) = prepare(small(**known, objective="purity_0.7")).warnings
    assert warning == f"earlier_runs: {run}: its trials are ranked by auc (max), this one by purity_0.7 (max)"
    other = small(**known, function_graph="pooling")
    *_, warning = prepare(other).warnings
    count = len(EarlierRuns.of(other, True).rows)
    assert warning.startswith(f"earlier_runs: {run}: the space lacks all of its {count} networks: gp learns from them")


def test_a_run_without_scores_is_refused(run, tmp_path):
    empty = tmp_path / "empty"
    shutil.copytree(run, empty)
    (empty / "trials.jsonl").write_text("")
    with pytest.raises(InputError, match="has no trial with a score"):
        EarlierRuns.of(small(earlier_runs=[str(empty)]), True)
    with pytest.raises(InputError, match="is no folder; allowed: a folder that `archioptrx search` wrote"):
        EarlierRuns.of(small(earlier_runs=[str(tmp_path / "nothing")]), True)
