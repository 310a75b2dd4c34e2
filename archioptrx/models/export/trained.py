"""Input of an exporter: the trained network as a program, and its facts."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from archioptrx.core.errors import InputError
from archioptrx.core.version import __version__
from archioptrx.models.export.form import Scaled
from archioptrx.models.export.geometry import MIDDLE, about_hits, about_sectors
from archioptrx.models.export.plan import plan
from archioptrx.models.export.program import Program
from archioptrx.models.model_folder import TrainedModel
from archioptrx.networks.compile import Model
from archioptrx.tasks.classification_metrics import logit
from archioptrx.tasks.several import parts_of
from archioptrx.tasks.task import Task


@dataclass(frozen=True)
class Take:
    """A trained model to be exported.

    Attributes
    ----------
    trained
        The model, with its task and the metadata of its data.
    origin
        Name of the model folder; RUN/best or RUN/ID of a search.
    cut
        Probability from which an edge counts as true.
    """

    trained: TrainedModel
    origin: str
    cut: float

    @staticmethod
    def of(trained: TrainedModel, folder: Path, cut: float) -> Take:
        """Export of a model folder, or of RUN/ID. Raises InputError where that holds something else than a network."""
        model = trained.model
        if not isinstance(model, Model):
            raise InputError(
                f"{folder}: holds a {type(model).__name__}; allowed: a model that `train` or `search` wrote"
            )
        path = folder.resolve()
        origin = f"{path.parent.name}/{path.name}" if path.name == "best" or path.name.isdecimal() else path.name
        return Take(trained, origin, cut)

    @cached_property
    def program(self) -> Program:
        """The network as a program. Raises InputError where a step of it can't be exported."""
        model = self.trained.model
        assert isinstance(model, Model)
        links = probabilities(self.trained.task, len(model.graph.targets))
        return plan(model, self.trained.metadata, links)

    def in_form(self, form: Scaled) -> Take:
        """The same export with inputs that the caller has scaled. Raises as `program` does."""
        model = self.trained.model
        assert isinstance(model, Model)
        links = probabilities(self.trained.task, len(model.graph.targets))
        return self.with_program(plan(model, self.trained.metadata, links, form))

    def with_helpers(self, helpers: Mapping[str, str]) -> Take:
        """The same export, whose code has other functions in place of those of these names."""
        own = {name: helpers.get(name, text) for name, text in self.program.helpers.items()}
        return self.with_program(replace(self.program, helpers=own))

    def with_program(self, program: Program) -> Take:
        """The same export with another program."""
        other = replace(self)
        vars(other)["program"] = program  # in place of the cached one
        return other

    def summary(self, files: str, difference: float, needs: str = "") -> str:
        """Text that the command prints: files, inputs and outputs, packages that the code needs, accuracy."""
        outputs = ", ".join(f"{output.name} {output.shape}" for output in self.program.outputs)
        lines = [f"{files}: hits [N, {len(self.facts['hits'])}], edge_index [2, E] -> {outputs}"]
        lines += [f"needs {needs}"] * bool(needs)
        return "\n".join([*lines, f"differs from the model by {difference:.1e} at most, on random graphs"])

    @property
    def facts(self) -> dict[str, Any]:
        """Facts that a user of the file has to know, as plain data."""
        metadata = self.trained.metadata
        probable = any(output.probability for output in self.program.outputs)
        return {
            "made_by": f"archioptrx {__version__}",
            "run": self.origin,
            "fingerprint": self.trained.architecture.graph.fingerprint,
            "data_fingerprint": self.trained.provenance.fingerprint,
            "source": metadata.source,
            "task": self.trained.provenance.task.to_dict(),
            "hits": about_hits(metadata),
            "edge_index": "inner and outer hit of each edge, in any order of the edges",
            "edge_features": [
                {"name": name, "scale": scale}
                for name, scale in zip(metadata.edge_features, metadata.edge_scale, strict=True)
            ],
            "sectors": metadata.sectors,
            "phi": about_sectors(metadata.sectors),
        } | ({"cut": self.cut, "cut_logit": logit(self.cut)} if probable else {})


def probabilities(task: Task, targets: int) -> tuple[bool, ...]:
    """Flags of the targets: whether the task gives logits."""
    links = tuple(part.logits for part in parts_of(task))
    return links if len(links) == targets else (False,) * targets


def about_file(take: Take, module: str) -> str:
    """The docstring of an exported Python file."""
    facts, outputs = take.facts, take.program.outputs
    columns = ", ".join(f"{column['name']} [{column['unit']}]" for column in facts["hits"])
    results = ", ".join(f"{'probability' if output.probability else output.name} {output.shape}" for output in outputs)
    phi = f"{facts['phi']} {MIDDLE}" if take.program.middle else facts["phi"]
    notes = [
        f"hits: float [N, {len(facts['hits'])}], columns {columns}. {phi}",
        f"edge_index: int64 [2, E], {facts['edge_index']}.",
        f"Result: {results}, one row for each of N hits or E edges, in the order given.",
    ]
    notes += [f"An edge counts as true from {take.cut:g} on."] * ("cut" in facts)
    network = str(take.trained.architecture.graph).splitlines()
    return "\n".join(
        [
            f"A network that ArchiOpTrX found: {facts['task']['name']}. Needs {take.program.needs}.",
            "",
            f"    from {module} import load",
            "    model = load()",
            f"    {', '.join(output.name for output in outputs)} = model(hits, edge_index)",
            "",
            *(line for note in notes for line in textwrap.wrap(note, 84, subsequent_indent="    ")),
            "",
            f"run {facts['run']}, data {facts['source']} {facts['data_fingerprint'][:16]}",
            f"fingerprint {facts['fingerprint']}",
            "",
            *(f"    {line}".rstrip() for line in network),
        ]
    )
