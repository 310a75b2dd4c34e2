"""Section on common traits of good trials: the effects of choices, the strongest in a figure, more in a table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go
from markupsafe import Markup

from archioptrx.report.axes import name_and_sign
from archioptrx.report.content import Content
from archioptrx.report.page import Cell, Section, View, figure, fragment, hover_text, table
from archioptrx.runs.effects import Effect, Effects, effects_of

SHOWN, LISTED = 24, 200
"""Most effects in the figure at one time, and in the table."""
GROUPS = {
    "function": "functions",
    "decision": "decisions of the walk",
    "hyperparameter": "hyperparameters",
    "size": "sizes",
}
SIDES = (("better", "var(--good)"), ("unclear", "var(--pruned)"), ("worse", "var(--bad)"))
ABOUT = (
    "Trials that made a choice, compared with those that could have made it and didn't. The standing of a trial is the "
    "share of the other trials that it beats, each pair compared at the epochs that both were trained for. Points are "
    "differences of mean standings, in percent, with 95 % intervals; a filled point holds for all choices together "
    "(Holm's correction). Beside each choice: the numbers of trials with and without it."
)


def section(content: Content) -> Section | None:
    """Section with the effects on each goal; None before two trials have a score."""
    goals = content.experiment.objective.goals
    parts: list[Markup] = []
    for number, goal in enumerate(goals):
        effects = effects_of(content.rows, content.proposals, number)
        if not effects.effects:
            continue
        name, _ = name_and_sign(goal)
        body = _goal_part(effects, "" if number == 0 else f"-{number}", name)
        parts.append(fragment("part.html", title=f"On {name}", description="", body=body) if len(goals) > 1 else body)
    return Section("effects", "What good trials share", Markup("").join(parts), ABOUT) if parts else None


def _goal_part(effects: Effects, suffix: str, goal: str) -> Markup:
    """Note, figure and table of the effects on one goal."""
    note = fragment("note.html", text=effects.caution)
    chart = _figure(effects, suffix, goal) if effects.judged else ""
    return note + chart + _table(effects, suffix)


def _figure(effects: Effects, suffix: str, goal: str) -> Markup:
    groups = {"all": effects.judged}
    members_of = {name: [effect for effect in effects.judged if effect.group == name] for name in GROUPS}
    groups |= {text: members_of[name] for name, text in GROUPS.items() if members_of[name]}
    shown = {text: list(reversed(members[:SHOWN])) for text, members in groups.items()}
    first = shown["all"]
    traces = [go.Scatter(name=side, mode="markers", **_points(first, side, colour)) for side, colour in SIDES]
    layout = {
        "xaxis": {
            "title": {"text": f"difference of the mean standing on {goal}, % (right: better)"},
            "zerolinewidth": 2,
        },
        "yaxis": {"categoryorder": "array", "categoryarray": _names(first), "tickfont": {"size": 12}},
    }
    views = [
        View(
            "choices",
            text,
            [_points(members, side, colour) for side, colour in SIDES],
            {"yaxis": {"categoryarray": _names(members), "range": [-0.7, max(len(members), 6) - 0.3]}},
        )
        for text, members in shown.items()
    ]
    label = f"Effects of the {len(first)} strongest choices on {goal}, with intervals"
    return figure(f"effects-figure{suffix}", go.Figure(traces, layout), label, 120 + 24 * max(len(first), 6), views)


def _names(effects: Sequence[Effect]) -> list[str]:
    return [_name(effect) for effect in effects]


def _name(effect: Effect) -> str:
    return f"{hover_text(effect.name)}  <span style='opacity:.6'>{effect.trials}:{effect.others}</span>"


def side_of(effect: Effect) -> str:
    """Sign of an effect: `better`, `worse`, or `unclear` where the interval includes 0."""
    return "unclear" if not effect.clear else "better" if effect.difference > 0 else "worse"


def _points(effects: Sequence[Effect], side: str, colour: str) -> dict[str, Any]:
    shown = [effect for effect in effects if side_of(effect) == side]
    reach = [100 * (effect.difference - (effect.low or 0.0)) for effect in shown]
    return {
        "x": [round(100 * effect.difference, 2) for effect in shown],
        "y": _names(shown),
        "error_x": {
            "array": [round(half_width, 2) for half_width in reach],
            "color": colour,
            "thickness": 1.5,
            "width": 3,
        },
        "text": [_hover(effect) for effect in shown],
        "hovertemplate": "%{text}<extra></extra>",
        "marker": {
            "color": colour,
            "size": 9,
            "symbol": ["circle" if effect.firm else "circle-open" for effect in shown],
        },
    }


def _hover(effect: Effect) -> str:
    lines = [
        f"<b>{hover_text(effect.name)}</b>",
        f"{effect.trials} trials with it, {effect.others} without",
        f"mean standing {effect.standing:.0%}, {100 * effect.difference:+.0f} against the others",
        f"interval {100 * (effect.low or 0):+.0f} to {100 * (effect.high or 0):+.0f}",
        *(["holds for all choices together"] if effect.firm else []),
        *([f"same trials: {hover_text(', '.join(effect.also[:4]))}"] if effect.also else []),
    ]
    return "<br>".join(lines)


def _table(effects: Effects, suffix: str) -> Markup:
    heads = ["choice", "kind", "with", "without", "standing", "difference", "interval", "p", "same trials"]
    rows = [_cells(effect) for effect in effects.effects[:LISTED]]
    body = table(f"effects-table{suffix}", heads, rows, left=(0, 1, 8))
    left_out = len(effects.effects) - len(rows)
    title = (
        f"All {len(effects.effects)} choices"
        if left_out <= 0
        else f"The first {LISTED} of {len(effects.effects)} choices"
    )
    description = (
        "Standings in percent. A dash: fewer than three trials with or without the choice, so there is no interval."
    )
    return fragment("folded.html", title=title, description=description, body=body)


def _cells(effect: Effect) -> list[str | Cell]:
    interval = "–" if effect.few else f"{100 * (effect.low or 0):+.0f} … {100 * (effect.high or 0):+.0f}"
    return [
        effect.name,
        effect.group,
        str(effect.trials),
        str(effect.others),
        Cell(f"{100 * effect.standing:.0f}", effect.standing),
        Cell(f"{100 * effect.difference:+.0f}", effect.difference),
        Cell(interval, None if effect.few else effect.sure),
        Cell("–" if effect.p is None else f"{effect.p:.2g}", effect.p),
        ", ".join(effect.also[:3]) + (" …" if len(effect.also) > 3 else ""),
    ]
