"""The program as one readable Python file, and its weights."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping, Sequence

from torch import Tensor

from archioptrx.graphs.source.step import Assign
from archioptrx.graphs.source.text import TAB, WIDTH, Call, call, docstring, flat, lines, listed
from archioptrx.models.export.plan import texts
from archioptrx.models.export.program import Guard, Member, NamedClass, Output, Program, Repeat, Statement

LOAD = '''
def load(weights=WEIGHTS):
    """The trained network, ready for use."""
    model = Model()
    model.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
    return model.eval()
'''
SHAPES = {"hits": "[N, columns]", "x": "[N, columns]", "edge_index": "[2, E]", "edge_attr": "[E, 6]"}
"""Shape of each input."""


def source(program: Program, description: str) -> str:
    """The text of the file.

    Parameters
    ----------
    program
        The network.
    description
        The docstring of the file.
    """
    helpers = [text.strip() for text in program.helpers.values()]
    parts = [*program.geometry, *helpers, *(_layers(named) for named in program.classes), _model(program), LOAD.strip()]
    text = "\n\n\n".join(parts)
    imports = [*(["import math"] if "math." in text else []), "from pathlib import Path"]
    imports += ["from typing import NamedTuple"] if "NamedTuple" in text else []
    head = [*docstring(description), "", *imports, "", "import torch", "from torch import nn"]
    if program.convolutions:
        head += _imported("from torch_geometric.nn import ", program.convolutions)
    return "\n".join([*head, "", 'WEIGHTS = Path(__file__).with_suffix(".pt")']) + "\n\n\n" + text + "\n"


def _imported(before: str, names: Sequence[str]) -> list[str]:
    whole = before + ", ".join(names)
    return [whole] if len(whole) <= WIDTH else lines(call(before, *names))


def renamed(state: Mapping[str, Tensor], keys: Mapping[str, str]) -> dict[str, Tensor]:
    """A trained model's state dict under the names of the exported code, without weights that no target depends on."""
    renamed_state = {}
    for key, tensor in state.items():
        fitting = [prefix for prefix in keys if key.startswith(prefix)]
        if fitting:
            longest = max(fitting, key=len)
            renamed_state[keys[longest] + key[len(longest) :]] = tensor.detach().cpu().clone()
    return renamed_state


def _layers(named: NamedClass) -> str:
    layers = named.layers
    rows = [f"class {named.name}(nn.Module):", *docstring(layers.about, TAB), "", f"{TAB}def __init__(self):"]
    rows += [f"{TAB * 2}super().__init__()"]
    for name, code in layers.members:
        rows += lines(code, TAB * 2, f"self.{name} = ")
    rows += ["", *_head("forward", layers.arguments)]
    rows += [line for statement in layers.body for line in _statement(statement, TAB * 2)]
    return "\n".join([*rows, *lines(layers.result, TAB * 2, "return ")])


def _head(name: str, arguments: Sequence[str]) -> list[str]:
    return lines(call(f"def {name}", "self", *arguments), TAB, after=":")


def _model(program: Program) -> str:
    outputs = program.outputs
    arguments = (*program.arguments, *(["middle=None"] if program.middle else []))
    rows = ["class Model(nn.Module):", *docstring(_about(program), TAB), "", f"{TAB}def __init__(self):"]
    rows += [f"{TAB * 2}super().__init__()", *(line for item in program.members for line in _member(item)), ""]
    body = [line for item in program.body for line in _statement(item, TAB * 2)]
    body += _return([output.code for output in outputs])
    if not any(output.probability for output in outputs):
        return "\n".join([*rows, *_head("forward", arguments), *body])
    inner = "logits" if len(outputs) == 1 else "outputs"
    call_arguments = ", ".join(item.split("=")[0] for item in arguments)
    rows += [*_head("forward", arguments), *_probabilities(outputs, f"self.{inner}({call_arguments})"), ""]
    rows += _head(inner, arguments)
    description = "The same before the sigmoid: ranks that don't run into 0 and 1."
    return "\n".join([*rows, *docstring(description, TAB * 2), *body])


def _return(results: Sequence[str]) -> list[str]:
    whole = f"{TAB * 2}return {', '.join(results)}"
    return [whole] if len(whole) <= WIDTH else lines(Call("", tuple(results)), TAB * 2, "return ")


def _about(program: Program) -> str:
    inputs = ", ".join(f"{name} {SHAPES[name]}" for name in program.arguments)
    names = (f"{'probability' if output.probability else output.name} {output.shape}" for output in program.outputs)
    return textwrap.fill(f"{inputs} -> {'; '.join(names)}.", 80)


def _member(member: Member) -> list[str]:
    before, code = f"self.{member.name} = ", member.code
    if member.count > 1:
        code = f"nn.ModuleList({flat(member.code)} for _ in range({member.count}))"
        if len(f"{TAB * 2}{before}{code}") > WIDTH:
            code = call("nn.ModuleList", listed(*[member.code] * member.count))
    return lines(code, TAB * 2, before)


def _probabilities(outputs: Sequence[Output], inner: str) -> list[str]:
    if len(outputs) == 1:
        return [f"{TAB * 2}return {inner}.sigmoid()"]
    names = [f"out{place}" for place in range(len(outputs))]
    results = [f"{name}.sigmoid()" if output.probability else name for name, output in zip(names, outputs, strict=True)]
    return [f"{TAB * 2}{', '.join(names)} = {inner}", f"{TAB * 2}return {', '.join(results)}"]


def _statement(item: Statement, pad: str) -> list[str]:
    if isinstance(item, Assign):
        return _assignment(item, pad)
    inner = [line for statement in item.body for line in _statement(statement, pad + TAB)]
    if isinstance(item, Guard):
        return [f"{pad}if {item.condition}:", *inner]
    return [*_comment(item.comment, pad), f"{pad}for {_counter(item)} in range({item.count}):", *inner]


def _counter(loop: Repeat) -> str:
    return "turn" if any("turn" in text for text in texts(loop.body)) else "_"


def _assignment(assignment: Assign, pad: str) -> list[str]:
    before, comment = f"{assignment.target} = ", f"  # {assignment.comment}" if assignment.comment else ""
    whole = pad + before + flat(assignment.code) + comment
    if len(whole) <= WIDTH or isinstance(assignment.code, str):
        return [whole]
    first, *further = lines(assignment.code, pad, before)
    # With its comment the statement doesn't fit one line: the comment stands above it.
    return [*_comment(assignment.comment, pad), first, *further]


def _comment(text: str, pad: str) -> Iterable[str]:
    return textwrap.wrap(text, WIDTH, initial_indent=f"{pad}# ", subsequent_indent=f"{pad}# ") if text else ()
