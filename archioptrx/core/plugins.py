"""Modules of the user's own: blocks, sources, samplers and other parts that register themselves while imported."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence

from archioptrx.core.config import finish


def import_modules(names: Sequence[str]) -> None:
    """Import the modules with the user's own blocks, samplers and sources; the current folder is searched too.

    Raises
    ------
    InputError
        One can't be imported, for whatever reason.
    """
    if names and os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    faults = []
    for name in names:
        try:
            importlib.import_module(name)
        except Exception as error:  # a module may do anything while it is imported
            where = ""
            if isinstance(error, ModuleNotFoundError) and error.name == name.partition(".")[0]:
                where = f"; allowed: an installed module, or one in the current folder, {os.getcwd()}"
            faults.append(f"imports: {name}: can't be imported: {type(error).__name__}: {error}{where}")
    finish(faults)
