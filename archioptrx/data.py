"""`archioptrx data SOURCE [PATH]`: make a data set, or look at one."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from archioptrx.cli import command, new_parser
from archioptrx.config import finish
from archioptrx.sources import SOURCES, check_spec, load_dataset
from archioptrx.sources.options import ToyOptions

TOY_FLAGS = {name: type(field.default) for name, field in ToyOptions.__dataclass_fields__.items() if name != "source"}


def parser() -> argparse.ArgumentParser:
    """The options of this command."""
    new = new_parser("data", "Make a data set, or look at one.")
    new.add_argument("source", choices=sorted(SOURCES), help="toy: made here; hitgraphs: .npz files of HEP.TrkX")
    new.add_argument("path", nargs="?", metavar="PATH", help="file or folder to read")
    new.add_argument("--output", type=Path, metavar="DIR", help="write the data set here; a new or empty folder")
    new.add_argument("--json", action="store_true", help="print one JSON document")
    files = new.add_argument_group("hitgraphs")
    files.add_argument("--sectors", type=int, metavar="N", help="φ sectors of an event (default: inferred)")
    files.add_argument("--skip-bad", action="store_true", default=None, help="leave out bad files and count them")
    toy = new.add_argument_group("toy (unit of length: 100 mm)")
    for name, kind in TOY_FLAGS.items():
        usual = getattr(ToyOptions, name)
        shown = f"default: {usual:.4g}" if kind is float else f"default: {usual}"
        toy.add_argument(f"--{name.replace('_', '-')}", type=kind, metavar="X" if kind is float else "N", help=shown)
    return new


def run(args: argparse.Namespace) -> int:
    """Make or read the data set, write it if asked to, and print what it holds."""
    names = ("path", "sectors", "skip_bad", *TOY_FLAGS)
    told = {name: getattr(args, name) for name in names if getattr(args, name, None) is not None}
    faults: list[str] = []
    check_spec({"source": args.source, **told}, "data", faults)
    finish(faults)
    # These import torch, which `--help` and a wrong option need not wait for.
    from archioptrx.dataset import summary
    from archioptrx.sources.hitgraphs import check_empty, write

    if args.output:
        check_empty(args.output)
    dataset = load_dataset({"source": args.source, **told})
    if args.output:
        write(dataset, args.output)
    about = summary(dataset)
    print(json.dumps(about, indent=1, ensure_ascii=False) if args.json else as_text(about))
    if args.output:
        print(f"written to {args.output}", file=sys.stderr)
    return 0


def as_text(about: dict[str, Any]) -> str:
    """Format a summary for reading."""
    metadata = about["metadata"]
    rows = [
        ("source", metadata["source"]),
        ("events", f"{about['events']:,}"),
        ("graphs", f"{about['graphs']:,}"),
        ("hits", f"{about['hits']:,}"),
        ("edges", f"{about['edges']:,}"),
        ("true edges", f"{about['true_fraction']:.1%}"),
        ("φ sectors", str(metadata["sectors"])),
        ("hit features", _scaled(metadata["node_features"], metadata["node_scale"])),
        ("edge features", _scaled(metadata["edge_features"], metadata["edge_scale"])),
        *((name, str(value)) for name, value in metadata["options"].items()),
        ("fingerprint", about["fingerprint"]),
    ]
    lines = [f"{name:16}{text}" for name, text in rows]
    lines += ["", f"{'per graph':16}{'minimum':>10}{'median':>10}{'maximum':>10}"]
    for name, spread in about["per_graph"].items():
        form = "{:10.3f}" if name == "true_fraction" else "{:10,.0f}"
        lines.append(f"{name.replace('_', ' '):16}" + "".join(form.format(v) for v in spread.values()))
    return "\n".join(lines)


def _scaled(names: list[str], scales: list[float]) -> str:
    return ", ".join(f"{name} / {scale:.4g}" for name, scale in zip(names, scales, strict=True))


main = command(parser, run)

if __name__ == "__main__":
    sys.exit(main())
