"""The report of a run, as a reader sees it: in a real browser, from disk."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from browser import Browser, Page, expect, opened, pushes_sideways
from small_search import lines, searched, small, write_odd

from archioptrx.commands import inspect
from archioptrx.report.content import Content
from archioptrx.runs.run_folder import RunFolder
from archioptrx.search.run import load_events, new_run
from archioptrx.search.setup import prepare


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A search that has ended."""
    place = tmp_path_factory.mktemp("report") / "run"
    searched(place, small(budget__trials=6, retrain__top=2))
    return place


def report(run: Path, *options: str) -> Path:
    """Write the report as a user does."""
    path = run.parent / f"{run.name}.html"
    assert inspect.main([str(run), "--html", str(path), *options]) == 0
    return path


@pytest.fixture(scope="module")
def written(folder: Path) -> Path:
    """Its report."""
    return report(folder)


def changed(run: Path, place: Path, change: Callable[[dict[str, Any]], None], *journals: str) -> Path:
    """A copy of a run with other lines in its journals."""
    shutil.copytree(run, place)
    for name in journals:
        rows = lines(place / name)
        for row in rows:
            change(row)
        (place / name).write_text("".join(json.dumps(row) + "\n" for row in rows))
    return place


def column(page: Page, head: str) -> list[str]:
    """The cells below a heading of the leaderboard."""
    table = page.locator("#leaderboard-table")
    heads = [text.strip() for text in table.locator("th").all_inner_texts()]
    return table.locator(f"tbody td:nth-child({heads.index(head) + 1})").all_inner_texts()


def click_point(page: Page, figure: str, number: int) -> None:
    """Click on a point of the first trace of a figure that has any."""
    element = page.locator(f"#{figure}")
    element.scroll_into_view_if_needed()
    point = element.locator(".scatterlayer .trace").first.locator(".points path").nth(number)
    point.wait_for()
    box = point.bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x - 3, y)
    page.mouse.move(x, y)
    page.wait_for_timeout(150)  # plotly listens to the mouse ten times a second
    page.mouse.click(x, y)


@pytest.mark.parametrize(("theme", "ground"), [("light", "rgb(255, 255, 255)"), ("dark", "rgb(18, 22, 28)")])
def test_everything_is_there_in_the_colours_of_the_system(
    browser: Browser, folder: Path, written: Path, theme: Any, ground: str
) -> None:
    rows = RunFolder(folder).rows()
    winner = json.loads((folder / "best" / "metrics.json").read_text())
    with opened(browser, written, theme) as page:
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == ground
        heads = page.get_by_role("heading", level=2).all_inner_texts()
        assert heads[:4] == ["Leaderboard", "Scores", "Score and cost", "Best architectures"]
        facts = page.locator("header .facts").inner_text()
        assert "6 of 6" in facts and f"{winner['test']['auc']['mean']:.5f} ±" in facts
        assert column(page, "trial") == [row["id"] for row in rows]
        for figure in ("scores-figure", "pareto-figure", "curves"):
            page.locator(f"#{figure}").scroll_into_view_if_needed()
            page.locator(f"#{figure} .plot-container").wait_for()
        cards = page.locator("section#architectures details.card")
        assert cards.count() == len(rows)
        assert cards.evaluate_all("all => all.filter(one => one.open).length") == 3
        expect(cards.first.locator("svg.archioptrx-drawing")).to_be_visible()
        expect(page.locator(".banner[role=status]")).to_have_count(0)


def test_a_heading_sorts_by_click_and_by_key(browser: Browser, folder: Path, written: Path) -> None:
    rows = RunFolder(folder).rows()
    sizes = sorted(row["parameters"] for row in rows)
    with opened(browser, written) as page:
        table = page.locator("#leaderboard-table")
        head = table.get_by_role("columnheader", name="parameters")
        head.get_by_role("button").click()
        assert column(page, "parameters") == [f"{size:,}" for size in reversed(sizes)]
        expect(head).to_have_attribute("aria-sort", "descending")
        page.keyboard.press("Enter")
        assert column(page, "parameters") == [f"{size:,}" for size in sizes]
        expect(head).to_have_attribute("aria-sort", "ascending")
        table.get_by_role("columnheader", name="trial").get_by_role("button").click()
        assert column(page, "trial") == sorted(row["id"] for row in rows)
        assert page.locator("[aria-sort]").count() == 1


def test_a_word_filters_and_a_row_opens_its_trial(browser: Browser, folder: Path, written: Path) -> None:
    content = Content.read(RunFolder(folder))
    trial = content.rows[-1]
    with opened(browser, written) as page:
        page.get_by_label("Filter").fill(trial["fingerprint"][:9])
        assert column(page, "trial") == [trial["id"]]
        page.locator("#leaderboard-table tbody tr").click()
        dialog = page.get_by_role("dialog", name=f"Trial {trial['id']}")
        expect(dialog).to_contain_text(str(content.graph(trial["proposal"])).splitlines()[0].split("=")[1].split()[0])
        expect(dialog.locator("svg.archioptrx-drawing")).to_be_visible()
        dialog.get_by_role("button", name="Copy").click()
        expect(dialog.get_by_role("button", name="Copied")).to_be_visible()
        dialog.get_by_role("link", name="Training curves and details").click()
        expect(dialog).to_be_hidden()
        expect(page.locator(f"#trial-{trial['id']}")).to_have_attribute("open", "")
        page.get_by_label("Filter").fill("no such word")
        assert column(page, "place") == ["No trial matches the filter."]


def test_a_point_of_the_front_shows_its_architecture(browser: Browser, folder: Path, written: Path) -> None:
    content = Content.read(RunFolder(folder))
    finished = [row for row in content.rows if row["status"] == "finished"]
    with opened(browser, written) as page:
        panel = page.get_by_role("region", name="Chosen trial")
        click_point(page, "pareto-figure", len(finished) - 1)
        last = finished[-1]
        expect(panel.get_by_role("heading", name=f"Trial {last['id']}")).to_be_visible()
        assert panel.locator("pre").inner_text() == str(content.graph(last["proposal"]))
        expect(panel.locator("svg.archioptrx-drawing")).to_be_visible()
        panel.hover()
        click_point(page, "scores-figure", 0)
        expect(page.get_by_role("dialog")).to_be_visible()


def test_a_point_tells_its_architecture_in_a_line(browser: Browser, written: Path) -> None:
    with opened(browser, written) as page:
        click_point(page, "pareto-figure", 0)
        box = page.locator("#pareto-figure .points path").first.bounding_box()
        assert box is not None
        page.mouse.move(5, 5)
        page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        expect(page.locator("#hover-card")).to_contain_text("Trial")


def test_the_scale_of_scores_can_be_switched(browser: Browser, written: Path) -> None:
    with opened(browser, written) as page:
        page.locator("#scores-figure .plot-container").wait_for()
        section = page.locator("section#scores")
        for name, title in (("1 − auc, log", "1 − auc (log; better is up)"), ("auc", "validation auc")):
            section.get_by_role("button", name=name, exact=True).click()
            expect(page.locator("#scores-figure .ytitle")).to_have_text(title)
            expect(section.get_by_role("button", name=name, exact=True)).to_have_attribute("aria-pressed", "true")
        assert page.locator("#scores-figure .modebar-btn").count() > 3
        assert page.locator(".modebar-btn[data-title^='Share']").count() == 0  # plotly's own: it sends the data away
        section.get_by_role("button", name="time").click()
        expect(page.locator("#scores-figure .xtitle")).to_contain_text("wall time")


def test_the_theme_changes_and_is_remembered(browser: Browser, written: Path) -> None:
    ink = "getComputedStyle(document.querySelector('#scores-figure .xtitle')).fill"
    with opened(browser, written, "light") as page:
        page.locator("#scores-figure .plot-container").wait_for()
        assert page.evaluate(ink) == "rgb(27, 35, 48)"
        page.get_by_role("button", name="Change to dark colours").click()
        page.wait_for_function(f"{ink} === 'rgb(228, 232, 238)'")
        page.reload()
        assert page.evaluate("document.documentElement.dataset.theme") == "dark"
        expect(page.get_by_role("button", name="Change to light colours")).to_be_visible()


def test_a_dark_page_is_printed_on_white(browser: Browser, written: Path) -> None:
    with opened(browser, written, "dark") as page:
        page.locator("#scores-figure .plot-container").wait_for()
        ink = "getComputedStyle(document.querySelector('#scores-figure .xtitle')).fill"
        dark = page.evaluate(ink)
        page.evaluate(
            "addEventListener('beforeprint', () => { window.printed = document.documentElement.dataset.theme; })"
        )
        assert page.pdf()
        assert page.evaluate("printed") == "light"
        expect(page.locator("html")).to_have_attribute("data-theme", "dark")
        page.evaluate("dispatchEvent(new Event('beforeprint'))")
        page.wait_for_function(f"(dark) => {ink} !== dark", arg=dark)


def test_the_contents_lead_to_sections_and_say_where_one_is(browser: Browser, written: Path) -> None:
    with opened(browser, written) as page:
        contents = page.get_by_role("navigation", name="Sections")
        for name in ("Best architectures", "Scores"):
            link = contents.get_by_role("link", name=name)
            link.click()
            expect(link).to_have_attribute("aria-current", "true")
            expect(page.get_by_role("heading", name=name, level=2)).to_be_in_viewport()


@pytest.mark.parametrize("width", [400, 1280])
def test_the_page_never_scrolls_sideways(browser: Browser, written: Path, width: int) -> None:
    with opened(browser, written, width=width) as page:
        for name in ("leaderboard", "scores", "pareto", "architectures"):
            page.locator(f"section#{name} h2").scroll_into_view_if_needed()
            assert not pushes_sideways(page), name
        page.locator("#leaderboard-table tbody tr").first.locator("button").click()
        expect(page.get_by_role("dialog")).to_be_visible()
        assert not pushes_sideways(page)


def test_curves_show_whatever_was_noted_of_each_epoch(browser: Browser, written: Path) -> None:
    with opened(browser, written) as page:
        shown = page.locator("section#architectures").get_by_label("Show").first
        names = shown.locator("option").all_inner_texts()
        assert {"validation auc", "loss (training)", "learning rate", "gradient norm", "weight norm"} <= set(names)
        shown.select_option("learning rate")
        expect(page.locator("#curves .ytitle")).to_have_text("learning rate")


def test_failed_trials_are_shown_with_their_reason(
    browser: Browser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    searched(tmp_path / "run", small(budget__trials=6, **write_odd(tmp_path, "raising")))
    rows = RunFolder(tmp_path / "run").rows()
    failed = [row for row in rows if row["status"] == "failed"]
    assert 0 < len(failed) < len(rows)
    with opened(browser, report(tmp_path / "run")) as page:
        assert f"{len(failed)} failed" in page.locator("header .facts").inner_text()
        for _ in range(2):  # down, up: what is missing comes last
            page.locator("#leaderboard-table").get_by_role("button", name="auc").click()
            assert column(page, "auc")[-len(failed) :] == ["–"] * len(failed)
        page.get_by_role("button", name=f"failed {len(failed)}").click()
        assert sorted(column(page, "trial")) == sorted(row["id"] for row in failed)
        assert column(page, "auc") == ["–"] * len(failed)
        page.locator("#leaderboard-table tbody tr").first.click()
        expect(page.get_by_role("dialog")).to_contain_text("this block never works")
        expect(page.get_by_role("dialog").locator("pre")).to_contain_text("raising")


def test_names_are_text_and_never_html(browser: Browser, folder: Path, tmp_path: Path) -> None:
    evil = "<script>hacked = 1</script><img src=x onerror='hacked = 2'>"

    def change(row: dict[str, Any]) -> None:
        row["hyperparameters"] = {**row["hyperparameters"], evil: f"{evil}{row['proposal']}"}
        row["reference"] = evil
        if "error" in row:
            row["error"] = evil

    run = changed(folder, tmp_path / "run<b>", change, "trials.jsonl", "proposals.jsonl")
    with opened(browser, report(run)) as page:
        expect(page.get_by_role("heading", level=1)).to_have_text("run<b>")
        expect(page.locator("#leaderboard-table th", has_text="onerror")).to_have_count(1)
        page.locator("#leaderboard-table tbody tr").first.locator("button").click()
        expect(page.get_by_role("dialog")).to_contain_text(evil)
        page.keyboard.press("Escape")
        page.locator("#curves").scroll_into_view_if_needed()
        page.locator("#curves .plot-container").wait_for()
        assert page.evaluate("typeof hacked") == "undefined"


def test_a_search_that_runs_says_so(browser: Browser, folder: Path, tmp_path: Path) -> None:
    run = changed(folder, tmp_path / "run", lambda row: None)
    shutil.rmtree(run / "best")
    (run / "trials.jsonl").write_text("".join((run / "trials.jsonl").read_text().splitlines(True)[:2]))
    with RunFolder(run).locked():
        path = report(run)
    with opened(browser, path) as page:
        expect(page.locator(".banner[role=status]")).to_contain_text("is still running")
        expect(page.locator(".banner[role=status]")).to_contain_text("2 of 6 trials have ended, 4 in training")
        assert len(column(page, "trial")) == 2
    with opened(browser, report(run)) as page:
        expect(page.locator(".banner[role=status]")).to_contain_text("archioptrx search --resume")


def test_a_search_without_an_ended_trial_has_a_page(browser: Browser, tmp_path: Path) -> None:
    experiment = small()
    new_run(tmp_path / "run", prepare(experiment), load_events(experiment))
    with opened(browser, report(tmp_path / "run")) as page:
        expect(page.locator(".banner[role=status]")).to_contain_text("after 0 of 5 trials")
        expect(page.locator("main")).to_contain_text("No trial has ended yet.")


def test_a_search_in_which_all_failed_has_a_page(browser: Browser, folder: Path, tmp_path: Path) -> None:
    def fail(row: dict[str, Any]) -> None:
        row.update(status="failed", score=None, error="it broke", curve=[], epochs=0, metrics={})

    run = changed(folder, tmp_path / "run", fail, "trials.jsonl")
    shutil.rmtree(run / "best")
    (run / "retrain.jsonl").write_text("")
    with opened(browser, report(run)) as page:
        expect(page.locator(".banner[role=status]")).to_contain_text("all 6 that have ended failed")
        heads = page.get_by_role("heading", level=2).all_inner_texts()
        assert heads[:2] == ["Leaderboard", "Scores"] and "Best architectures" not in heads
        page.locator("#scores-figure .plot-container").wait_for()


def test_several_goals_have_fronts_and_a_figure_for_each_pair(browser: Browser, tmp_path: Path) -> None:
    goals = ["auc", "parameters", "latency"]
    searched(tmp_path / "run", small(budget__trials=6, objective=goals, retrain__seeds=1))
    rows = RunFolder(tmp_path / "run").rows()
    with opened(browser, report(tmp_path / "run"), "dark") as page:
        assert column(page, "front")[0] == "1" and column(page, "trial") == [row["id"] for row in rows]
        against = page.get_by_role("group", name="Against", exact=True)
        assert against.get_by_role("button").all_inner_texts() == ["parameters", "latency", "time per epoch"]
        against.get_by_role("button", name="latency").click()
        expect(page.locator("#pareto-figure .xtitle")).to_contain_text("latency of one forward pass")
        click_point(page, "pareto-latency-parameters", 1)
        expect(page.get_by_role("region", name="Chosen trial").locator("pre")).to_be_visible()


def test_a_search_of_hyperparameters_has_them_as_columns(browser: Browser, tmp_path: Path) -> None:
    path = {"architecture": "interaction", "search_space": "hyperparameters"}
    searched(tmp_path / "run", small(budget__trials=4, constraints={}, **path))
    rows = RunFolder(tmp_path / "run").rows()
    with opened(browser, report(tmp_path / "run")) as page:
        assert column(page, "hidden") == [str(row["hyperparameters"]["hidden"]) for row in rows]
        expect(page.locator("#leaderboard-table")).to_contain_text("(given)")


def test_the_command_says_what_it_wrote_and_what_it_does_not_do(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = folder.parent / "page.html"
    assert inspect.main([str(folder), "--html", str(path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"report": str(path)}
    for options in (["--fingerprint", "ab"], ["--functions"], ["--draw", str(folder.parent / "drawn")]):
        assert inspect.main([str(folder), "--html", str(path), *options]) == 2
        assert f"not with {options[0]}; allowed: archioptrx inspect {folder} --html" in capsys.readouterr().err
    assert inspect.main([f"{folder}/0", "--html", str(path)]) == 2
    assert "not with RUN/ID" in capsys.readouterr().err
    assert inspect.main([str(folder), "--html", str(folder)]) == 2
    assert "is a folder; allowed: a file" in capsys.readouterr().err
