"""Section on the best model on held-out events: displays and curves; one line where these events can't be read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from archioptrx.core.errors import ArchiOpTrXError
from archioptrx.report.content import Content
from archioptrx.report.page import Section, fragment
from archioptrx.tasks.options import headlines

if TYPE_CHECKING:
    from archioptrx.report.held_out import HeldOut

NAME, TITLE = "best-model", "Best model on held-out events"


@dataclass(frozen=True)
class Part:
    """Figures of one target."""

    title: str
    description: str
    picture: Markup | None
    figures: Mapping[str, Markup]


def section(content: Content) -> Section | None:
    """Section on the winner; before there is one, on the best trial so far whose weights are kept."""
    number, whose = shown_trial(content)
    if number is None:
        return None
    # torch is imported from here on: a report of a run without a model doesn't wait for it.
    from archioptrx.models.model_folder import load_model, trained_trial
    from archioptrx.report.held_out import evaluate_held_out

    folder = content.folder
    try:
        model = load_model(folder.path) if content.winner is not None else trained_trial(folder, number)
        return section_of(evaluate_held_out(model), whose, content.experiment.objective.metrics)
    except ArchiOpTrXError as error:
        reason, *_ = str(error).split("; allowed")
        return Section(NAME, TITLE, fragment("line.html", text=f"{whose} can't be shown: {reason}."))


def shown_trial(content: Content) -> tuple[int | None, str]:
    """Number and name of the trial that is shown; None where no weights are kept."""
    if content.winner is not None:
        number = int(content.winner["proposal"])
        return number, f"The winner, trial {number:04d}"
    with_weights = set(content.folder.kept())
    best_kept = next(
        (row["proposal"] for row in content.rows if row["score"] is not None and row["proposal"] in with_weights), None
    )
    return best_kept, "" if best_kept is None else f"The best trial so far, {best_kept:04d}"


def section_of(held: HeldOut, whose: str, metrics: Sequence[str] = ()) -> Section:
    """Section on a model that has been evaluated.

    Parameters
    ----------
    held
        Outputs of the model on the test events.
    whose
        Name of the model, as the beginning of a sentence.
    metrics
        Metrics of the search's objective: they choose how tracks are counted.
    """
    events = len({graph.event for graph in held.graphs})
    count = f"{events:,} event{'s' * (events != 1)}"
    description = (
        f"{whose}, on {count} that were used neither for training nor for selection ({len(held.graphs):,} graphs)."
    )
    parts = [*target_parts(held), *track_parts(held, metrics)]
    body = fragment("held_out.html", facts=metric_facts(held), parts=parts)
    return Section(NAME, TITLE, body, description, scripts=("displays.js",))


def metric_facts(held: HeldOut) -> dict[str, str]:
    """Metrics above the figures, by label."""
    metrics = {name: value for name, value in held.metrics.items() if isinstance(value, int | float)}
    labels = headlines(held.model.provenance.task.options, metrics)
    return {label: _text(metrics[name]) for name, label in labels.items()}


def target_parts(held: HeldOut) -> list[Part]:
    """Displays, curves and other figures of each target, in order."""
    from archioptrx.report.classification import classification_figures
    from archioptrx.report.event_displays import event_display
    from archioptrx.report.held_out import BinaryTarget
    from archioptrx.report.task_figures import figures_of

    known = {target.name: target for target in BinaryTarget.all_of(held)}
    shown_parts = []
    for name, task, outputs in held.targets():
        figures = figures_of(name, task, outputs, held)
        if name in known:
            target, metrics = known[name], held.metrics_of(name)
            picture, figures = event_display(held, target), {**classification_figures(target, metrics), **figures}
            shown_parts.append(Part(name, display_description(len(target.passes), metrics), picture, figures))
        else:
            shown_parts.append(Part(name, "", None, figures))
    return shown_parts


def track_parts(held: HeldOut, metrics: Sequence[str]) -> list[Part]:
    """Efficiency, fakes and duplicates of the tracks; nothing where the model makes none."""
    from archioptrx.report.held_out_tracks import definition_of, track_figures

    description, figures = track_figures(held, definition_of(metrics))
    return [Part("Tracks", description, None, figures)] if figures else []


def display_description(passes: int, metrics: Mapping[str, Any]) -> str:
    """Instructions for reading the displays."""
    text = "The darker a line, the higher its score; rows with a score below 0.01 are hidden unless they are true. "
    if passes > 1:
        text += f"The model's last loop is run {passes} times: the slider shows the scores after each iteration. "
    if "gold" in metrics:
        text += "Gold, silver, bronze and red are accepted; contested: another accepted one shares a doublet. "
    return text + "A click on the legend hides a class; drag to zoom."


def _text(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:.5f}"
