"""Makes the pictures of the documentation: `python docs/pictures.py [FOLDER]`, in the top folder.

A function graph, a walk on it, and the network that the walk gives; and the examples of the page about the walk.
"""

import re
import sys
from pathlib import Path

import yaml

from archioptrx.graphs.architecture import Architecture
from archioptrx.graphs.decisions import Trace
from archioptrx.graphs.drawing.function_graph import draw_walk
from archioptrx.graphs.drawing.network import picture_of
from archioptrx.graphs.drawing.svg import Picture, beside
from archioptrx.graphs.function_graph import FunctionGraph
from archioptrx.sampling.samplers import replay
from archioptrx.sampling.search_space import SearchSpace
from archioptrx.sampling.walk import WalkSpace

PAGE = Path(__file__).resolve().parent / "walk.md"
TRACES = PAGE.parent / "walk_traces.yaml"


def pictures() -> dict[str, Picture]:
    """Pictures by the file's name."""
    graph, architecture = FunctionGraph.load("attention"), Architecture.load("attention_recursive")
    alone = draw_walk(graph, title="1. A function graph: the space")
    walk = draw_walk(graph, architecture.trace, "2. A walk on it: the sample")
    network = picture_of(architecture.graph, {"hits": 3, "target": 1}, architecture.hyperparameters, "3. The network")
    whole = beside([alone, walk, network], "A function graph, a walk on it, and the network that the walk gives")
    return {"function_graph": alone, "walk": whole, "network": network, "found": found(), **examples()}


def found() -> Picture:
    """The best network drawn by hand beside one that a search found; docs/search_value.md has the figures."""
    networks = []
    for name, title in (
        ("interaction", "Drawn by hand: 20,801 parameters"),
        ("found_thin", "Found: 3,206 parameters"),
    ):
        architecture = Architecture.load(name)
        widths = {"hits": 3, "doublet": 5, "target": 1}
        networks.append(picture_of(architecture.graph, widths, architecture.hyperparameters, title))
    return beside(networks, "The interaction network, and a network that a search found")


def examples() -> dict[str, Picture]:
    """Walks on the function graph of the page about the walk, each beside its network."""
    shown = re.search(r"```yaml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    graph = FunctionGraph.from_dict(yaml.safe_load(shown[1]))
    content = yaml.safe_load(TRACES.read_text(encoding="utf-8"))
    space = WalkSpace(graph, SearchSpace.from_dict(content["search_space"]))
    drawings = {}
    for name, decisions in content["traces"].items():
        candidate = replay(space, Trace.from_json({"decisions": decisions}))
        walk = draw_walk(graph, candidate.trace, "The walk")
        network = picture_of(
            candidate.graph, {"hits": 3, "doublet": 5, "target": 1}, candidate.hyperparameters, "The network"
        )
        drawings[name] = beside([walk, network], str(candidate.graph))
    return drawings


def main() -> None:
    """Write them."""
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "docs/pictures")
    folder.mkdir(parents=True, exist_ok=True)
    for name, picture in pictures().items():
        (folder / f"{name}.svg").write_text(picture.svg() + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
