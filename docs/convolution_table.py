"""Makes the tables of convolutions.md: `python docs/convolution_table.py`. A test compares the page with them."""

from archioptrx.graphs.signatures.convolutions import CONVOLUTIONS, REQUIRED, START, ConvolutionFacts


def table() -> str:
    """Both tables as Markdown."""
    rows = [f"| `{name}` | {' | '.join(cells(facts))} |" for name, facts in CONVOLUTIONS.items() if not facts.reason]
    others = [f"| `{name}` | {facts.reason} |" for name, facts in CONVOLUTIONS.items() if facts.reason]
    head = "| class | second node input | edge input | width of the result | must be given | may be given |"
    return "\n".join([
        f"{len(rows)} classes can be built:", "", head, "|---|---|---|---|---|---|", *rows, "",
        f"{len(others)} can't, for the reason given:", "", "| class | it |", "|---|---|", *others, "",
    ])  # fmt: skip


def cells(facts: ConvolutionFacts) -> list[str]:
    """Cells of a class that can be built."""
    second = {"": "", START: "an earlier value, as wide"}.get(facts.second, "coordinates")
    edges = facts.edges + " (needed)" * facts.edges_needed
    width = "that of the input" if facts.keeps else "any"
    parts = "heads" if facts.argument("concat") else "powers" if facts.argument("powers") else ""
    width += f", a multiple of the {parts}" if parts else ""
    needed = [f"`{p.name}`" for p in facts.arguments if p.default is REQUIRED]
    free = [f"`{p.name}`" for p in facts.arguments if p.default is not REQUIRED and p.name != "cached"]
    return [second, edges, width, ", ".join(needed), ", ".join(free)]


if __name__ == "__main__":
    print(table())
