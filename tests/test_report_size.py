"""The report of many trials: a reader turns pages, and the file stays small."""

from __future__ import annotations

from pathlib import Path

import pytest
from browser import Browser, expect, opened, pushes_sideways
from large_run import large_run

from archioptrx.core.own_files import check_page
from archioptrx.report.run_report import write_report
from archioptrx.runs.run_folder import RunFolder

ROWS = "#leaderboard-table tbody tr"


def test_a_few_trials_at_a_time_are_shown(browser: Browser, tmp_path: Path) -> None:
    run = RunFolder(large_run(tmp_path / "run", 60))
    write_report(run, tmp_path / "page.html")
    check_page(tmp_path / "page.html")
    ids = [row["id"] for row in run.rows()]
    with opened(browser, tmp_path / "page.html") as page:
        shown = page.locator("#leaderboard-shown")
        expect(shown).to_have_text("1–25 of 60 trials")
        expect(page.get_by_role("button", name="Previous")).to_be_disabled()
        for text, part in (("26–50 of 60 trials", ids[25:50]), ("51–60 of 60 trials", ids[50:])):
            page.get_by_role("button", name="Next").click()
            expect(shown).to_have_text(text)
            assert page.locator(f"{ROWS} td:nth-child(2)").all_inner_texts() == part
        expect(page.get_by_role("button", name="Next")).to_be_disabled()
        # What sorts or filters begins at the first page again.
        page.locator("#leaderboard-table").get_by_role("columnheader", name="trial").get_by_role("button").click()
        expect(shown).to_have_text("1–25 of 60 trials")
        assert page.locator(f"{ROWS} td:nth-child(2)").all_inner_texts() == sorted(ids)[:25]


@pytest.mark.long
def test_ten_thousand_trials_fit_in_ten_megabytes(browser: Browser, tmp_path: Path) -> None:
    run = RunFolder(large_run(tmp_path / "run", 10_000))
    write_report(run, tmp_path / "page.html")
    assert (tmp_path / "page.html").stat().st_size <= 10_000_000
    with opened(browser, tmp_path / "page.html", "dark") as page:
        expect(page.locator("#leaderboard-shown")).to_have_text("1–25 of 10,000 trials")
        assert page.locator(ROWS).count() == 25 and page.locator("tr").count() < 1000
        page.get_by_label("Filter").fill("failed")
        failed = sum(row["status"] == "failed" for row in run.trials.read())
        expect(page.locator("#leaderboard-shown")).to_contain_text(f"of {failed} trials (of 10,000)")
        for figure in ("scores-figure", "pareto-figure"):
            page.locator(f"#{figure}").scroll_into_view_if_needed()
            page.locator(f"#{figure} .points path").first.wait_for()
        assert not pushes_sideways(page)
