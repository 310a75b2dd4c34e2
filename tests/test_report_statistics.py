"""The sections on effects, functions, walk and costs, of searches of every kind, and in a browser."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from browser import Browser, expect, opened, pushes_sideways
from small_search import lines, searched, small, write_odd

from archioptrx.commands.inspect import main as inspect
from archioptrx.report import costs, effects, functions, walks
from archioptrx.report.content import Content
from archioptrx.report.page import Section
from archioptrx.report.run_report import write_report
from archioptrx.runs.run_folder import RunFolder

SECTIONS = (effects.section, functions.section, walks.section, costs.section)


@pytest.fixture(scope="module")
def content(tmp_path_factory: pytest.TempPathFactory) -> Content:
    run = tmp_path_factory.mktemp("statistics") / "run"
    searched(run, small(budget__trials=24, training__epochs=1, sampler={"name": "evolution", "population": 4}))
    return Content.read(RunFolder(run))


def sections_of(content: Content) -> dict[str, Section]:
    return {section.name: section for make in SECTIONS if (section := make(content)) is not None}


def ids(section: Section) -> list[str]:
    return re.findall(r'class="figure" id="([^"]+)"', section.body)


def test_a_search_has_all_of_them(content: Content) -> None:
    sections = sections_of(content)
    assert list(sections) == ["effects", "functions", "walks", "costs"]
    assert ids(sections["effects"]) == ["effects-figure"]
    assert ids(sections["functions"]) == ["functions-best", "functions-course"]
    assert ids(sections["walks"]) == ["walks-shapes", "walks-lineage"]
    assert ids(sections["costs"]) == ["costs-time", "costs-parameters"]


def test_a_search_that_has_only_begun(content: Content) -> None:
    for ended in (0, 1, 2):
        sections = sections_of(replace(content, rows=content.rows[:ended]))
        assert ("costs" in sections) == (ended > 0) and ("effects" in sections) == (ended > 1)
        assert ids(sections["functions"]) == ["functions-course"]  # no best quarter of two trials
    assert sections_of(replace(content, rows=[], proposals={})) == {}


def test_a_search_of_thousands_of_trials_stays_small(content: Content) -> None:
    count = len(content.rows)
    numbers = range(100 * count)
    rows = [{**content.rows[n % count], "proposal": n, "id": f"{n:05d}"} for n in numbers]
    shift = [60.0 * (n // count) for n in numbers]
    rows = [{**r, "started": r["started"] + s, "ended": r["ended"] + s} for r, s in zip(rows, shift, strict=True)]
    trials = [row["proposal"] for row in content.rows]
    proposals = {n: {**content.proposals[trials[n % count]], "proposal": n, "parent": None} for n in numbers}
    many = replace(content, rows=rows, proposals=proposals)
    for section in sections_of(many).values():
        assert len(section.body) < 300_000, section.name
    assert "worker 1" not in sections_of(many)["costs"].body  # no bar for each trial


def test_all_failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    experiment = small(**write_odd(tmp_path, "raising"), budget__trials=3, constraints={}, sampler={"name": "random"})
    searched(tmp_path / "run", experiment)
    content = Content.read(RunFolder(tmp_path / "run"))
    failed = [row for row in content.rows if row["error"]]
    assert failed
    sections = sections_of(replace(content, rows=failed))
    assert "effects" not in sections
    assert (
        "this block never works" in sections["walks"].body and f"logs/{failed[0]['id']}.log" in sections["walks"].body
    )


def test_one_architecture_has_no_functions(tmp_path: Path) -> None:
    experiment = small(architecture="interaction", search_space="hyperparameters", constraints={}, training__epochs=1)
    searched(tmp_path / "run", experiment)
    sections = sections_of(Content.read(RunFolder(tmp_path / "run")))
    assert list(sections) == ["effects", "walks", "costs"]


def test_each_goal_has_its_effects(tmp_path: Path) -> None:
    experiment = small(objective=["auc", "parameters"], training__epochs=1, budget__trials=8)
    searched(tmp_path / "run", experiment)
    sections = sections_of(Content.read(RunFolder(tmp_path / "run")))
    assert ids(sections["effects"]) == ["effects-figure", "effects-figure-1"]
    assert "On parameters" in sections["effects"].body


def test_a_reader_sees_and_switches(browser: Browser, content: Content, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    write_report(content.folder, page)
    for theme in ("light", "dark"):
        with opened(browser, page, theme) as shown:
            for name in ("effects-figure", "functions-best", "walks-shapes", "costs-time"):
                shown.locator(f"#{name}").scroll_into_view_if_needed()
                expect(shown.locator(f"#{name} .main-svg").first).to_be_visible()
            shown.locator("#effects").get_by_role("button", name="sizes").click()
            expect(shown.locator("#effects-figure .yaxislayer-above")).to_contain_text(re.compile("steps|parameters"))
            expect(shown.locator("#effects-figure .yaxislayer-above")).not_to_contain_text("hidden")
            shown.get_by_text(re.compile(r"^(All|The first) \d+")).click()
            expect(shown.locator("#effects-table tbody tr").first).to_be_visible()
            shown.locator("#walks").get_by_role("combobox").select_option("message rounds")
            expect(shown.locator("#walks-shapes .xtitle")).to_have_text("message rounds")
            assert not pushes_sideways(shown)


def test_what_the_terminal_says(content: Content, capsys: pytest.CaptureFixture[str]) -> None:
    run = str(content.folder.path)
    assert inspect([run, "--effects", "--top", "3"]) == 0
    output = capsys.readouterr().out.splitlines()
    assert output[0].startswith("what good trials share, on auc: 24 trials")
    assert output[2].split()[:4] == ["choice", "kind", "made", "left"] and output[6].endswith("more (--top)")
    assert all(len(line) <= 120 for line in output)
    assert inspect([run, "--effects", "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)["effects"]["auc"]
    assert printed["trials"] == 24 and {"name", "trials", "low", "high", "p"} <= set(printed["choices"][0])
    proposed = {line["proposal"] for line in lines(content.folder.path / "proposals.jsonl")}
    assert all(choice["trials"] + choice["others"] <= len(proposed) for choice in printed["choices"])
