"""What a report says of a search that goes on, was stopped, or had pauses; and numbers as tables show them."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_search import lines, searched, small

from archioptrx.core.files import Journal
from archioptrx.report import architectures, scores
from archioptrx.report import summary as head
from archioptrx.report.content import Content
from archioptrx.report.training_curves import training_quantities
from archioptrx.report.trials import decimals
from archioptrx.runs.run_folder import RunFolder

NOW = datetime(2030, 1, 2, 3, 4, tzinfo=timezone(timedelta(hours=2)))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A search that has ended."""
    searched(tmp_path / "run", small(budget__trials=4))
    return tmp_path / "run"


def rewrite(path: Path, change: Callable[[list[dict[str, Any]]], list[dict[str, Any]]]) -> None:
    """Change the lines of a journal."""
    path.write_text("".join(json.dumps(row) + "\n" for row in change(lines(path))))


def test_a_trial_that_ends_while_the_folder_is_read_has_its_proposal(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    proposals, trials = lines(folder / "proposals.jsonl"), lines(folder / "trials.jsonl")
    rewrite(folder / "proposals.jsonl", lambda rows: rows[:-1])
    rewrite(folder / "trials.jsonl", lambda rows: rows[:-1])
    read, first = Journal.read, []

    def goes_on(journal: Journal) -> list[dict[str, Any]]:
        """Read; once the first of the two journals has been read, the last trial is proposed and ends."""
        rows = read(journal)
        if journal.path.name in ("proposals.jsonl", "trials.jsonl") and not first:
            first.append(journal.path.name)
            rewrite(folder / "proposals.jsonl", lambda _: proposals)
            rewrite(folder / "trials.jsonl", lambda _: trials)
        return rows

    monkeypatch.setattr(Journal, "read", goes_on)
    content = Content.read(RunFolder(folder))
    assert first and {row["proposal"] for row in content.rows} <= set(content.proposals)


def test_what_never_ran_is_not_in_training(folder: Path) -> None:
    rewrite(folder / "trials.jsonl", lambda rows: rows[:2])
    ended = {row["proposal"] for row in lines(folder / "trials.jsonl")}
    never = next(line["proposal"] for line in lines(folder / "proposals.jsonl") if line["proposal"] not in ended)
    rewrite(folder / "proposals.jsonl", lambda rows: [*rows, {"proposal": never, "refused": "latency is 9 ms"}])
    with RunFolder(folder).locked():
        assert "2 of 4 trials have ended, 1 in training" in head.banner(Content.read(RunFolder(folder)), NOW)


def test_pauses_are_no_wall_time(folder: Path) -> None:
    before = head.head_facts(Content.read(RunFolder(folder)))["wall time"]
    order = sorted(lines(folder / "trials.jsonl"), key=lambda row: row["started"])
    late = {row["proposal"] for row in order[2:]}

    def later(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """The search was resumed on the next day."""
        shift = {True: 86400.0, False: 0.0}
        return [
            {**row, **{key: row[key] + shift[row["proposal"] in late] for key in ("started", "ended")}} for row in rows
        ]

    rewrite(folder / "trials.jsonl", later)
    after = head.head_facts(Content.read(RunFolder(folder)))["wall time"]
    assert " h" not in after and before.split("of training")[0][-12:] == after.split("of training")[0][-12:]


def test_a_loss_is_told_as_one(tmp_path: Path) -> None:
    searched(tmp_path / "run", small(budget__trials=4, objective={"metric": "loss", "mode": "min"}))
    content = Content.read(RunFolder(tmp_path / "run"))
    best = min(row["metrics"]["loss"] for row in content.rows)
    assert str(head.head_facts(content)["best validation loss"]).startswith(f"{best:.5f}<")
    chart, _, _, _ = scores._figure(content)
    dots, line = (trace for trace in chart.data if trace.name in ("finished", "best so far"))
    assert list(dots.y) == [row["metrics"]["loss"] for row in sorted(content.rows, key=lambda row: row["ended"])]
    assert min(dots.y) == line.y[-1] == best and max(line.y) == line.y[0]
    curve = training_quantities(content, content.best[0])["validation loss"]
    assert min(value for value in curve if value is not None) == best
    section = architectures.section(content)
    assert section is not None and f"{content.best[0]['id']} · loss {best:.5f}" in section.body


def test_times_have_their_zone(folder: Path) -> None:
    assert "2030-01-02 03:04 UTC+0200" in head.footer(NOW)
    started = RunFolder(folder).environment()["started"]
    assert f"{started[11:16]} UTC{started[-5:]}" in head.head_facts(Content.read(RunFolder(folder)))["started"]


@given(st.floats(1e-3, 1e5))
def test_a_number_of_the_page_is_shown_as_the_terminal_shows_it(value: float) -> None:
    sent = decimals(value)
    assert sent is not None and f"{sent:.5f}" == f"{value:.5f}"
