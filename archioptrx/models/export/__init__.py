"""Exporters: trained networks as files that don't need this package, such as plain PyTorch and ONNX.

For the bundled ones the network becomes a small program first (`program`: classes of layers, statements of the forward
pass), made by `plan` from the steps and loops of its computation graph: block by block (the `source` of each
signature), with smaller graphs as variables (`pooled`) and the scales of the data (`geometry`), for hits in physical
units or scaled by the caller (`form`). `python` writes the program as source code. The other formats begin with that:
`onnx_file` hands it to torch's exporter (`onnx_graph` makes the result faster), `script_file` traces it,
`compiled_file` compiles it; `acts` and `triton` use these for scaled hits (`edge_scores`).

A user's own exporter is one decorated function, in a module that the experiment names under `imports`::

    @exporter("numbers", suffix=".npz")
    def write_numbers(export, path):                       # archioptrx.models.export.trained.Take, pathlib.Path
        numpy.savez(path, **{name: one.numpy() for name, one in export.trained.model.state_dict().items()})
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from archioptrx.core.errors import InputError
from archioptrx.core.plugins import DescribedRegistry

Write = Callable[..., Any]
"""Function that writes a model to a new file or folder; it returns a text that the command prints, or None."""


@dataclass(frozen=True)
class ExporterDescription:
    """Description of an exporter, known without importing it.

    Attributes
    ----------
    suffix
        Ending of the name of the file that it writes, with its dot; "": it writes a folder.
    others
        Endings that the file may have instead.
    beside
        Endings of further files that it writes, of the same name otherwise.
    importable
        True: the file is a module of Python, so its name has to be an identifier.
    """

    suffix: str
    beside: tuple[str, ...] = ()
    importable: bool = False
    others: tuple[str, ...] = ()

    @property
    def endings(self) -> tuple[str, ...]:
        """Endings that the file may have, the usual one first."""
        return (self.suffix, *self.others)


EXPORTERS: DescribedRegistry[Write, ExporterDescription] = DescribedRegistry(
    "exporter",
    {
        "python": ("archioptrx.models.export.files", ExporterDescription(".py", (".pt",), importable=True)),
        "onnx": ("archioptrx.models.export.onnx_file", ExporterDescription(".onnx")),
        "torchscript": ("archioptrx.models.export.script_file", ExporterDescription(".pt")),
        "pt2": ("archioptrx.models.export.compiled_file", ExporterDescription(".pt2")),
        "acts": ("archioptrx.models.export.acts", ExporterDescription(".onnx", (".json", ".py"), others=(".pt",))),
        "triton": ("archioptrx.models.export.triton", ExporterDescription("")),
        "triton_torchscript": ("archioptrx.models.export.triton", ExporterDescription("")),
    },
)
"""Every exporter, by the name of its format; without one, the first with the ending of a file's name writes it."""


def exporter(
    name: str, suffix: str, beside: Sequence[str] = (), importable: bool = False, others: Sequence[str] = ()
) -> Callable[[Write], Write]:
    """Make a decorator that registers a function `write(export, path) -> text or None` as the exporter of a format.

    Parameters
    ----------
    name
        Name of the format, as `archioptrx export --format` gives it.
    suffix, beside, importable, others
        See `ExporterDescription`.

    Raises
    ------
    InputError
        An ending has no dot at its start.
    """
    for ending in (*([] if suffix == "" and not others else [suffix]), *beside, *others):
        if not isinstance(ending, str) or not ending.startswith(".") or len(ending) < 2:
            raise InputError(f"exporter {name}: the ending {ending!r} of its file; allowed: a dot and letters")
    return EXPORTERS.describing(name, ExporterDescription(suffix, tuple(beside), importable, tuple(others)))
