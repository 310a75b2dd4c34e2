"""Reading of YAML files: search by name or path, checks of keys; all faults are collected."""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from archioptrx.core.errors import InputError, did_you_mean
from archioptrx.core.reading import reading, shown

PACKAGE = Path(__file__).resolve().parent.parent
ARCHITECTURES = "experiments/architectures"
REQUIRED: Any = object()
"""Default of a required key."""
LONGEST_NUMBER = 300
"""Characters of a whole number."""
NAMES = {bool: "true or false", int: "a whole number", float: "a number", str: "a text", list: "a list",
         dict: "a mapping", type(None): "null"}  # fmt: skip


class _Loader(yaml.SafeLoader):
    """Loader of safe YAML in which a repeated key is a fault and 1e-3 is a number (in YAML 1.1 it is a text)."""


def _mapping(loader: _Loader, node: yaml.MappingNode) -> dict[Any, Any]:
    """Read a mapping; a repeated key raises ConstructorError."""
    keys = [loader.construct_object(key, deep=True) for key, _ in node.value]
    earlier_keys: set[Any] = set()
    for index, key in enumerate(keys):
        mark = node.value[index][0].start_mark
        if not isinstance(key, Hashable):
            raise yaml.constructor.ConstructorError(None, None, f"{shown(key)} can't be a key; allowed: a text", mark)
        if key in earlier_keys:
            raise yaml.constructor.ConstructorError(None, None, f"the key {shown(key)} stands twice", mark)
        earlier_keys.add(key)
    return {key: loader.construct_object(value, deep=True) for key, (_, value) in zip(keys, node.value, strict=True)}


def _text(loader: _Loader, node: yaml.ScalarNode) -> str:
    """Read a text; one that no file can hold raises ConstructorError."""
    text = str(loader.construct_scalar(node))
    if "\0" in text or any("\ud800" <= character <= "\udfff" for character in text):
        raise yaml.constructor.ConstructorError(None, None, f"{text[:100]!r} is no text", node.start_mark)
    return text


def _whole(loader: _Loader, node: yaml.ScalarNode) -> int:
    """Read a whole number; one of over 300 digits, which nothing here takes, raises ConstructorError."""
    if len(node.value) > LONGEST_NUMBER:
        raise yaml.constructor.ConstructorError(None, None, "the number has too many digits", node.start_mark)
    return loader.construct_yaml_int(node)


_Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)
_Loader.add_constructor("tag:yaml.org,2002:str", _text)
_Loader.add_constructor("tag:yaml.org,2002:int", _whole)
_Loader.yaml_implicit_resolvers = {k: list(v) for k, v in yaml.SafeLoader.yaml_implicit_resolvers.items()}
_FLOAT = re.compile(r"^[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)[eE][-+]?[0-9]+$")
for _first in "-+0123456789.":
    _Loader.yaml_implicit_resolvers.setdefault(_first, []).insert(0, ("tag:yaml.org,2002:float", _FLOAT))


def read_yaml(path: str | Path) -> Any:
    """Parse a YAML file.

    Raises
    ------
    InputError
        The file is missing, a folder, empty, not UTF-8 text or not YAML; the line is named.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise InputError(f"{path}: can't be read: {(error.strerror or str(error)).lower()}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: is not a text file; allowed: YAML in UTF-8") from error
    return parse_yaml(text, str(path))


def parse_yaml(text: str, place: str) -> Any:
    """Parse YAML text; `place` begins each message.

    Raises
    ------
    InputError
        The text is not YAML, or empty; the line is named.
    """
    with reading(place):
        try:
            content = yaml.load(text, Loader=_Loader)
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            line = f" line {mark.line + 1}:" if mark else ""
            raise InputError(f"{place}:{line} {' '.join(str(error.problem or 'is not YAML').split())}") from error
        except yaml.YAMLError as error:
            raise InputError(f"{place}: is not YAML: {' '.join(str(error).split())}") from error
    if content is None:
        raise InputError(f"{place}: is empty")
    return content


def folder(kind: str) -> Path:
    """Folder of the bundled files of a kind: beside the package in a checkout, inside it when installed."""
    beside = PACKAGE.parent / kind
    return beside if (PACKAGE.parent / "setup.cfg").is_file() and beside.is_dir() else PACKAGE / kind


def bundled_names(kind: str) -> list[str]:
    """Names of the bundled files of a kind (`function_graphs`, `search_spaces`, `experiments` …), sorted."""
    return sorted(path.stem for path in folder(kind).glob("*.yaml"))


def bundled(kind: str, name: str | Path) -> Path:
    """Find a file by its bundled name (with or without .yaml) or by its path; a path that exists comes first.

    The path of an architecture may be that of a model folder.

    Raises
    ------
    InputError
        There is no such file; the bundled names are listed.
    """
    path = Path(name)
    if path.is_file():
        return path
    if kind == ARCHITECTURES and (path / "weights.pt").is_file() and (path / "architecture.yaml").is_file():
        return path / "architecture.yaml"
    inside = folder(kind) / (path.name if path.suffix in (".yaml", ".yml") else f"{path.name}.yaml")
    if str(path) == path.name and inside.is_file():
        return inside
    noun = kind.split("/")[-1].removesuffix("s").replace("_", " ")
    fault = "is a folder, no" if path.is_dir() else "no such"
    raise InputError(f"{name}: {fault} {noun}; {did_you_mean(path.stem, bundled_names(kind))}, or a path")


def kind_of(value: object) -> str:
    """Name of a value's type in the words of a user: `a number`, `a list` …"""
    return NAMES.get(type(value), type(value).__name__)


class Fields:
    """A mapping whose keys are taken one after the other; all faults are collected.

    Parameters
    ----------
    content
        The mapping; anything else is a fault.
    place
        File and path inside it (`file: path.inside`), the start of every message.
    faults
        The list that faults are added to, common to all sections of a file.

    Attributes
    ----------
    content
        The mapping, with texts as keys; empty where there was none.
    taken
        Keys that were taken so far.
    """

    def __init__(self, content: object, place: str, faults: list[str]) -> None:
        self.place, self.faults = place, faults
        self.taken: list[str] = []
        if not isinstance(content, Mapping):
            self.fault("", f"is {kind_of(content)}; allowed: a mapping")
            content = {}
        self.content: Mapping[str, Any] = {str(key): value for key, value in content.items()}

    def at(self, key: str) -> str:
        """Place of a key, for messages."""
        if not key:
            return self.place
        return f"{self.place}.{key}" if ": " in self.place else f"{self.place}: {key}"

    def fault(self, key: str, text: str) -> None:
        """Add a fault at a key; `text` is `what is wrong; allowed: …`."""
        self.faults.append(f"{self.at(key)}: {text}")

    def take(
        self,
        key: str,
        types: type | tuple[type, ...],
        default: Any = REQUIRED,
        choices: Iterable[str] | None = None,
        minimum: float | None = None,
        maximum: float | None = None,
    ) -> Any:
        """Value of a key, checked. With a fault it is the default (or None), so that reading goes on.

        Parameters
        ----------
        key
            The key; a missing one is a fault if there is no default.
        types
            Allowed types. A whole number is allowed where `float` is, and becomes one.
        default
            Value of a missing key; it is not checked.
        choices
            Allowed texts.
        minimum, maximum
            Bounds of a number, both allowed.
        """
        self.taken.append(key)
        fallback = None if default is REQUIRED else default
        if key not in self.content:
            if default is REQUIRED:
                self.fault(key, "is missing")
            return fallback
        value = self.content[key]
        kinds = types if isinstance(types, tuple) else (types,)
        if float in kinds and isinstance(value, int) and not isinstance(value, bool) and int not in kinds:
            value = float(value)
        if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
            self.fault(key, f"is {shown(value)}; allowed: {' or '.join(NAMES.get(k, k.__name__) for k in kinds)}")
            return fallback
        if choices is not None and isinstance(value, str) and value not in (allowed := list(choices)):
            self.fault(key, f"is {shown(value)}; {did_you_mean(value, allowed)}")
            return fallback
        if isinstance(value, int | float) and not isinstance(value, bool):
            low = minimum is not None and not value >= minimum
            high = maximum is not None and not value <= maximum
            if low or high:
                bounds = [f"{minimum:g} or more"] * (minimum is not None) + [f"{maximum} or less"] * (
                    maximum is not None
                )
                self.fault(key, f"is {shown(value)}; allowed: {', '.join(bounds)}")
                return fallback
        return value

    def inside(self, key: str, default: Any = REQUIRED) -> Fields:
        """A mapping inside this one, as Fields with the same list of faults."""
        content = self.take(key, dict, default)
        return Fields({} if content is None else content, self.at(key), self.faults)

    def rest(self) -> None:
        """Add a fault for each key that was not taken, as it is unknown."""
        for key in self.content:
            if key not in self.taken:
                self.fault(key, f"is unknown; {did_you_mean(key, self.taken)}")


def finish(faults: list[str]) -> None:
    """Raise InputError if there are faults."""
    if faults:
        raise InputError(*faults)
