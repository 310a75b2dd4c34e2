"""`archioptrx export MODEL`: a trained model as a file that doesn't need ArchiOpTrX."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from archioptrx.commands.cli import command, new_parser
from archioptrx.core.config import finish
from archioptrx.core.errors import InputError
from archioptrx.models.export import EXPORTERS

USUAL = "python"


def parser() -> argparse.ArgumentParser:
    """The options of this command."""
    new = new_parser("export", "Write a trained model as a file that needs nothing of ArchiOpTrX.")
    new.add_argument("model", metavar="MODEL", help="folder that `train` wrote, a run (its best) or RUN/ID")
    new.add_argument(
        "--format",
        metavar="NAME",
        help="python: readable PyTorch and a file of weights; onnx; torchscript; pt2; acts: for Acts' GNN plugin; "
        "triton, triton_torchscript: a model folder; or one of your own (default: by --output, or python)",
    )
    new.add_argument("--output", metavar="FILE", type=Path, help="new file or folder (default: model.py, model.onnx …)")
    new.add_argument(
        "--cut", type=float, default=0.5, metavar="F", help="probability that accepts, for the record (default: 0.5)"
    )
    return new


def run(args: argparse.Namespace) -> int:
    """Choose format and file, read the model, write it, print the exporter's remarks."""
    if args.format is None or args.format in EXPORTERS:
        target(args.format, args.output)  # what is wrong is said before torch is imported
    if not 0 < args.cut < 1:
        raise InputError(f"--cut: is {args.cut:g}; allowed: between 0 and 1")
    # torch is imported from here on.
    from archioptrx.models.export.trained import Take
    from archioptrx.models.model_folder import load_model, model_folder
    from archioptrx.runs.run_folder import trial_of

    trial = trial_of(args.model)
    place = model_folder(args.model) if trial is None else trial[0].path / f"{trial[1]:04d}"
    take = Take.of(load_model(args.model), place, args.cut)
    kind, path = target(args.format, args.output)  # a module of the model's experiment may have brought the format
    write = EXPORTERS.get(kind)
    with EXPORTERS.guarded(kind):
        message = write(take, path)
    if not path.exists():
        raise InputError(f"exporter {kind}: wrote no {path}; allowed: a file of that name")
    if message is not None and not isinstance(message, str):
        raise InputError(f"exporter {kind}: gave {type(message).__name__}; allowed: a text that is printed, or None")
    print(message or path)
    return 0


def target(kind: str | None, path: Path | None) -> tuple[str, Path]:
    """Format and file, each derived from the other where it isn't given.

    >>> target(None, Path("a.onnx")), target("python", None)
    (('onnx', PosixPath('a.onnx')), ('python', PosixPath('model.py')))
    """
    form = EXPORTERS.description(_format_of(path) if kind is None else kind, "--format")
    ends = _endings() if kind is None else form.endings
    kind = _format_of(path) if kind is None else kind
    path = Path(f"model{form.suffix}") if path is None else path
    if form.suffix and path.suffix not in form.endings:
        raise InputError(f"--output: is {path}; allowed: a name that ends in {listed(ends)}")
    faults = []
    if form.importable and not path.stem.isidentifier():
        faults.append(f"--output: {path.stem!r} can't be imported; allowed: letters, digits and _")
    if not path.parent.is_dir():
        faults.append(f"--output: there is no folder {path.parent}")
    files = (path, *(path.with_suffix(ending) for ending in form.beside))
    faults += [f"--output: {file} is already there; allowed: a new file" for file in files if file.exists()]
    finish(faults)
    return kind, path


def listed(names: Sequence[str]) -> str:
    """Names as a text.

    >>> listed([".py"]), listed([".py", ".onnx", ".pt"])
    ('.py', '.py, .onnx or .pt')
    """
    return " or ".join([", ".join(names[:-1])] * bool(names[1:]) + [names[-1]])


def _endings() -> list[str]:
    """Endings of the files of all formats, each once."""
    endings = (ending for name in EXPORTERS.in_order() for ending in EXPORTERS.description(name).endings)
    return [ending for ending in dict.fromkeys(endings) if ending]


def _format_of(path: Path | None) -> str:
    """Format with the ending of the file's name, else the usual one."""
    endings = {name: EXPORTERS.description(name).suffix for name in EXPORTERS.in_order()}
    fitting = (name for name, ending in endings.items() if path is not None and ending and ending == path.suffix)
    return next(fitting, USUAL)


main = command(parser, run)
