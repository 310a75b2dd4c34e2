"""The convolutions of torch_geometric.nn as facts: arguments, inputs and widths of each class, without torch.

A test compares all of it with the classes themselves. Sizes and modules that a class wants follow from the widths of
inputs and output: they are no arguments of the user. A module is a small perceptron; the argument of its name is the
list of its hidden widths.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from archioptrx.graphs.signatures.parameter import Parameter
from archioptrx.graphs.signatures.width import Width

FEATURE, WEIGHT = "feature", "weight"
"""Uses of an edge input: channels that the messages depend on; one number that multiplies the message."""
START, POSITION = "start", "position"
"""Uses of a second node input: values of an earlier layer, of equal width; coordinates, of any width."""
REQUIRED: Any = ...
"""Default of an argument that has none."""
EDGE_KEYWORDS = {FEATURE: "edge_attr", WEIGHT: "edge_weight"}
"""Argument of a call that takes the edge input."""

Arguments = Mapping[str, Any]


@dataclass(frozen=True)
class Sizes:
    """Widths of the values that a convolution reads and gives; None for an input that it doesn't have."""

    own: Width
    second: Width | None
    edges: Width | None
    output: Width


@dataclass(frozen=True)
class Channels:
    """The same widths as numbers, 0 for an input that isn't there; `result` is that of one part of the result."""

    own: int
    second: int
    edges: int
    result: int


@dataclass(frozen=True)
class PerceptronWidths:
    """A module that a class wants: linear layers of these widths, with a ReLU between."""

    widths: tuple[int, ...]


Rule = Callable[[Sizes, Arguments], Iterable[str]]
Ends = Callable[[Channels], tuple[int, int]]
"""`channels -> (first, last) width of a perceptron`."""


def _no_rule(sizes: Sizes, arguments: Arguments) -> Iterable[str]:
    return ()


def _one(arguments: Arguments) -> int:
    return 1


@dataclass(frozen=True)
class ConvolutionFacts:
    """Facts of one class.

    Attributes
    ----------
    arguments
        Arguments that a user may give.
    widths
        Arguments that take widths: `in_channels`, `channels`, `out_channels`, `edge_dim` …
    perceptrons
        Arguments that take a module, with its first and last width.
    edges, edges_needed
        Use of an edge input, "" for none; whether there has to be one.
    second
        Use of a second node input, "" for none.
    keeps
        True: the result is as wide as the first input.
    parts
        `arguments -> number`: parts of equal width that the result consists of.
    rule
        Faults beyond single arguments.
    pairs_for_a_loss
        Argument of a call: pairs of hits without an edge, which the class would draw for a loss of its own.
    reason
        Reason for which the block `pyg` can't have this class; "": it can.
    """

    arguments: tuple[Parameter, ...] = ()
    widths: tuple[str, ...] = ()
    perceptrons: Mapping[str, Ends] | None = None
    edges: str = ""
    edges_needed: bool = False
    second: str = ""
    keeps: bool = False
    parts: Callable[[Arguments], int] = _one
    rule: Rule = _no_rule
    pairs_for_a_loss: str = ""
    reason: str = ""

    def argument(self, name: str) -> Parameter | None:
        """The argument of this name."""
        return next((parameter for parameter in self.arguments if parameter.name == name), None)

    def complete(self, given: Arguments) -> dict[str, Any]:
        """All arguments that have a value."""
        values = {p.name: given.get(p.name, p.default) for p in self.arguments}
        return {name: value for name, value in values.items() if value is not REQUIRED}


MOST_HITS = 10**15
"""Upper limit of the hits in `deg`: products with numbers of edges stay in int64."""
NUMBER, TEXT, SWITCH = (int,), (str,), (bool,)
AGGREGATIONS = ("add", "max", "mean", "min", "mul", "softmax", "std", "sum", "var")
"""Ways to sum up messages. `lstm` isn't one: its result depends on the order of the edges."""


def _switch(name: str, default: bool) -> Parameter:
    return Parameter(name, SWITCH, default)


def _whole(name: str, default: Any = REQUIRED, minimum: int = 1) -> Parameter:
    return Parameter(name, NUMBER, default, minimum=minimum)


def _number(name: str, default: Any = REQUIRED, minimum: float | None = None, below: float | None = None) -> Parameter:
    return Parameter(name, (float,), default, minimum=minimum, below=below)


def _texts(name: str, default: Any, *choices: str) -> Parameter:
    return Parameter(name, (list,), default, choices, items=TEXT)


def _aggr(default: Any, *lists: type) -> Parameter:
    return Parameter("aggr", (str, *lists), default, AGGREGATIONS, items=TEXT if lists else ())


def _layers(name: str) -> Parameter:
    return Parameter(name, (list,), None, minimum=1, items=NUMBER)


ADD, MAX, MEAN = _aggr("add"), _aggr("max"), _aggr("mean")
BIAS, LOOPS, NORMALIZE = _switch("bias", True), _switch("add_self_loops", True), _switch("normalize", True)
ROOT, SHARED = _switch("root_weight", True), _switch("shared_weights", True)
CACHED = _switch("cached", False)
CONCAT, HEADS = _switch("concat", True), _whole("heads", 1)
DROPOUT = _number("dropout", 0.0, minimum=0, below=1)
SLOPE = _number("negative_slope", 0.2)
FILL = Parameter("fill_value", (float, str), "mean", ("add", "max", "mean", "min", "mul"))
TWO = ("in_channels", "out_channels")


def _heads(arguments: Arguments) -> int:
    return int(arguments["heads"]) if arguments["concat"] else 1


def _powers(arguments: Arguments) -> int:
    return len(arguments["powers"])


def _divided(name: str) -> Rule:
    """The rule of a class that divides its result by itself."""

    def rule(sizes: Sizes, arguments: Arguments) -> Iterable[str]:
        number, parts = sizes.output.number, arguments[name]
        if number is not None and number % parts:
            yield f"can't divide its width {number} by {name}, {parts}; allowed: a multiple of {parts}"

    return rule


def _gated_rule(sizes: Sizes, arguments: Arguments) -> Iterable[str]:
    first, last = sizes.own.number, sizes.output.number
    if first is not None and last is not None and first > last:
        yield f"fills its input of width {first} up to width {last}; allowed: an output as wide or wider"


def _fa_rule(sizes: Sizes, arguments: Arguments) -> Iterable[str]:
    if sizes.edges is not None and arguments["normalize"]:
        yield "reads a weight of edges only with normalize: false"
    if sizes.edges is None and not arguments["normalize"]:
        yield "needs a weight of edges with normalize: false"


def _needed(name: str, why: str) -> Rule:
    """The rule of a class that doesn't work without a switch."""

    def rule(sizes: Sizes, arguments: Arguments) -> Iterable[str]:
        if not arguments[name]:
            yield f"fails with {name}: false {why}; allowed: {name}: true"

    return rule


def _gcn2_rule(sizes: Sizes, arguments: Arguments) -> Iterable[str]:
    if (arguments["theta"] is None) != (arguments["layer"] is None):
        yield "takes theta and layer together; allowed: both, or none"


def _pna_rule(sizes: Sizes, arguments: Arguments) -> Iterable[str]:
    # The class divides by the mean number of edges and by the mean of log(edges + 1).
    allowed = f"a list whose item k is the number of hits with k edges, fewer than {MOST_HITS:,} in all"
    if not any(arguments["deg"][1:]):
        yield f"has no hit with an edge in deg; allowed: {allowed}"
    elif sum(arguments["deg"]) >= MOST_HITS:
        yield f"has {sum(arguments['deg'])} hits in deg; allowed: {allowed}"
    yield from _divided("towers")(sizes, arguments)
    number, towers = sizes.own.number, arguments["towers"]
    if arguments["divide_input"] and number is not None and number % towers:
        yield f"can't divide its input of width {number} by towers, {towers}; allowed: a multiple of {towers}"


def _simple_rule(sizes: Sizes, arguments: Arguments) -> Iterable[str]:
    if arguments["combine_root"] == "self_loop" and sizes.edges is not None:
        yield "adds a loop to each hit, which has no weight; allowed: combine_root: self_loop without an edge input"


def _own_to_result(channels: Channels) -> tuple[int, int]:
    return channels.own, channels.result


def _pair_to_result(channels: Channels) -> tuple[int, int]:
    return 2 * channels.own, channels.result


def _own_and_second_to_result(channels: Channels) -> tuple[int, int]:
    return channels.own + channels.second, channels.result


def _second_to_result(channels: Channels) -> tuple[int, int]:
    return channels.second, channels.result


def _own_to_second(channels: Channels) -> tuple[int, int]:
    return channels.own, channels.second


def _edges_to_matrix(channels: Channels) -> tuple[int, int]:
    return channels.edges, channels.own * channels.result


def _beyond(reason: str) -> ConvolutionFacts:
    return ConvolutionFacts(reason=reason)


_GRAPH_OF_ITS_OWN = _beyond("makes edges of its own to the nearest neighbours, instead of those of the event")
_EDGE_TYPES = _beyond("needs types of edges, which no event has")
_TYPES = _beyond("needs types of hits and edges, which no event has")
_CUGRAPH = _beyond("needs the package pylibcugraphops and a GPU")

CONVOLUTIONS: Mapping[str, ConvolutionFacts] = {
    "AGNNConv": ConvolutionFacts((_switch("requires_grad", True), LOOPS, ADD), keeps=True),
    "APPNP": ConvolutionFacts(
        (_whole("K"), _number("alpha", minimum=0), DROPOUT, CACHED, LOOPS, NORMALIZE, ADD), edges=WEIGHT, keeps=True,
    ),
    "ARMAConv": ConvolutionFacts(
        (_whole("num_stacks", 1), _whole("num_layers", 1), _switch("shared_weights", False), DROPOUT, BIAS, ADD),
        TWO, edges=WEIGHT,
    ),
    "AntiSymmetricConv": ConvolutionFacts(
        (_whole("num_iters", 1), _number("epsilon", 0.1), _number("gamma", 0.1),
         Parameter("act", (str, type(None)), "tanh", ("relu", "sigmoid", "tanh")), BIAS),
        ("in_channels",), edges=WEIGHT, keeps=True,
    ),
    "CGConv": ConvolutionFacts(
        (ADD, _switch("batch_norm", False), BIAS), ("channels", "dim"), edges=FEATURE, keeps=True,
    ),
    "ChebConv": ConvolutionFacts(
        (_whole("K"), Parameter("normalization", TEXT, "sym", ("sym",)), BIAS, ADD), TWO, edges=WEIGHT,
    ),
    "ClusterGCNConv": ConvolutionFacts(
        (_number("diag_lambda", 0.0), LOOPS, BIAS, ADD), TWO, rule=_needed("add_self_loops", "in torch_geometric"),
    ),
    "CuGraphGATConv": _CUGRAPH,
    "CuGraphRGCNConv": _CUGRAPH,
    "CuGraphSAGEConv": _CUGRAPH,
    "DNAConv": _beyond("reads the values of all layers before it, of a third dimension"),
    "DirGNNConv": _beyond("wraps a convolution for both directions; the parameter direction does so for all"),
    "DynamicEdgeConv": _GRAPH_OF_ITS_OWN,
    "EGConv": ConvolutionFacts(
        (Parameter("aggregators", (list, type(None)), None, ("max", "mean", "min", "std", "sum", "symnorm", "var"),
                   items=TEXT),
         _whole("num_heads", 8), _whole("num_bases", 4), CACHED, LOOPS, BIAS),
        TWO, rule=_divided("num_heads"),
    ),
    "EdgeConv": ConvolutionFacts((_layers("nn"), MAX), perceptrons={"nn": _pair_to_result}),
    "FAConv": ConvolutionFacts(
        (_number("eps", 0.1), DROPOUT, CACHED, LOOPS, NORMALIZE, ADD),
        ("channels",), edges=WEIGHT, second=START, keeps=True, rule=_fa_rule,
    ),
    "FastRGCNConv": _EDGE_TYPES,
    "FeaStConv": ConvolutionFacts(
        (HEADS, LOOPS, BIAS, MEAN), TWO, rule=_needed("add_self_loops", "on events without edges"),
    ),
    "FiLMConv": ConvolutionFacts((MEAN,), TWO),
    "FusedGATConv": _beyond("needs the package dgNN and a GPU"),
    "GATConv": ConvolutionFacts(
        (HEADS, CONCAT, SLOPE, DROPOUT, LOOPS, FILL, BIAS, _switch("residual", False), ADD),
        (*TWO, "edge_dim"), edges=FEATURE, parts=_heads,
    ),
    "GATv2Conv": ConvolutionFacts(
        (HEADS, CONCAT, SLOPE, DROPOUT, LOOPS, FILL, BIAS, _switch("share_weights", False), _switch("residual", False),
         ADD),
        (*TWO, "edge_dim"), edges=FEATURE, parts=_heads,
    ),
    "GCN2Conv": ConvolutionFacts(
        (_number("alpha", minimum=0), Parameter("theta", (float, type(None)), None, minimum=0),
         Parameter("layer", (int, type(None)), None, minimum=1), SHARED, CACHED, LOOPS, NORMALIZE,
         # Without max, min and mul: the class changes its result in place, and these have no gradients then.
         Parameter("aggr", TEXT, "add", ("add", "mean", "softmax", "std", "sum", "var"))),
        ("channels",), edges=WEIGHT, second=START, keeps=True, rule=_gcn2_rule,
    ),
    "GCNConv": ConvolutionFacts(
        (_switch("improved", False), CACHED, Parameter("add_self_loops", (bool, type(None)), None), NORMALIZE, BIAS,
         ADD),
        TWO, edges=WEIGHT,
    ),
    "GENConv": ConvolutionFacts(
        (_aggr("softmax", list), _number("t", 1.0), _switch("learn_t", False), _number("p", 1.0),
         _switch("learn_p", False), _switch("msg_norm", False), _switch("learn_msg_scale", False),
         Parameter("norm", (str, type(None)), "batch", ("batch", "layer")), _whole("num_layers", 2),
         _whole("expansion", 2), _number("eps", 1e-7), _switch("bias", False)),
        (*TWO, "edge_dim"), edges=FEATURE,
    ),
    "GINConv": ConvolutionFacts(
        (_layers("nn"), _number("eps", 0.0), _switch("train_eps", False), ADD), perceptrons={"nn": _own_to_result},
    ),
    "GINEConv": ConvolutionFacts(
        (_layers("nn"), _number("eps", 0.0), _switch("train_eps", False), ADD), ("edge_dim",),
        perceptrons={"nn": _own_to_result}, edges=FEATURE, edges_needed=True,
    ),
    "GMMConv": ConvolutionFacts(
        (_whole("kernel_size"), _switch("separate_gaussians", False), MEAN, ROOT, BIAS),
        (*TWO, "dim"), edges=FEATURE, edges_needed=True, rule=_needed("root_weight", "in torch_geometric"),
    ),
    "GPSConv": _beyond("wraps a convolution, and lets all hits of a batch attend to each other"),
    "GatedGraphConv": ConvolutionFacts(
        (_whole("num_layers"), ADD, BIAS), ("out_channels",), edges=WEIGHT, rule=_gated_rule,
    ),
    "GeneralConv": ConvolutionFacts(
        (ADD, _switch("skip_linear", False), _switch("directed_msg", True), HEADS, _switch("attention", False),
         Parameter("attention_type", TEXT, "additive", ("additive", "dot_product")), _switch("l2_normalize", False),
         BIAS),
        (*TWO, "in_edge_channels"), edges=FEATURE,
    ),
    "GraphConv": ConvolutionFacts((ADD, BIAS), TWO, edges=WEIGHT),
    "GravNetConv": _GRAPH_OF_ITS_OWN,
    "HANConv": _TYPES,
    "HEATConv": _TYPES,
    "HGTConv": _TYPES,
    "HeteroConv": _TYPES,
    "HypergraphConv": _beyond("reads hyperedges, which join any number of hits"),
    "LEConv": ConvolutionFacts((BIAS, ADD), TWO, edges=WEIGHT),
    "LGConv": ConvolutionFacts((NORMALIZE, ADD), edges=WEIGHT, keeps=True),
    "MFConv": ConvolutionFacts((_whole("max_degree", 10), BIAS, ADD), TWO),
    "MeshCNNConv": _beyond("needs a mesh, in which each edge has four neighbours"),
    "MixHopConv": ConvolutionFacts(
        (Parameter("powers", (list, type(None)), None, minimum=0, items=NUMBER), LOOPS, BIAS, ADD),
        TWO, edges=WEIGHT,
        parts=lambda arguments: 3 if arguments["powers"] is None else len(arguments["powers"]),
    ),
    "NNConv": ConvolutionFacts(
        (_layers("nn"), ADD, ROOT, BIAS), TWO,
        perceptrons={"nn": _edges_to_matrix}, edges=FEATURE, edges_needed=True,
    ),
    "PANConv": _beyond("needs torch-sparse, and gives a second result"),
    "PDNConv": ConvolutionFacts(
        (_whole("hidden_channels", None), LOOPS, NORMALIZE, BIAS, ADD),
        (*TWO, "edge_dim"), edges=FEATURE, edges_needed=True,
    ),
    "PNAConv": ConvolutionFacts(
        (_texts("aggregators", REQUIRED, "max", "mean", "min", "std", "sum", "var"),
         _texts("scalers", REQUIRED, "amplification", "attenuation", "identity", "inverse_linear", "linear"),
         Parameter("deg", (list,), REQUIRED, minimum=0, items=NUMBER), _whole("towers", 1), _whole("pre_layers", 1),
         _whole("post_layers", 1), _switch("divide_input", False),
         Parameter("act", TEXT, "relu", ("elu", "gelu", "leaky_relu", "relu", "silu", "tanh")),
         _switch("train_norm", False)),
        (*TWO, "edge_dim"), edges=FEATURE, rule=_pna_rule,
    ),
    "PPFConv": _beyond("needs the normal of a surface at each hit"),
    "PointGNNConv": ConvolutionFacts(
        (_layers("mlp_h"), _layers("mlp_f"), _layers("mlp_g"), MAX),
        perceptrons={
            "mlp_h": _own_to_second, "mlp_f": _own_and_second_to_result, "mlp_g": _own_to_result,
        },
        second=POSITION, keeps=True,
    ),
    "PointNetConv": ConvolutionFacts(
        (_layers("local_nn"), LOOPS, MAX), perceptrons={"local_nn": _own_and_second_to_result}, second=POSITION,
    ),
    "PointTransformerConv": ConvolutionFacts(
        (_layers("pos_nn"), LOOPS, ADD), TWO, perceptrons={"pos_nn": _second_to_result}, second=POSITION,
    ),
    "RGATConv": _EDGE_TYPES,
    "RGCNConv": _EDGE_TYPES,
    "ResGatedGraphConv": ConvolutionFacts((ROOT, BIAS, ADD), (*TWO, "edge_dim"), edges=FEATURE),
    "SAGEConv": ConvolutionFacts(
        (_aggr("mean", list), _switch("normalize", False), ROOT, _switch("project", False), BIAS), TWO,
    ),
    "SGConv": ConvolutionFacts((_whole("K", 1), CACHED, LOOPS, BIAS, ADD), TWO, edges=WEIGHT),
    "SSGConv": ConvolutionFacts(
        (_number("alpha", minimum=0), _whole("K", 1), CACHED, LOOPS, BIAS, ADD), TWO, edges=WEIGHT,
    ),
    "SignedConv": _beyond("needs edges of two kinds, positive and negative"),
    "SimpleConv": ConvolutionFacts(
        (_aggr("sum"), Parameter("combine_root", (str, type(None)), None, ("self_loop", "sum"))),
        edges=WEIGHT, keeps=True, rule=_simple_rule,
    ),
    "SplineConv": _beyond("needs the package pyg-lib, and features of edges from 0 to 1"),
    "SuperGATConv": ConvolutionFacts(
        (HEADS, CONCAT, SLOPE, DROPOUT, LOOPS, BIAS, Parameter("attention_type", TEXT, "MX", ("MX", "SD")), ADD),
        TWO, parts=_heads, pairs_for_a_loss="neg_edge_index",
    ),
    "TAGConv": ConvolutionFacts((_whole("K", 3), BIAS, NORMALIZE, ADD), TWO, edges=WEIGHT),
    "TransformerConv": ConvolutionFacts(
        (HEADS, CONCAT, _switch("beta", False), DROPOUT, BIAS, ROOT, ADD),
        (*TWO, "edge_dim"), edges=FEATURE, parts=_heads,
    ),
    "WLConv": _beyond("counts colours of hits, and has neither weights nor derivatives"),
    "WLConvContinuous": ConvolutionFacts(edges=WEIGHT, keeps=True),
    "XConv": _GRAPH_OF_ITS_OWN,
}  # fmt: skip
"""Facts of the classes of torch_geometric 2.8, by name."""
