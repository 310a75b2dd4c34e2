"""`archioptrx predict MODEL --data PATH --output PATH`: scores and tracks in the input's own format."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archioptrx.commands.cli import command, new_parser
from archioptrx.core.config import finish
from archioptrx.core.errors import InputError
from archioptrx.data.description import DataDescription
from archioptrx.data.options import OF, ActsOptions, options_of
from archioptrx.data.options.building import options_text
from archioptrx.models.predictions import PREDICTION_WRITERS

if TYPE_CHECKING:
    from archioptrx.data.dataset import Metadata
    from archioptrx.data.hitgraph import HitGraph
    from archioptrx.models.model_folder import TrainedModel
    from archioptrx.models.predictions.prediction import Prediction
    from archioptrx.tasks.task import Task

FORMATS = ("acts",)
"""Forms of predictions beside that of the input."""
RULES = "acorn_config"
"""Option with acorn's rules, which say what is learned."""


def parser() -> argparse.ArgumentParser:
    """The options of this command."""
    new = new_parser("predict", "Write scores and tracks in the input's own format, order and hit ids.")
    new.add_argument("model", metavar="MODEL", help="folder that `train` wrote, a run (its best) or RUN/ID")
    new.add_argument("--data", metavar="PATH", required=True, help="events, with or without truth")
    new.add_argument("--output", type=Path, metavar="DIR", required=True, help="a new or empty folder")
    new.add_argument("--format", choices=FORMATS, help="instead: proto tracks for Acts, and a program that fits them")
    new.add_argument("--cut", type=float, metavar="F", help="tracks: edges below this probability are dropped")
    new.add_argument("--tracks", metavar="YAML", help="tracks: other rules of finding them, '{chi2_max: 5}'")
    new.add_argument("--skip-bad", action="store_true", help="leave out bad events and count them")
    new.add_argument("--json", action="store_true", help="print one JSON document")
    return new


def run(args: argparse.Namespace) -> int:
    """Read model and events, write the predictions, and print their numbers."""
    faults = [] if args.cut is None or 0 < args.cut < 1 else [f"--cut: is {args.cut:g}; allowed: between 0 and 1"]
    if args.output.exists() and (not args.output.is_dir() or any(args.output.iterdir())):
        faults.append(f"{args.output}: already holds something; allowed: a new or empty folder")
    finish(faults)
    # torch is imported from here on.
    from archioptrx.core.files import new_folder
    from archioptrx.models.events import warn_of_kind
    from archioptrx.models.model_folder import load_model
    from archioptrx.models.predictions.proto_tracks import PROGRAM, write_proto_tracks
    from archioptrx.models.track_finding import with_tracks

    model = load_model(args.model)
    task = with_tracks(model.task, args.tracks)
    task = task if args.cut is None else with_cut(task, args.cut)
    data = description(model, args.data, args.skip_bad)
    writer, options = writer_of(data) if args.format is None else (args.format, measurements(data))
    dataset = data.load(like=model.metadata)
    warn_of_kind(str(args.data), without_rules(model.metadata), dataset.metadata)
    counts: Counter[str] = Counter()
    results = counted(predictions(model, task, dataset.graphs), counts)
    with new_folder(args.output) as fresh:
        if args.format is None:
            write(writer, results, options, fresh)
        else:
            write_proto_tracks(results, options, fresh)
    facts = {"output": str(args.output), "events": len(dataset.events), **counts}
    facts |= {key: value for key, value in dataset.metadata.options.items() if key == "skipped"}
    facts |= {} if args.format is None else {"program": str(args.output / PROGRAM)}
    print(json.dumps(facts) if args.json else as_text(facts))
    return 0


def with_cut(task: Task, cut: float) -> Task:
    """The same task, whose tracks are found with another cut.

    Raises
    ------
    InputError
        It scores no edges.
    """
    from archioptrx.models.track_finding import scoring_parts

    for part in scoring_parts(task, "--cut", "cut"):
        part.finding = replace(part.finding, cut=cut)
    return task


def description(model: TrainedModel, path: str, skip_bad: bool) -> DataDescription:
    """Description of the training data with another path, and without options that need missing files.

    Rules of acorn say what is learned, and hard cuts leave out edges: without them every edge of a file has a score.
    """
    data = model.provenance.data.other(str(Path(path).expanduser()), model.metadata)
    if data.source == "acorn" and RULES in data.content:
        data = data.but(**{RULES: None})
    names = [field.name for field in fields(options_of(data.source))]  # type: ignore[arg-type]
    return without_truth(data.but(skip_bad=True) if skip_bad and "skip_bad" in names else data)


def without_rules(metadata: Metadata) -> Metadata:
    """Metadata without acorn's rules: predictions leave these out for any data."""
    return replace(metadata, options={key: value for key, value in metadata.options.items() if key != RULES})


def without_truth(data: DataDescription) -> DataDescription:
    """Data description without the options that need truth or particles, where the events lack these.

    The change is reported on stderr.
    """
    if (inner := data.inner) is not None:
        changed = without_truth(inner)
        return data if changed is inner else data.but(**{OF: changed.content})
    options: Any = data.options
    if data.source == "trackml":
        from archioptrx.data.sources.event_files import find_events

        known = {part for event in find_events(options.path) for part in event.parts}
    elif data.source == "acts":
        from archioptrx.data.sources.acts import parts_of as parts_of_acts

        known = parts_of_acts(options)
    elif data.source == "colliderml":
        from archioptrx.data.sources.colliderml import parts_of

        known = parts_of(options)
    else:
        return data
    changes: dict[str, Any] = {} if "truth" in known else options.without_truth
    changes |= {} if "particles" in known else options.without_particles
    if not changes:
        return data
    lacking = " and no ".join(part for part in ("truth", "particles") if part not in known)
    print(f"the events have no {lacking}: built with {options_text(changes)}", file=sys.stderr)
    return data.but(**changes)


def writer_of(data: DataDescription) -> tuple[str, Any]:
    """Find the source whose prediction writer is to write, and the options that it reads the events with.

    Where the source is made of another one, the files are those of that one, and the edges of the graphs aren't theirs.

    Raises
    ------
    InputError
        There is no writer for these files.
    """
    outer = data.source
    while (inner := data.inner) is not None:
        data = inner
    name, known = data.source, [*PREDICTION_WRITERS]
    if name != outer:
        known = [writer for writer in known if PREDICTION_WRITERS.description(writer).other_edges]
    if name not in known:
        restriction = "" if outer == name else f" that writes for graphs of {outer}"
        decorator = f'@prediction_writer("{name}"{", other_edges=True" if restriction else ""})'
        raise InputError(
            f"predict: the source {name} has no prediction writer{restriction}; allowed: {', '.join(known)}, "
            f"or one of your own in a module under --imports: {decorator}, see docs/guides/parts.md"
        )
    return name, data.options


def measurements(data: DataDescription) -> ActsOptions:
    """Options by which the measurements of Acts are read, of which proto tracks consist.

    Raises
    ------
    InputError
        The hits are none.
    """
    while data.inner is not None:
        data = data.inner
    options: Any = data.options
    if not isinstance(options, ActsOptions):
        lack = f"--format: acts needs measurement ids, and the hits of {data.source} have none"
        raise InputError(f"{lack}; allowed: --data PATH of CSV files of Acts, as data fatras --csv writes them")
    return options


def write(writer: str, results: Iterator[Prediction], options: Any, folder: Path) -> None:
    """Write the predictions with a prediction writer.

    Raises
    ------
    InputError
        A user's own writer raised an error, or wrote nothing.
    """
    write_predictions = PREDICTION_WRITERS.get(writer)
    with PREDICTION_WRITERS.guarded(writer):
        write_predictions(results, options, folder)
    if writer in PREDICTION_WRITERS.own() and not any(folder.iterdir()):
        raise InputError(f"prediction writer {writer}: wrote nothing; allowed: files in the folder that it gets")


def predictions(model: TrainedModel, task: Task, graphs: Sequence[HitGraph]) -> Iterator[Prediction]:
    """Run the model on one graph after the other.

    Raises
    ------
    InputError
        The task has several numbers for each edge or triplet, for which no file has a place.
    """
    from archioptrx.models.predictions.prediction import Prediction
    from archioptrx.models.trained_numbers import trained_numbers
    from archioptrx.tasks.several import parts_of
    from archioptrx.training.fit import predict

    tasks = parts_of(task)
    for part in tasks:
        if part.domain in ("edge", "triplet") and part.target_width != 1:
            raise InputError(f"predict: {part.name} has {part.target_width} numbers for each {part.domain}; allowed: 1")
    types = [model.architecture.graph.type_of(value) for value in model.architecture.graph.targets]
    parameters = trained_numbers(model)
    for graph in graphs:
        start = time.perf_counter()
        (output,) = predict(model.model, [graph])
        tracks = task.tracks(output, graph)
        seconds = time.perf_counter() - start
        parts = output if isinstance(output, tuple) else (output,)
        answers = [rows.sigmoid() if part.logits else rows for part, rows in zip(tasks, parts, strict=True)]
        outputs = list(zip(types, answers, strict=True))
        edges, triplets = (
            next((rows for kind, rows in outputs if kind.domain == domain), None) for domain in ("edge", "triplet")
        )
        others = {kind.name: rows for kind, rows in outputs if kind.domain in ("node", "graph")}
        domains = {kind.name: kind.domain for kind, _ in outputs if kind.name in others}
        yield Prediction(graph, edges, tracks, others, triplets, parameters, seconds, domains=domains)


def counted(results: Iterator[Prediction], counts: Counter[str]) -> Iterator[Prediction]:
    """Pass the predictions on, and add up graphs, hits, edges and tracks in `counts`."""
    for result in results:
        counts.update(graphs=1, hits=len(result.graph.x), edges=result.graph.num_edges)
        if result.tracks is not None:
            counts.update(tracks=len(set(result.tracks.tolist()) - {-1}))
        yield result


def as_text(facts: Mapping[str, Any]) -> str:
    """Numbers of graphs, hits, edges and tracks as a line of text."""
    numbers = [f"{facts[name]:,} {name}" for name in ("events", "graphs", "hits", "edges", "tracks") if name in facts]
    bad = f"; {facts['skipped']} bad events left out" if "skipped" in facts else ""
    program = facts.get("program")
    further = "" if program is None else f"\nfit the tracks (pyacts): python {program}"
    return f"{', '.join(numbers)}{bad}\nwritten to {facts['output']}{further}"


main = command(parser, run)
