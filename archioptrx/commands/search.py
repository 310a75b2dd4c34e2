"""`archioptrx search [EXPERIMENT]`: the main job."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archioptrx.commands.cli import command, new_parser
from archioptrx.core.config import finish
from archioptrx.core.errors import InputError, WriteError
from archioptrx.core.files import next_folder, refuse_used
from archioptrx.core.overrides import read_assignments
from archioptrx.runs.experiment import Experiment, load_experiment, parse_experiment
from archioptrx.runs.run_folder import RunFolder, is_study
from archioptrx.search.setup import Setup, prepare
from archioptrx.search.study import load_study
from archioptrx.search.study_run import EventsOf, StudyFolder, new_study, prepared, reopened, run_study

if TYPE_CHECKING:
    from archioptrx.search.jobs import Backend, Work
    from archioptrx.search.run import Events, SearchResult
    from archioptrx.training.trial import TrialData


@dataclass(frozen=True)
class KeyOption:
    """An option that stands for a key of the experiment file.

    Attributes
    ----------
    flag, key
        The option, and the key.
    metavar, help
        As `--help` shows them.
    on_resume
        Whether a resume may change it.
    arguments
        Further arguments of the parser.
    """

    flag: str
    key: str
    metavar: str
    help: str
    on_resume: bool = False
    arguments: Mapping[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Name of the parsed value."""
        return self.flag.removeprefix("--").replace("-", "_")


WHOLE, NUMBER = {"type": int}, {"type": float}
OPTIONS = (
    KeyOption("--data", "data.path", "PATH", "events to search on", True),
    KeyOption("--test", "test", "PATH", "test events (default: a share of the data)", True),
    KeyOption("--function-graph", "function_graph", "NAME", "bundled name or file: the functions that may be combined"),
    KeyOption("--search-space", "search_space", "NAME", "bundled name or file: hyperparameters and limits"),
    KeyOption("--architecture", "architecture", "FILE", "bundled name or file: search its hyperparameters alone"),
    KeyOption("--sampler", "sampler.name", "NAME", "what proposes architectures"),
    KeyOption(
        "--from", "earlier_runs", "RUN", "earlier searches as prior knowledge of the sampler", arguments={"nargs": "+"}
    ),
    KeyOption("--trials", "budget.trials", "N", "ended trials that end the search", True, WHOLE),
    KeyOption("--time", "budget.time", "T", "stop trials after this time (4h, 90m); retraining follows", True),
    KeyOption(
        "--trial-time", "budget.trial_time", "T", "stop each trial after this time, with the score that it has", True
    ),
    KeyOption("--epochs", "training.epochs", "N", "epochs of a whole trial", arguments=WHOLE),
    KeyOption("--seed", "seed", "N", "the same seed gives the same proposals", arguments=WHOLE),
    KeyOption("--cpus-per-trial", "resources.cpus_per_trial", "F", "CPUs, and threads, of a trial", True, NUMBER),
    KeyOption("--gpus-per-trial", "resources.gpus_per_trial", "F", "0.25: four trials share a GPU", True, NUMBER),
    KeyOption(
        "--track", "track", "NAME", "tensorboard (default where installed), wandb, none; may be repeated", True,
        {"action": "append"},
    ),
)  # fmt: skip
"""The options that stand for keys; all other keys have `--set`."""
ON_RESUME = tuple(option.flag for option in OPTIONS if option.on_resume)


def parser() -> argparse.ArgumentParser:
    """The options of this command."""
    new = new_parser("search", "Search a space of networks: the main job.")
    new.add_argument("experiment", nargs="?", metavar="EXPERIMENT", help="bundled name or file (default: quickstart)")
    for option in OPTIONS:
        new.add_argument(option.flag, metavar=option.metavar, help=option.help, **option.arguments)
    new.add_argument("--output", type=Path, metavar="DIR", help="the run folder (default: runs/EXPERIMENT-n)")
    new.add_argument("--resume", type=Path, metavar="RUN", help="go on with a search, or study, that was stopped")
    new.add_argument("--backend", choices=("ray", "local"), default="ray", help="local: in this process, no Ray")
    new.add_argument("--address", metavar="A", help="of a running Ray cluster (default: Ray is started here)")
    new.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="any key: training.patience=2")
    new.add_argument("--dry-run", action="store_true", help="size of the space, one timed step, estimated hours")
    new.add_argument("--json", action="store_true", help="print one JSON document")
    return new


def run(args: argparse.Namespace) -> int:
    """Check everything, then search."""
    overrides, options = overrides_of(args)
    if args.address and args.backend == "local":
        raise InputError("--address: is for --backend ray only")
    if args.resume:
        if is_study(args.resume):
            reopened_study = reopened(args.resume, overrides, options)
            _check_gpus(args, reopened_study[1])
            return studied(args, *reopened_study, EventsOf())
        folder = RunFolder(args.resume)
        ended = len(folder.last_rows())
        if args.trials is not None and 0 < args.trials < ended:
            raise InputError(f"--trials: is {args.trials}, but {ended} trials have ended; allowed: {ended} or more")
        experiment = parse_experiment(folder.document(), folder.place, options, overrides)
        setup = prepare(experiment, folder.path)
        _check_gpus(args, [setup])
        _warn([setup])
        return searched(args, setup, folder)
    name = args.experiment or "quickstart"
    study = load_study(name, overrides, options)
    setups = [prepare(load_experiment(name, overrides, options))] if study is None else prepared(study)
    _check_gpus(args, setups)
    _warn(setups, () if study is None else study.warnings)
    if args.dry_run:
        from archioptrx.search.dry_run import dry_run

        return dry_run(setups, args.json)
    if args.output:
        refuse_used(args.output)
    if study is None:
        return searched(args, setups[0], None)
    events = EventsOf()
    return studied(args, new_study(args.output or next_folder(study.name), study, setups, events), setups, events)


def _check_gpus(args: argparse.Namespace, setups: Sequence[Setup]) -> None:
    """Raise InputError if a trial needs more GPUs than there are; those of a cluster are checked when it is joined."""
    wanting = [r for r in (setup.experiment.resources for setup in setups) if r.gpus_per_trial]
    if wanting and not args.address:
        from torch.cuda import device_count

        most = device_count()
        finish(list(dict.fromkeys(fault for r in wanting for fault in r.shortages({"GPU": most}))))


def _warn(setups: Sequence[Setup], of_study: Sequence[str] = ()) -> None:
    """Print the warnings of a study, and of all searches, each once."""
    for warning in dict.fromkeys([*of_study, *(warning for setup in setups for warning in setup.warnings)]):
        print(f"warning: {warning}", file=sys.stderr)


def overrides_of(args: argparse.Namespace) -> tuple[dict[str, Any], dict[str, str]]:
    """Dotted keys with the values that replace a file's, and the option that each came from."""
    named_options = [(option, value) for option in OPTIONS if (value := getattr(args, option.name)) is not None]
    faults = []
    if args.resume:
        changed = {"EXPERIMENT": args.experiment, "--output": args.output, "--dry-run": args.dry_run or None}
        wrong = [name for name, value in changed.items() if value is not None]
        wrong += [option.flag for option, _ in named_options if not option.on_resume]
        wrong += ["--set"] if args.set else []
        allowed = ", ".join(ON_RESUME)
        faults = [f"{name}: can't be changed on --resume; allowed: {allowed}, --backend, --address" for name in wrong]
    overrides = {option.key: value for option, value in named_options}
    options = {option.key: option.flag for option, _ in named_options}
    faults += read_assignments(args.set, overrides, options)
    if args.sampler or "sampler.name" in overrides:
        # Another sampler has other options: those of the file go, those of --set come.
        overrides = {"sampler": {"name": args.sampler or overrides["sampler.name"]}, **overrides}
    if overrides.get("architecture"):
        if "function_graph" in overrides:
            graph, architecture = options["function_graph"], options["architecture"]
            faults.append(f"{graph}: doesn't go with {architecture}: one is searched; allowed: one of the two")
        # The file's own search space and references are for its function graph.
        overrides.setdefault("search_space", "hyperparameters")
        overrides.setdefault("references", [])
    finish(faults)
    return overrides, options


def searched(args: argparse.Namespace, setup: Setup, folder: RunFolder | None) -> int:
    """Read the data, make or open the run folder, search, and print the results."""
    # torch is imported from here on: what can be wrong without it has been checked.
    from archioptrx.search.final_report import final_json, final_text
    from archioptrx.search.run import check_events, check_unchanged, load_events, new_run

    events = load_events(setup.experiment)
    check_events(setup, events)
    resumed = folder is not None
    if folder is None:
        path = args.output or next_folder(setup.experiment.name)
        folder = new_run(path, setup, events)
    else:
        check_unchanged(folder, setup, events)
    result = None
    with folder.locked():
        if resumed:
            folder.update(setup.experiment)
        try:
            result = _search(args, setup, events, folder)
        except KeyboardInterrupt:
            print(f"stopped; go on with: archioptrx search --resume {folder.path}", file=sys.stderr)
        except WriteError as error:
            raise _with_advice(error, folder.path) from error
    if result is None:
        return _stopped()
    print(final_json(result, setup.experiment) if args.json else final_text(result, setup.experiment))
    return 0


def studied(args: argparse.Namespace, folder: StudyFolder, setups: list[Setup], events: EventsOf) -> int:
    """Run the searches of a study that haven't ended and print the comparison, also where one found no winner."""
    from archioptrx.search.study_report import study_json, study_text

    try:
        faults = run_study(folder, setups, events, partial(_search, args))
    except KeyboardInterrupt:
        print(f"stopped; go on with: archioptrx search --resume {folder.path}", file=sys.stderr)
        return _stopped()
    except WriteError as error:
        raise _with_advice(error, folder.path) from error
    if len(faults) < len(setups):
        hint = f"\n\ninspect    archioptrx inspect {folder.path}"
        print(study_json(folder) if args.json else study_text(folder) + hint)
    finish(faults)
    return 0


def _with_advice(error: WriteError, folder: Path) -> WriteError:
    """The same error, which also says what is saved and how to go on."""
    return WriteError(f"{error}; ended trials are saved, go on with: archioptrx search --resume {folder}")


def _stopped() -> int:
    """End after Ctrl-C."""
    if "ray" in sys.modules:
        # Interrupted while it starts, Ray may crash when the interpreter ends, and hide the exit code.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(130)
    return 130


def _search(args: argparse.Namespace, setup: Setup, events: Events, folder: RunFolder) -> SearchResult:
    from archioptrx.runs.text import metric_of
    from archioptrx.search.progress import make_progress
    from archioptrx.search.run import cautions_of, run_search

    experiment = setup.experiment
    limit = experiment.budget.time
    deadline = None if limit is None else time.monotonic() + limit
    print(f"searching in {folder.path}: {events.data.splits.rule}", file=sys.stderr)
    for text in cautions_of(setup, events):
        print(text, file=sys.stderr)
    workers = experiment.resources.workers
    with make_progress(experiment.budget.trials, workers, metric_of(experiment), deadline) as progress:
        return run_search(setup, events, folder, _backend(args, experiment), progress, deadline)


def _backend(args: argparse.Namespace, experiment: Experiment) -> Backend:
    if args.backend == "local":
        from archioptrx.search.local_backend import run_locally

        return run_locally

    def on_ray(work: Work, data: TrialData) -> None:
        from archioptrx.search.ray_backend import run_on_ray

        run_on_ray(work, data, experiment.resources, args.address)

    return on_ray


main = command(parser, run)
