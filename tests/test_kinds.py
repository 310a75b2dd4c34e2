"""Kinds of data: what tells data from those of a training, also of the data that they are made of."""

from dataclasses import replace

import pytest

from archioptrx.data.dataset import Metadata
from archioptrx.data.kinds import other_kind

TRACKML = Metadata("trackml", options={"slope_max": 0.001, "signal_pt": 1.0, "path": "a"})


def made_of(inner, source="learned", depth=1):
    """Metadata of a line or learned graph of some data, several times over."""
    for _ in range(depth):
        signal = {"signal_pt": inner.options["signal_pt"]}
        inner = replace(inner, source=source, options={**signal, "of": inner.to_dict()})
    return inner


@pytest.mark.parametrize("depth", [1, 2])
@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"source": "acts"}, "{of}source acts (training: trackml)"),
        ({"sectors": 4}, "φ sectors 4 (training: 1)"),
        ({"own_units": True}, "units own (training: mm, rad)"),
        ({"options": {**TRACKML.options, "slope_max": 0.002}}, "{of}slope_max 0.002 (training: 0.001)"),
        ({"options": {**TRACKML.options, "signal_pt": 0.5}}, "signal_pt 0.5 (training: 1)"),
        ({"source": "hitgraphs", "options": {"signal_pt": 1.0}}, ""),
        ({"options": {**TRACKML.options, "path": "b"}}, ""),
    ],
)
def test_what_differs_inside_is_named_once(changes, text, depth):
    other = replace(TRACKML, **changes)
    assert other_kind(TRACKML, other) == text.format(of="")
    assert other_kind(made_of(TRACKML, depth=depth), made_of(other, depth=depth)) == text.format(of="of." * depth)


def test_data_made_of_others_are_of_another_kind_than_these():
    assert other_kind(TRACKML, made_of(TRACKML, "line_graph")) == "source line_graph (training: trackml)"


def test_the_choice_of_events_and_the_place_of_rules_make_no_other_kind() -> None:
    for first, second in (({"from_event": 0, "below_event": 50}, {"from_event": 50, "below_event": 60}),):
        assert other_kind(Metadata("colliderml", options=first), Metadata("colliderml", options=second)) == ""
    rules = [Metadata("acorn", options={"acorn_config": path}) for path in ("a.yaml", "b.yaml")]
    assert other_kind(*rules) == ""


def test_events_of_acts_and_simulated_ones_have_the_same_graphs():
    """`fatras` has `acts` read its events: what only one of them says of its events is no difference of graphs."""
    simulated = Metadata("fatras", options={"slope_max": 0.001, "z0_max": 200.0, "particles": 25, "pileup": 0})
    files = Metadata("acts", options={"slope_max": 0.001, "z0_max": 200.0})
    assert other_kind(simulated, files) == other_kind(files, simulated) == ""
    assert other_kind(simulated, replace(files, source="trackml")) == "source trackml (training: fatras)"
    assert other_kind(made_with(simulated), made_with(files)) == ""
    narrow = replace(files, sectors=2, options={"slope_max": 0.001, "z0_max": 250.0, "eta_max": 2.5})
    assert other_kind(simulated, narrow) == (
        "φ sectors 2 (training: 1), eta_max 2.5 (training: none), z0_max 250 (training: 200)"
    )
    crowded = replace(simulated, options={**simulated.options, "pileup": 20})
    assert other_kind(simulated, crowded) == "pileup 20 (training: 0)"


def made_with(inner):
    """Metadata of a learned graph of some data."""
    return replace(inner, source="learned", options={"of": inner.to_dict()})
