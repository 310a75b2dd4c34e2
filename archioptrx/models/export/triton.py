"""Writing of an export as a model of NVIDIA's Triton server: a folder of a model repository.

Names, types and the logits as the only output are those of exatrkx-service's model `gnn`: scaled hits in, [E] out.
Features of edges are computed inside.
"""

from __future__ import annotations

from pathlib import Path

from archioptrx.core.errors import InputError
from archioptrx.core.files import new_folder
from archioptrx.core.printing import printable
from archioptrx.models.export import EXPORTERS
from archioptrx.models.export.edge_scores import check_edge_scores, onnx_logits, scale_of, script_logits
from archioptrx.models.export.form import Scaled, single
from archioptrx.models.export.trained import Take

NAMES = {"x": "INPUT__0", "edge_index": "INPUT__1", "output": "OUTPUT__0"}
"""Names of the tensors. The libtorch backend asks for this form."""


@EXPORTERS.registering("triton")
def export_onnx(take: Take, path: Path) -> str:
    """Write a folder of Triton's model repository with ONNX."""
    _check_name(path)
    scaled, form = _scaled(take, "triton")
    content, error = onnx_logits(scaled, form, NAMES, False, "triton")
    return _write(scaled, form, path, ("onnxruntime_onnx", "model.onnx"), content, error)


@EXPORTERS.registering("triton_torchscript")
def export_torchscript(take: Take, path: Path) -> str:
    """Write a folder of Triton's model repository with TorchScript."""
    _check_name(path)
    scaled, form = _scaled(take, "triton_torchscript")
    content, error = script_logits(scaled, form, False, "triton_torchscript")
    return _write(scaled, form, path, ("pytorch_libtorch", "model.pt"), content, error)


def _check_name(path: Path) -> None:
    """Refuse a name that a text protobuf, and the address of a model, would have to escape."""
    if any(sign in "\"'\\" or not sign.isprintable() for sign in path.name):
        allowed = "allowed: a name without quotes, backslashes and control characters"
        raise InputError(
            f"--output: the folder's name is {path.name!r:.100}, and Triton's name of the model; {allowed}"
        )


def _scaled(take: Take, kind: str) -> tuple[Take, Scaled]:
    check_edge_scores(take, kind)
    metadata = take.trained.metadata
    columns = zip(metadata.node_features, metadata.node_scale, strict=True)
    scales = tuple(single(scale_of(name, scale)) for name, scale in columns)
    form = Scaled(tuple(range(len(scales))), scales, edges=False)
    return take.in_form(form), form


def _write(take: Take, form: Scaled, path: Path, kind: tuple[str, str], content: bytes, error: float) -> str:
    platform, file = kind
    with new_folder(path) as fresh:
        (fresh / "1").mkdir()
        (fresh / "1" / file).write_bytes(content)
        (fresh / "config.pbtxt").write_text(config(take, form, path.name, platform), encoding="utf-8")
    return (
        f"{path}: config.pbtxt and 1/{file}: {NAMES['x']} [N, {form.columns}], {NAMES['edge_index']} [2, E] -> "
        f"{NAMES['output']} [E], a logit\ndiffers from the model by {error:.1e} at most, on random graphs"
    )


def config(take: Take, form: Scaled, name: str, platform: str) -> str:
    """The text of `config.pbtxt`."""
    columns = zip(take.trained.metadata.node_features, form.scales, strict=True)
    facts = take.facts
    comments = (
        f"A network that ArchiOpTrX found: run {facts['run']}, fingerprint {facts['fingerprint']}.",
        f"{NAMES['x']}: columns of hits, divided: {', '.join(f'{column} / {scale!r}' for column, scale in columns)}.",
        f"{NAMES['edge_index']}: {facts['edge_index']}.",
        f"{NAMES['output']}: their logits; the probability {facts['cut']:g} is {facts['cut_logit']:g}.",
    )
    # Names of runs and columns may have line breaks, which would end a comment.
    about = "\n".join(f"# {printable(' '.join(text.splitlines()))}" for text in comments)
    return f"""\
{about}
name: "{name}"
platform: "{platform}"
max_batch_size: 0
input [
  {{ name: "{NAMES["x"]}" data_type: TYPE_FP32 dims: [ -1, {form.columns} ] }},
  {{ name: "{NAMES["edge_index"]}" data_type: TYPE_INT64 dims: [ 2, -1 ] }}
]
output [
  {{ name: "{NAMES["output"]}" data_type: TYPE_FP32 dims: [ -1 ] }}
]
"""
