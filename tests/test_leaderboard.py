"""The table of trials: with one architecture its hyperparameters stand where fingerprints would."""

from hypothesis import given
from hypothesis import strategies as st

from archioptrx.graphs.architecture import Architecture
from archioptrx.runs.text import WIDTH, table_text
from archioptrx.training.objective import Goal, Objective

GRAPH = Architecture.load("interaction").graph
AUC = Objective((Goal("auc"),))
SEVERAL = Objective((Goal("auc"), Goal("parameters", "min"), Goal("latency", "min")))
SPACE = {"hidden": [16, 64], "depth": [1, 3], "activation": ["relu", "tanh"], "learning_rate": [0.000995951, 0.02],
         "weight_decay": [0.0, 1e-5], "optimizer": ["adamw", "adamax"], "warmup": [0.0, 0.2]}  # fmt: skip
ALL = [{name: values[place] for name, values in SPACE.items()} for place in (0, 1)]


def row(number, hyperparameters, fingerprint="0123456789abcdef", scores=None, **more):
    metrics = {"auc": 0.9, "parameters": 20801, "latency": 12.5}
    return {"proposal": number, "id": f"{number:04d}", "hyperparameters": hyperparameters, "fingerprint": fingerprint,
            "score": 0.9, "metrics": metrics, "parameters": 20801, "epochs": 3, "seconds": 95.0, "status": "finished",
            "reference": None, **({"scores": scores} if scores else {}), **more}  # fmt: skip


def table_of(rows, objective=AUC, top=10):
    return table_text(rows, top, objective, {trial["proposal"]: GRAPH for trial in rows})


def test_one_architecture_shows_the_hyperparameters_that_differ():
    text = table_of(
        [row(0, {"hidden": 16, "learning_rate": 0.000995951, "depth": 2}), row(1, {"hidden": 64, "depth": 2})]
    )
    head, names, first, second = text.splitlines()
    assert head.split() == ["learning"] and names.split()[-4:] == ["hidden", "rate", "time", "status"]
    assert first.split()[5:7] == ["16", "0.000996"] and second.split()[5:7] == ["64", "–"]
    assert not any(word in text for word in ("fingerprint", "0123456789", "steps", "depth"))


def test_what_differs_beyond_the_top_is_shown_too():
    assert "hidden" in table_of([row(0, {"hidden": 16}), row(1, {"hidden": 64})], top=1)


def test_several_architectures_or_one_trial_keep_the_fingerprint():
    for rows in ([row(0, ALL[0]), row(1, ALL[1], "fedcba9876543210")], [row(0, ALL[0])], [row(0, {}), row(1, {})]):
        assert "fingerprint" in table_of(rows) and "0123456789ab" in table_of(rows) and "hidden" not in table_of(rows)


@given(st.sampled_from([AUC, SEVERAL]), st.sets(st.sampled_from(sorted(SPACE)), min_size=1), st.booleans())
def test_it_fits_and_says_what_it_leaves_out(objective, names, reference):
    scores = [0.9, -20801, -12.5] if objective.several else None
    first, second = ({name: values[name] for name in names} for values in ALL)
    rows = [row(0, first, scores=scores, reference="attention_recursive" if reference else None),
            row(1, second, scores=scores, status="failed")]  # fmt: skip
    text = table_of(rows, objective)
    assert max(map(len, text.splitlines())) <= WIDTH
    assert "finished" in text and "failed" in text and "…" not in text
    left_out = text.partition("no room for: ")[2].removesuffix(" (in --json)").split(", ")
    table = text.partition("no room for: ")[0]
    for name in names:
        assert (name in left_out) != all(word in table for word in name.split("_"))
