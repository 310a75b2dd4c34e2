"""`archioptrx data SOURCE [PATH]`: make a data set, or look at one."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, Field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archioptrx.commands.cli import add_imports, command, new_parser
from archioptrx.core.config import finish
from archioptrx.core.errors import InputError
from archioptrx.core.plugins import import_modules
from archioptrx.data.built_set import as_built
from archioptrx.data.options import description, options_of
from archioptrx.data.plot import check_picture, plot
from archioptrx.data.sources import SOURCES, check_spec, load_dataset

if TYPE_CHECKING:
    from archioptrx.data.dataset import Dataset
    from archioptrx.data.storage.stored import Store

BUILDING = "building"
"""Key of the building's counts in a data set's options."""
WIDEST = 200
"""Characters of an option that are printed."""
MOST_HITS = 50_000
"""Hits of the events whose ceiling is computed, which takes some seconds."""


def parser() -> argparse.ArgumentParser:
    """The options of this command: those of each source, and what all share."""
    new = new_parser("data", "Make a data set, or look at one.", modules=False)
    sources = new.add_subparsers(dest="source", metavar="SOURCE", required=True)
    for name in SOURCES:
        options = options_of(name)
        source_parser = sources.add_parser(
            name, help=options.about, description=options.about[:1].upper() + options.about[1:], allow_abbrev=False
        )
        source_parser.add_argument(
            "--output", type=Path, metavar="DIR", help="write the data set here; a new or empty folder"
        )
        source_parser.add_argument("--plot", type=Path, metavar="FILE", help="draw the data set: .png, .svg or .pdf")
        source_parser.add_argument("--json", action="store_true", help="print one JSON document")
        source_parser.add_argument("--debug", action="store_true", help="print the traceback of an error")
        add_imports(source_parser)
        for field in fields(options):  # type: ignore[arg-type]
            if "help" in field.metadata:
                _add(source_parser, field)
        if name == "pickle":
            source_parser.add_argument(
                "--write", type=Path, metavar="FILE", help="make such a file of other data, then read it"
            )
            source_parser.add_argument(
                "--of", metavar="DATA", help="those data: a path, or described in YAML (a file or {…})"
            )
    return new


def _add(parser: argparse.ArgumentParser, field: Field[Any]) -> None:
    """Offer one option of a source; `path` is the argument without a name."""
    text, kind = field.metadata["help"], field.metadata["kind"]
    if field.name == "path":
        parser.add_argument("path", nargs="?", metavar="PATH", help=text)
        return
    flag = f"--{field.name.replace('_', '-')}"
    if kind is bool:
        parser.add_argument(flag, action=argparse.BooleanOptionalAction, default=None, help=text)
        return
    if field.default not in (None, (), MISSING):
        shown = f"{field.default:.4g}" if kind is float else str(field.default)
        text += f" (default: {shown})"
    name = {int: "N", float: "X", Path: "DIR"}.get(kind, "NAME")
    if kind in (list, tuple):
        parser.add_argument(flag, nargs="+", metavar=name, help=text)
    else:
        parser.add_argument(flag, type=kind, metavar=name, help=text)


def run(args: argparse.Namespace) -> int:
    """Make or read the data set, write it if asked to, and print its content."""
    if args.source == "pickle":
        make_pickle(args)
    known = [field.name for field in fields(options_of(args.source)) if "help" in field.metadata]  # type: ignore[arg-type]
    options = {name: getattr(args, name) for name in known if getattr(args, name) is not None}
    faults: list[str] = []
    check_spec({"source": args.source, **options}, "data", faults)
    finish(faults)
    for text in as_built({"source": args.source, **options})[1]:
        print(f"data: {text}", file=sys.stderr)
    if args.plot:
        check_picture(args.plot)
    # These import torch, which `--help` and a wrong option need not wait for.
    from archioptrx.data.copies import repetition
    from archioptrx.data.dataset import summary
    from archioptrx.data.sources.hitgraphs import check_empty, write
    from archioptrx.data.storage.stored import StoredGraphs

    if args.output:
        check_empty(args.output)
    dataset = load_dataset({"source": args.source, **options})
    if args.output:
        write(dataset, args.output)
    if args.plot:
        plot(dataset, args.plot)
    if text := repetition(dataset.graphs):
        print(f"data: {text}; allowed: each event once", file=sys.stderr)
    facts = summary(dataset)
    if found := ceiling_of(dataset):
        facts["ceiling"] = found
    if isinstance(dataset.graphs, StoredGraphs):
        facts["stored"] = storage_of(dataset.graphs.store)
    print(json.dumps(facts, indent=1, ensure_ascii=False) if args.json else as_text(facts))
    if args.output:
        print(f"written to {args.output}", file=sys.stderr)
    if args.plot:
        print(f"drawn to {args.plot}", file=sys.stderr)
    return 0


def ceiling_of(dataset: Dataset) -> dict[str, Any]:
    """What a perfect network would reach with the usual track finder on the first events; empty without particles.

    Of the events, those up to `MOST_HITS` hits are taken, whole, and one at least.
    """
    from archioptrx.data.storage.graph_views import facts_of, taken
    from archioptrx.tasks.edge_classification import EdgeClassification
    from archioptrx.tasks.task import no_particles
    from archioptrx.tasks.tracks.ceiling import ceiling
    from archioptrx.tasks.tracks.own_quantities import Frame
    from archioptrx.tasks.tracks.scores import signal_selection

    chosen: dict[str, list[int]] = {}
    facts, hits = facts_of(dataset.graphs), 0
    for place, graph in enumerate(facts):
        if graph.event not in chosen and hits > MOST_HITS:
            break
        chosen.setdefault(graph.event, []).append(place)
        hits += graph.hits
    graphs = list(taken(dataset.graphs, [place for places in chosen.values() for place in places]))
    task = EdgeClassification()
    if not graphs or graphs[0].get("pid") is None or no_particles(graphs) or task.truth_fault(graphs):
        return {}
    metadata = dataset.metadata
    numbers = ceiling(task, graphs, signal_selection(graphs, metadata.options), frame=Frame.of(metadata))
    return {"matching": "double", "events": len(chosen), **numbers} if numbers else {}


def ceiling_text(numbers: Mapping[str, Any]) -> str:
    """Efficiency, fakes and completeness of a perfect network's tracks as a line of text."""
    names = {"track_efficiency": "track efficiency", "track_fake_rate": "fakes", "track_completeness": "completeness"}
    parts = [f"{text} {numbers[name]:.4f}" for name, text in names.items() if numbers.get(name) is not None]
    rows = [row for row in numbers.get("pt", []) if row["from"] >= 1 and row["efficiency"] is not None]
    if high := sum(row["particles"] for row in rows):
        share = sum(row["particles"] * row["efficiency"] for row in rows) / high
        parts.insert(1, f"above 1 GeV {share:.4f}")
    parts += [f"{numbers['broken_chains']:,} particles in pieces"] if "broken_chains" in numbers else []
    events = f"{numbers['events']} event" + "s" * (numbers["events"] != 1)
    return f"{', '.join(parts)}, of {numbers['particles']:,} particles of {events}"


def storage_of(store: Store) -> dict[str, Any]:
    """Folder and size of a stored data set, and the size of the whole cache."""
    from archioptrx.data.storage import cache

    folders = cache.cached_folders()
    return {
        "folder": str(store.folder),
        "bytes": store.size,
        "temporary": store.temporary,
        "cache": {"sets": len(folders), "bytes": cache.size_of(folders)},
    }


def stored_text(stored: dict[str, Any]) -> str:
    """Folder and sizes of a stored data set as text."""
    from archioptrx.data.storage.cache import size_text

    if stored["temporary"]:
        return f"{size_text(stored['bytes'])}, until this command ends"
    cached = stored["cache"]
    return (
        f"{size_text(stored['bytes'])} in {stored['folder']}; all {cached['sets']} sets of the cache: "
        f"{size_text(cached['bytes'])}"
    )


def make_pickle(args: argparse.Namespace) -> None:
    """Write the samples of other data where `--write` says so; the command then reads that file.

    Raises
    ------
    InputError
        The other data or the file are wrong, or missing.
    """
    other = args.of or args.path
    faults = ["--of: stands without --write; allowed: both, or neither"] if args.of and not args.write else []
    faults += ["--of and PATH: both name the data; allowed: one of them"] if args.of and args.path else []
    faults += ["--write: has no data to write; allowed: --of DATA"] if args.write and not other else []
    faults += [f"{args.write}: exists already; allowed: a new file"] if args.write and args.write.exists() else []
    finish(faults)
    if not args.write:
        return
    spec = description(other)
    check_spec(spec, "--of", faults)
    finish(faults)
    from archioptrx.data.sources.pickle_writing import write

    write(load_dataset(spec, place="--of"), args.write)
    print(f"written to {args.write}", file=sys.stderr)
    args.path = str(args.write)


def as_text(facts: dict[str, Any]) -> str:
    """Summary as text."""
    metadata = facts["metadata"]
    rows = [
        ("source", metadata["source"]),
        ("events", f"{facts['events']:,}"),
        ("graphs", f"{facts['graphs']:,}"),
        ("hits", f"{facts['hits']:,}"),
        ("edges", f"{facts['edges']:,}"),
        ("true edges", f"{facts['true_fraction']:.1%}"),
        ("φ sectors", str(metadata["sectors"])),
        ("hit features", _scaled(metadata["node_features"], metadata["node_scale"])),
        ("edge features", _scaled(metadata["edge_features"], metadata["edge_scale"])),
        *((name, building_text(v) if name == BUILDING else _short(str(v))) for name, v in metadata["options"].items()),
        *([("ceiling", ceiling_text(facts["ceiling"]))] if "ceiling" in facts else []),
        ("fingerprint", facts["fingerprint"]),
        *([("on disk", stored_text(facts["stored"]))] if "stored" in facts else []),
    ]
    lines = [f"{name:16}{text}" for name, text in rows]
    lines += ["", f"{'per graph':16}{'minimum':>10}{'median':>10}{'maximum':>10}"]
    for name, spread in facts["per_graph"].items():
        form = "{:10.3f}" if name == "true_fraction" else "{:10,.0f}"
        lines.append(f"{name.replace('_', ' '):16}" + "".join(form.format(v) for v in spread.values()))
    return "\n".join(lines)


def building_text(counts: Mapping[str, float]) -> str:
    """Efficiency and purity of the graphs' construction; counts as in `archioptrx.data.graph_construction`."""
    if counts.get("true_edges") == 0:
        return "no edge is known to be true"
    if not {"true_edges", "kept_edges", "edges"} <= counts.keys():
        return ", ".join(f"{count:,} {name.replace('_', ' ')}" for name, count in counts.items())
    kept_edges, true_edges = counts["kept_edges"], counts["true_edges"]
    parts = [f"efficiency {kept_edges / true_edges:.4f} ({kept_edges:,} of {true_edges:,} true edges)"]
    if signal := counts.get("signal_edges"):
        kept_signal = counts.get("kept_signal_edges", 0)
        parts.append(f"of the signal {kept_signal / signal:.4f} ({kept_signal:,} of {signal:,})")
    parts.append(f"purity {kept_edges / max(1, counts['edges']):.4f}")
    aside = {"crossing_edges": "true edges cross sectors", "overlap_pairs": "pairs in one layer aside"}
    aside |= {"unlisted_hits": "hits of unlisted particles", "particle_edges": "edges inside a particle"}
    return ", ".join(parts + [f"{counts[name]:,} {text}" for name, text in aside.items() if counts.get(name)])


def _short(text: str) -> str:
    return text if len(text) <= WIDEST else f"{text[:WIDEST]}…"


def _scaled(names: list[str], scales: list[float]) -> str:
    return ", ".join(f"{name} / {scale:.4g}" for name, scale in zip(names, scales, strict=True))


_main = command(parser, run)


def main(argv: Sequence[str] | None = None) -> int:
    """Import the user's own sources, which become subcommands of the parser; then run the command."""
    early = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    early.add_argument("--imports", nargs="*", default=[])  # none: the command says it
    try:
        import_modules(early.parse_known_args(argv)[0].imports)
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    return _main(argv)
