"""Makes the pictures of the documentation: `python docs/pictures.py [FOLDER]`, in the top folder.

A function graph, a walk on it, and the network that the walk gives.
"""

import sys
from pathlib import Path

from archioptrx.architecture import Architecture
from archioptrx.function_graph import FunctionGraph
from archioptrx.graph_drawing import picture_of
from archioptrx.strokes import Picture, beside
from archioptrx.walk_drawing import draw_walk


def pictures() -> dict[str, Picture]:
    """By the file's name."""
    graph, architecture = FunctionGraph.load("attention"), Architecture.load("attention_recursive")
    alone = draw_walk(graph, title="1. A function graph: the space")
    walk = draw_walk(graph, architecture.trace, "2. A walk on it: the sample")
    network = picture_of(architecture.graph, {"hits": 3, "target": 1}, architecture.hyperparameters, "3. The network")
    whole = beside([alone, walk, network], "A function graph, a walk on it, and the network that the walk gives")
    return {"function_graph": alone, "walk": whole, "network": network}


def main() -> None:
    """Write them."""
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "docs/pictures")
    folder.mkdir(parents=True, exist_ok=True)
    for name, picture in pictures().items():
        (folder / f"{name}.svg").write_text(picture.svg() + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
