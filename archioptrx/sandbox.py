"""Functions for the notebook `examples/sandbox.ipynb`: sliders from a YAML file, networks from numbers, commands."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archioptrx.commands.cli import main
from archioptrx.core.config import Fields, finish, read_yaml
from archioptrx.core.errors import ArchiOpTrXError, InputError, did_you_mean
from archioptrx.graphs.sketches.builder import build
from archioptrx.graphs.sketches.sketch import Sketch

if TYPE_CHECKING:
    from ipywidgets import VBox

__all__ = ["Control", "Controls", "build", "command", "save"]
Number = int | float


@dataclass(frozen=True)
class Control:
    """One slider or menu.

    Attributes
    ----------
    name, about
        Name and meaning of the value.
    value
        Initial value.
    start, stop, step
        Range of a slider, both ends included; None for a menu.
    choices
        Values of a menu; empty for a slider.
    """

    name: str
    about: str
    value: Any
    start: Number | None = None
    stop: Number | None = None
    step: Number | None = None
    choices: tuple[Any, ...] = ()


class Controls:
    """The sliders and menus of one section of a file.

    Without a browser they have the values of the file.

    Parameters
    ----------
    controls
        Sliders and menus, in the order in which they are shown.

    Raises
    ------
    InputError
        The package ipywidgets is not installed.
    """

    def __init__(self, controls: tuple[Control, ...]) -> None:
        try:
            import ipywidgets
        except ImportError as error:
            raise InputError("sliders: need ipywidgets; allowed: pip install 'archioptrx[notebook]'") from error
        self.controls = controls
        self.widgets = {control.name: _widget(ipywidgets, control) for control in controls}
        self.box: VBox = ipywidgets.VBox(list(self.widgets.values()))

    @property
    def values(self) -> dict[str, Any]:
        """Present value of each control, by name."""
        return {name: widget.value for name, widget in self.widgets.items()}

    def __getitem__(self, name: str) -> Any:
        """Present value of one control."""
        if name not in self.widgets:
            raise InputError(f"sliders: none is named {name!r}; {did_you_mean(name, self.widgets)}")
        return self.widgets[name].value

    def _repr_mimebundle_(self, **keywords: Any) -> Any:
        """Forms that a notebook can show, for a cell that ends with the controls."""
        return self.box._repr_mimebundle_(**keywords)

    @staticmethod
    def load(path: str | Path, section: str) -> Controls:
        """Read a section of a file: `NAME: {value: 2, from: 0, to: 4, step: 1, about: …}` or `{value: …, of: […]}`.

        Raises
        ------
        InputError
            All faults, one line each.
        """
        faults: list[str] = []
        top = Fields(read_yaml(path), str(path), faults)
        for name in top.content:
            top.inside(name)
        if section not in top.content:
            raise InputError(f"{path}: has no section {section!r}; {did_you_mean(section, top.content)}")
        fields = Fields(top.content[section], top.at(section), faults)
        controls = tuple(_parse(fields.inside(name), name) for name in fields.content)
        finish(faults)
        return Controls(controls)


def _parse(fields: Fields, name: str) -> Control:
    """Read the control of one line of a section."""
    about = fields.take("about", str, "")
    if "of" in fields.content:
        choices = tuple(fields.take("of", list) or ())
        value = fields.content.get("value", choices[0] if choices else None)
        fields.taken.append("value")
        if value not in choices:
            fields.fault("value", f"is {value!r}; {did_you_mean(value, map(str, choices))}")
        fields.rest()
        return Control(name, about, value, choices=choices)
    number = (int, float)
    start, stop = fields.take("from", number), fields.take("to", number)
    step, value = fields.take("step", number, 1, minimum=1e-9), fields.take("value", number)
    fields.rest()
    if None not in (start, stop, value) and not start <= value <= stop:
        fields.fault("value", f"is {value}; allowed: from {start} to {stop}")
    return Control(name, about, value, start, stop, step)


def _widget(ipywidgets: Any, control: Control) -> Any:
    """Slider or menu of ipywidgets for a control."""
    common = {
        "value": control.value,
        "description": control.name.replace("_", " "),
        "tooltip": control.about,
        "style": {"description_width": "12em"},
        "layout": {"width": "32em"},
    }
    if control.choices:
        return ipywidgets.Dropdown(options=list(control.choices), **common)
    whole = all(isinstance(number, int) for number in (control.start, control.stop, control.step, control.value))
    slider = ipywidgets.IntSlider if whole else ipywidgets.FloatSlider
    return slider(min=control.start, max=control.stop, step=control.step, **common)


def save(sketch: Mapping[str, Any], path: str | Path) -> Path:
    """Check a sketch and write it to a file, which commands accept as an architecture; the path.

    Raises
    ------
    InputError
        All faults of the sketch, one line each.
    """
    path = Path(path)
    text = Sketch.from_dict(sketch, str(path)).to_yaml()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def command(line: str) -> None:
    """Run `archioptrx LINE` as in a terminal; its output is printed below the cell.

    Raises
    ------
    ArchiOpTrXError
        The command ended with an exit code other than 0; it has printed the reason.
    """
    try:
        code = main(shlex.split(line))
    except SystemExit as end:  # an unknown option, or --help
        code = int(end.code or 0)
    if code:
        raise ArchiOpTrXError(f"archioptrx {line}: ended with {code}; the reason is printed above")
