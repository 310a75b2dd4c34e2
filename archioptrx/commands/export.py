"""`archioptrx export MODEL`: a trained model as a file that needs nothing of ArchiOpTrX."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from archioptrx.commands.cli import command, new_parser
from archioptrx.core.config import finish
from archioptrx.core.errors import InputError

SUFFIX = {"python": ".py", "onnx": ".onnx"}


def parser() -> argparse.ArgumentParser:
    """The options of this command."""
    new = new_parser("export", "Write a trained model as a file that needs nothing of ArchiOpTrX.")
    new.add_argument("model", metavar="MODEL", help="folder that `train` wrote, a run (its best) or RUN/ID")
    new.add_argument(
        "--format",
        choices=tuple(SUFFIX),
        help="python: readable PyTorch and a file of weights; onnx (default: by the name of --output, else python)",
    )
    new.add_argument("--output", metavar="FILE", type=Path, help="the new file (default: model.py or model.onnx)")
    new.add_argument(
        "--cut", type=float, default=0.5, metavar="F", help="probability that accepts, for the record (default: 0.5)"
    )
    return new


def run(args: argparse.Namespace) -> int:
    """Plan, write, compare with the model, say what there is."""
    kind, path = target(args.format, args.output)
    if not 0 < args.cut < 1:
        raise InputError(f"--cut: is {args.cut:g}; allowed: between 0 and 1")
    # torch is imported from here on.
    from archioptrx.models.export.files import write_python
    from archioptrx.models.export.onnx_file import write_onnx
    from archioptrx.models.export.trained import Take
    from archioptrx.models.model_folder import load_model, model_folder
    from archioptrx.runs.run_folder import trial_of

    trial = trial_of(args.model)
    place = model_folder(args.model) if trial is None else trial[0].path / f"{trial[1]:04d}"
    take = Take.of(load_model(args.model), place, args.cut)
    found = (write_python if kind == "python" else write_onnx)(take, path)
    outputs = ", ".join(f"{one.name} {one.shape}" for one in take.program.outputs)
    weights = f" and {path.with_suffix('.pt').name}" if kind == "python" else ""
    print(f"{path}{weights}: hits [N, {len(take.facts['hits'])}], edge_index [2, E] -> {outputs}")
    if kind == "python":
        print(f"needs {take.program.needs}")
    print(f"differs from the model by {found:.1e} at most, on random graphs")
    return 0


def target(kind: str | None, path: Path | None) -> tuple[str, Path]:
    """Format and file, from whichever is given.

    >>> target(None, Path("a.onnx")), target("python", None)
    (('onnx', PosixPath('a.onnx')), ('python', PosixPath('model.py')))
    """
    asked, formats = kind is not None, {suffix: one for one, suffix in SUFFIX.items()}
    if kind is None:
        kind = "python" if path is None else formats.get(path.suffix, "python")
    path = Path(f"model{SUFFIX[kind]}") if path is None else path
    files = (path, path.with_suffix(".pt")) if kind == "python" else (path,)
    ends = SUFFIX[kind] if asked else " or ".join(SUFFIX.values())
    if path.suffix != SUFFIX[kind]:
        raise InputError(f"--output: is {path}; allowed: a name that ends in {ends}")
    faults = []
    if kind == "python" and not path.stem.isidentifier():
        faults.append(f"--output: {path.stem!r} can't be imported; allowed: letters, digits and _")
    if not path.parent.is_dir():
        faults.append(f"--output: there is no folder {path.parent}")
    faults += [f"--output: {one} is already there; allowed: a new file" for one in files if one.exists()]
    finish(faults)
    return kind, path


main = command(parser, run)

if __name__ == "__main__":
    sys.exit(main())
