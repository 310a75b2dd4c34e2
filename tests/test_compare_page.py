"""The page of a comparison, as a reader sees it."""

import shutil

import pytest
from browser import expect, opened, pushes_sideways

from archioptrx.commands import compare, train
from archioptrx.core.own_files import check_page

TOY = ("--set", "data.num_samples=60", "--epochs", "1")


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """A page of two models, one of them with a name that isn't HTML, and one of models without decisions."""
    folder = tmp_path_factory.mktemp("models")
    assert train.main(["message_passing", *TOY, "--output", str(folder / "first")]) == 0
    assert train.main(["interaction", *TOY, "--output", str(folder / "a<i>b")]) == 0
    hits = ("--set", "task={name: node_regression, parameters: [charge_over_pt, inverse_pt, phi]}")
    assert train.main(["hits", *hits, *TOY, "--output", str(folder / "hits")]) == 0
    shutil.copytree(folder / "hits", folder / "twin")
    files = {}
    for name, models in (("edges", ("first", "a<i>b")), ("hits", ("hits", "twin"))):
        files[name] = folder / f"{name}.html"
        paths = [str(folder / model) for model in models]
        assert compare.main([*paths, "--resamples", "100", "--html", str(files[name])]) == 0
        check_page(files[name])
    return files


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_two_models(browser, pages, theme):
    with opened(browser, pages["edges"], theme) as page:
        titles = page.locator("main > section > h2").all_inner_texts()
        assert titles == ["Numbers", "Metrics", "Edges that change sides", "Curves", "Score and cost", "One event"]
        expect(page.locator("h1")).to_have_text("first · a<i>b")
        heads = page.locator("#numbers-table th").all_inner_texts()
        assert heads[0].startswith("metric (95 %, 9 events)")
        assert heads[1:] == ["first", "a<i>b", "a<i>b − first"]
        row = page.locator("#numbers-table tbody tr").first
        assert "auc" in row.inner_text() and "…" in row.inner_text()
        page.locator("#differences").scroll_into_view_if_needed()
        marks = page.locator("#differences .scatterlayer .point")
        expect(marks.first).to_be_visible()
        assert marks.count() > 8
        line = page.locator("#changes li").first.inner_text()
        assert line.startswith("a<i>b fixes ") and "that first has wrong and worsens" in line
        page.locator("#event-figure").scroll_into_view_if_needed()
        expect(page.locator("#event-figure .legendtext", has_text="worsened by a<i>b")).to_be_visible()


def test_another_metric_and_cost_are_chosen(browser, pages):
    with opened(browser, pages["edges"]) as page:
        page.locator("#intervals").scroll_into_view_if_needed()
        expect(page.locator("#intervals .xtitle")).to_have_text("auc")
        page.locator("select[data-figure=intervals]").select_option(label="track efficiency")
        expect(page.locator("#intervals .xtitle")).to_have_text("track efficiency")
        page.locator("#cost-figure").scroll_into_view_if_needed()
        page.get_by_role("button", name="latency (ms)").click()
        expect(page.locator("#cost-figure .xtitle")).to_have_text("latency (ms)")


def test_on_a_phone(browser, pages):
    with opened(browser, pages["edges"], width=400) as page:
        assert not pushes_sideways(page)


def test_models_without_decisions(browser, pages):
    with opened(browser, pages["hits"]) as page:
        assert page.locator("main > section > h2").all_inner_texts() == ["Numbers", "Metrics", "Score and cost"]
        assert "loss" in page.locator("#numbers-table").inner_text()
