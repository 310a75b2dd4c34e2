"""What good trials share: the effect of each choice with its interval, the strongest in a figure, all in a table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from archioptrx.report.axes import told
from archioptrx.report.content import Content
from archioptrx.report.page import Cell, Section, View, figure, fragment, table, text_of
from archioptrx.runs.effects import Effect, Effects, effects_of

if TYPE_CHECKING:
    from markupsafe import Markup

SHOWN, LISTED = 24, 200
"""Effects in the figure at one time, and in the table."""
GROUPS = {
    "function": "functions",
    "decision": "decisions of the walk",
    "hyperparameter": "hyperparameters",
    "size": "sizes",
}
SIDES = (("better", "var(--good)"), ("unclear", "var(--pruned)"), ("worse", "var(--bad)"))
ABOUT = (
    "How trials that made a choice did against those that could have made it and didn't. A trial's standing is the "
    "share of the other trials that it beats, each pair at the epochs that both were trained for; points are the "
    "difference of mean standings, in percent, with 95 % intervals; filled: holds for all choices together. "
    "Beside each choice: trials that made it and that didn't."
)


def section(content: Content) -> Section | None:
    """The effects on each goal; None before two trials have a score."""
    from markupsafe import Markup

    goals = content.experiment.objective.goals
    parts: list[Markup] = []
    for number, goal in enumerate(goals):
        found = effects_of(content.rows, content.proposals, number)
        if not found.effects:
            continue
        name, _ = told(goal)
        body = _one(found, "" if number == 0 else f"-{number}", name)
        parts.append(fragment("part.html", title=f"On {name}", about="", body=body) if len(goals) > 1 else body)
    return Section("effects", "What good trials share", Markup("").join(parts), ABOUT) if parts else None


def _one(effects: Effects, suffix: str, goal: str) -> Markup:
    """Note, figure and table of one goal."""
    note = fragment("note.html", text=effects.caution)
    drawn = _figure(effects, suffix, goal) if effects.judged else ""
    return note + drawn + _table(effects, suffix)


def _figure(effects: Effects, suffix: str, goal: str) -> Markup:
    import plotly.graph_objects as go

    groups = {"all": effects.judged}
    groups |= {text: found for name, text in GROUPS.items() if (found := _of(effects.judged, name))}
    shown = {text: list(reversed(found[:SHOWN])) for text, found in groups.items()}
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
            [_points(found, side, colour) for side, colour in SIDES],
            {"yaxis": {"categoryarray": _names(found), "range": [-0.7, max(len(found), 6) - 0.3]}},
        )
        for text, found in shown.items()
    ]
    label = f"Effects of the {len(first)} strongest choices on {goal}, with intervals"
    return figure(f"effects-figure{suffix}", go.Figure(traces, layout), label, 120 + 24 * max(len(first), 6), views)


def _of(effects: Sequence[Effect], group: str) -> list[Effect]:
    return [one for one in effects if one.group == group]


def _names(effects: Sequence[Effect]) -> list[str]:
    return [_name(one) for one in effects]


def _name(effect: Effect) -> str:
    return f"{text_of(effect.name)}  <span style='opacity:.6'>{effect.trials}:{effect.others}</span>"


def side_of(effect: Effect) -> str:
    """Whether trials with the choice did better, worse, or neither for sure."""
    return "unclear" if not effect.clear else "better" if effect.difference > 0 else "worse"


def _points(effects: Sequence[Effect], side: str, colour: str) -> dict[str, Any]:
    mine = [one for one in effects if side_of(one) == side]
    reach = [100 * (one.difference - (one.low or 0.0)) for one in mine]
    return {
        "x": [round(100 * one.difference, 2) for one in mine],
        "y": _names(mine),
        "error_x": {"array": [round(one, 2) for one in reach], "color": colour, "thickness": 1.5, "width": 3},
        "text": [_hover(one) for one in mine],
        "hovertemplate": "%{text}<extra></extra>",
        "marker": {"color": colour, "size": 9, "symbol": ["circle" if one.firm else "circle-open" for one in mine]},
    }


def _hover(effect: Effect) -> str:
    lines = [
        f"<b>{text_of(effect.name)}</b>",
        f"{effect.trials} trials made it, {effect.others} could and didn't",
        f"mean standing {effect.standing:.0%}, {100 * effect.difference:+.0f} against the others",
        f"interval {100 * (effect.low or 0):+.0f} to {100 * (effect.high or 0):+.0f}",
        *(["holds for all choices together"] if effect.firm else []),
        *([f"same trials: {text_of(', '.join(effect.also[:4]))}"] if effect.also else []),
    ]
    return "<br>".join(lines)


def _table(effects: Effects, suffix: str) -> Markup:
    heads = ["choice", "kind", "made", "left", "standing", "difference", "interval", "p", "same trials"]
    rows = [_cells(one) for one in effects.effects[:LISTED]]
    body = table(f"effects-table{suffix}", heads, rows, left=(0, 1, 8))
    more = len(effects.effects) - len(rows)
    title = (
        f"All {len(effects.effects)} choices" if more <= 0 else f"The first {LISTED} of {len(effects.effects)} choices"
    )
    about = "Standings in percent. A dash: fewer than three trials on a side, so there is no interval."
    return fragment("folded.html", title=title, about=about, body=body)


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
