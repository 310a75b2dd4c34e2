"""The reference architectures: each a trace that the walk really produces."""

import pytest
import yaml

from archioptrx.core.config import bundled_names
from archioptrx.core.errors import ReplayError
from archioptrx.graphs.architecture import Architecture
from archioptrx.graphs.decisions import Decision, Trace
from archioptrx.graphs.function_graph import FunctionGraph
from archioptrx.graphs.nodes import FunctionNode
from archioptrx.graphs.parameter_count import count_parameters
from archioptrx.sampling.samplers import replay
from archioptrx.sampling.search_space import SearchSpace
from archioptrx.sampling.walk import WalkSpace

SPACES = {
    "attention": "attention",
    "attention_recursive": "attention",
    "interaction": "interaction",
    "message_passing": "message_passing",
    **{name: name for name in ("event", "hits", "notebook", "several")},
    "track_set": "event",
    "found_acts": "tracking",
    "found_medium": "tracking",
    "found_small": "tracking",
    "found_thin": "tracking",
}
"""Function graph of each; those that a search found are of the search space `small`, the others of `full`."""


def space_of(name: str) -> WalkSpace:
    return WalkSpace(
        FunctionGraph.load(SPACES[name]), SearchSpace.load("small" if name.startswith("found") else "full")
    )


def test_all_are_here():
    assert bundled_names("experiments/architectures") == sorted(SPACES)


@pytest.mark.parametrize("name", sorted(SPACES))
def test_the_walk_produces_it(name):
    architecture, space = Architecture.load(name), space_of(name)
    assert architecture.trace is not None and architecture.about
    candidate = replay(space, architecture.trace)
    assert candidate.graph == architecture.graph
    assert candidate.hyperparameters == architecture.hyperparameters
    assert architecture.trace.function_graph == space.function_graph.digest
    assert architecture.trace.search_space == space.search_space.digest


def test_the_recursive_attention_network_has_the_size_of_the_talk():
    architecture = Architecture.load("attention_recursive")
    assert count_parameters(architecture.graph, architecture.hyperparameters, {"hits": 3}) == 43_713


def test_a_trace_survives_an_added_function():
    trace = Architecture.load("attention_recursive").trace
    graph = FunctionGraph.load("attention")
    wider = graph.with_functions(FunctionNode("normalise", "norm", ("x",), "x"))
    candidate = replay(WalkSpace(wider, SearchSpace.load("full")), trace)
    assert candidate.fingerprint == Architecture.load("attention_recursive").graph.fingerprint


def test_replay_names_the_first_decision_that_is_no_longer_legal():
    space, trace = space_of("attention"), Architecture.load("attention").trace
    number = next(i for i, d in enumerate(trace.decisions) if d.label == "edge_geo" or d.label == "edge_net")
    gone = list(trace.decisions)
    gone[number] = gone[number]._replace(label="edge_nte")
    with pytest.raises(ReplayError, match=rf"decision {number} .*'edge_nte' is no longer allowed; allowed: .*edge_net"):
        replay(space, Trace(tuple(gone)))
    with pytest.raises(ReplayError, match=r"trace: ends after 3 decisions; .* comes next"):
        replay(space, Trace(trace.decisions[:3]))
    with pytest.raises(ReplayError, match=r"\(extra at x\) is left over: the walk has ended"):
        replay(space, Trace((*trace.decisions, Decision("extra", "x", "1"))))
    with pytest.raises(ReplayError, match="decision 0: is slot at x, but the walk asks for source at score"):
        replay(space, Trace((Decision("slot", "x", "0"),)))


def test_a_printed_network_is_a_comment_whatever_names_hold(tmp_path):
    """Control characters may stand in names, as YAML writes them; in a comment YAML refuses them."""
    text = Architecture.load("interaction").to_yaml().replace("function: encode\n", 'function: "en\\ecode"\n')
    odd = Architecture.from_dict(yaml.safe_load(text))
    assert odd.graph.steps[0].function == "en\x1bcode"
    odd.save(tmp_path / "odd.yaml")
    assert Architecture.load(tmp_path / "odd.yaml") == odd
