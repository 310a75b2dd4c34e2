"""Registries: parts by name, bundled ones imported when they are asked for."""

import importlib
import sys
from pkgutil import walk_packages

import pytest

from archioptrx.commands.parts import DEFINING
from archioptrx.core.errors import InputError
from archioptrx.core.plugins import REGISTRIES, Registry


@pytest.fixture
def registry():
    thing_registry = Registry("thing", {"late": "json.tool"})
    yield thing_registry
    del REGISTRIES["thing"]


def test_a_registered_part_is_found_by_its_name(registry):
    @registry.registering("mine")
    def part() -> None: ...

    assert registry.get("mine") is part
    assert list(registry) == ["late", "mine"]
    assert registry.own() == ["late", "mine"]
    assert registry.origin("mine") == __name__
    assert REGISTRIES["thing"] is registry


def test_an_unknown_name_is_refused_with_the_known_ones(registry):
    with pytest.raises(InputError, match=r"^task\.name: is 'lat'; allowed: late \(did you mean late\?\)$"):
        registry.get("lat", "task.name")
    with pytest.raises(InputError, match=r"^thing: is 'x'; allowed: late$"):
        registry.get("x")


def test_a_name_belongs_to_one_module(registry):
    registry.register("late", object, "json.tool")  # the module that was named for it
    registry.register("late", int, "json.tool")  # a reload
    assert registry.get("late") is int
    with pytest.raises(InputError, match=r"^thing late: is registered by json\.tool already; allowed in me: another"):
        registry.register("late", str, "me")


def test_a_bundled_part_that_the_table_lacks_is_refused(registry):
    fault = r"^thing new: is in no line of the table of bundled parts; allowed: archioptrx\.new there$"
    with pytest.raises(InputError, match=fault):
        registry.register("new", object, "archioptrx.new")


def test_every_bundled_part_is_known_before_its_module_is_imported():
    """Its time is that of imports, which other tests of the suite need too."""
    for module in DEFINING:
        importlib.import_module(module)
    known = {kind: list(registry) for kind, registry in REGISTRIES.items()}
    for package in ("data", "models", "networks", "runs", "sampling", "tasks"):
        within = importlib.import_module(f"archioptrx.{package}")
        for module in walk_packages(within.__path__, f"{within.__name__}."):
            importlib.import_module(module.name)
    assert {kind: list(registry) for kind, registry in REGISTRIES.items()} == known


def test_the_module_of_a_bundled_part_is_imported_when_it_is_asked_for(registry):
    sys.modules.pop("json.tool", None)
    assert "late" in registry and len(registry) == 1
    assert "json.tool" not in sys.modules
    with pytest.raises(InputError, match=r"^thing late: json\.tool doesn't register it; allowed: a decorator there$"):
        registry.get("late")
    assert "json.tool" in sys.modules
