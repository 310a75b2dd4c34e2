"""The event displays in a browser: what a user sees and clicks; and that a page stays small."""

import json
import math
import re
from dataclasses import replace

import numpy as np
import pytest
from browser import expect, opened
from graphs import random_arrays
from small_search import recursive_run

from archioptrx.commands import inspect
from archioptrx.data.dataset import Metadata, make_graph
from archioptrx.models.model_folder import load_model
from archioptrx.report import event_displays as displays
from archioptrx.report.held_out import BinaryTarget, evaluate_held_out
from archioptrx.report.page import Section, page
from archioptrx.tasks.comparison import medals


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return recursive_run(tmp_path_factory.mktemp("runs") / "recursive")


@pytest.fixture(scope="module")
def report(run):
    """Its report."""
    path = run.parent / "report.html"
    assert inspect.main([str(run), "--html", str(path)]) == 0
    return path


@pytest.fixture(scope="module")
def held(run):
    return evaluate_held_out(load_model(run))


def shown(page):
    """The display when it is drawn."""
    page.locator(".event-display").scroll_into_view_if_needed()
    page.wait_for_selector(".event-display[data-ready]")
    return page.locator(".event-display")


def drawn(display):
    return json.loads(display.get_attribute("data-drawn"))


def paths(display):
    """Segments on the screen, both views together."""
    texts = display.locator(".shapelayer path").evaluate_all("all => all.map((one) => one.getAttribute('d'))")
    return sum(text.count("M") for text in texts)


def counted(display):
    """The numbers in the legend, in its order."""
    texts = display.locator(".legendtext").all_text_contents()
    return [int(text.rsplit(": ", 1)[1].replace(",", "")) for text in texts]


def test_each_frame_shows_the_answers_of_its_pass(browser, report, held):
    [target] = BinaryTarget.all_of(held)
    event = displays.chosen_events(held, target)[0]
    with opened(browser, report) as page:
        display = shown(page)
        slider = display.locator("[data-part=frame]")
        assert int(slider.get_attribute("max")) + 1 == len(target.passes) == len(event.classes)
        for frame in (len(target.passes) - 1, 0, 2):
            slider.fill(str(frame))
            expect(display).to_have_attribute("data-frame", str(frame))
            counts = np.bincount(event.classes[frame], minlength=4)
            hidden = ((event.classes[frame] == 0) & (event.darkness[frame] == 0)).sum()
            expected = [int(counts[0] - hidden), *counts[1:].tolist()]
            assert list(drawn(display).values()) == counted(display) == expected
            assert paths(display) == 2 * sum(expected)
            auc = target.by_pass()[frame]["auc"]
            sentence = f"After iteration {frame} of {len(target.passes) - 1}, on all held-out events: AUC {auc:.4f}"
            expect(display.locator("[data-part=said]")).to_contain_text(sentence)


def test_play_goes_through_all_frames_and_stops(browser, report):
    with opened(browser, report) as page:
        display = shown(page)
        play = display.locator("[data-part=play]")
        last = display.locator("[data-part=frame]").get_attribute("max")
        play.click()
        expect(display).to_have_attribute("data-frame", "0")
        expect(play).to_have_text("❚❚ Pause")
        expect(display).to_have_attribute("data-frame", last)
        expect(play).to_have_text("▶ Play")


def test_the_legend_hides_a_class_and_shows_it_again(browser, report):
    with opened(browser, report, "dark") as page:
        display = shown(page)
        before, lines = drawn(display), paths(display)
        assert before["true, accepted"] > 0
        item = display.locator(".legendtoggle").nth(1)
        item.click()
        expect(display).not_to_have_attribute("data-drawn", re.compile("true, accepted"))
        assert paths(display) == lines - 2 * before["true, accepted"]
        assert counted(display)[1] == before["true, accepted"]
        item.click()
        expect(display).to_have_attribute("data-drawn", re.compile("true, accepted"))
        assert drawn(display) == before and paths(display) == lines


def test_scores_alone_another_event_and_another_theme(browser, report, held):
    [target] = BinaryTarget.all_of(held)
    events = displays.chosen_events(held, target)
    assert len(events) > 1
    with opened(browser, report) as page:
        display = shown(page)
        display.locator("[data-part=scores]").click()
        expect(display).to_have_attribute("data-drawn", re.compile("score 0.9 … 1"))
        assert list(drawn(display).values()) == np.bincount(events[0].darkness[-1], minlength=7)[1:].tolist()
        line = ".event-display .shapelayer path"
        light = page.evaluate(f"getComputedStyle(document.querySelector('{line}')).stroke")
        page.locator("#theme").click()
        changed = f"(before) => getComputedStyle(document.querySelector('{line}')).stroke !== before"
        page.wait_for_function(changed, arg=light)
        display.locator("[data-part=event]").select_option(index=1)
        expected = np.bincount(events[1].darkness[-1], minlength=7)[1:].tolist()
        page.wait_for_function(
            "(wanted) => document.querySelector('.event-display').dataset.drawn.endsWith(wanted)",
            arg=f":{expected[-1]}}}",
        )
        assert list(drawn(display).values()) == expected


def big(held, edges):
    """A model's held-out events exchanged for one large event, with random logits."""
    graph = make_graph(random_arrays(0, hits=10_000, edges=edges), Metadata("test"), "big", 0)
    [target] = BinaryTarget.all_of(held)
    random = np.random.default_rng(0)
    passes = [random.normal(0, 3, edges) for _ in range(9)]
    truth, kept = graph.y.numpy() > 0.5, np.ones(edges, dtype=bool)
    target = replace(target, logits=passes[-1], passes=passes, truth=truth, counted=kept, spans=[(0, edges)])
    return replace(held, graphs=[graph]), target


def test_an_event_of_50000_edges_takes_less_than_2_mb(held):
    events, target = big(held, 50_000)
    assert 500_000 < len(displays.event_display(events, target)) < 2_000_000
    [event] = displays.chosen_events(events, target)
    assert event.part == 1 and len(displays.sectors_of(event)) > 10


def test_of_a_larger_event_a_part_in_phi_is_carried(held):
    events, target = big(held, 20_000)
    [whole], [part] = (displays.chosen_events(events, target, most) for most in (10**9, 100_000))
    assert whole.part == 1 and part.part < 0.5 and displays.weight(part) == pytest.approx(100_000, rel=0.25)
    phi = np.arctan2(part.pos[:, 1], part.pos[:, 0])[part.rows[0]]
    everything = np.arctan2(whole.pos[:, 1], whole.pos[:, 0])[whole.rows[0]]
    np.testing.assert_array_equal(np.sort(phi), np.sort(everything[everything <= phi.max()]))
    inside = everything <= phi.max()
    np.testing.assert_array_equal(part.pos[part.rows], whole.pos[whole.rows[:, inside]])
    np.testing.assert_array_equal(part.classes, whole.classes[:, inside])


def test_sectors_hold_all_rows_about_evenly(held):
    events, target = big(held, 20_000)
    [event] = displays.chosen_events(events, target)
    limits = displays.sectors_of(event)
    phi = np.arctan2(event.pos[:, 1], event.pos[:, 0])[event.rows[0]]
    counts = np.histogram(phi, limits)[0]
    assert counts.sum() == event.rows.shape[1] and counts.max() < 1.2 * displays.PER_SECTOR


def test_every_row_is_in_one_sector_on_the_screen(browser, held, tmp_path):
    """Near the axis a tenth of a millimetre turns a hit by a lot."""
    events, target = big(held, 9_000)
    events.graphs[0].pos[:, :2] *= 0.002
    path = tmp_path / "page.html"
    body = displays.event_display(events, target)
    path.write_text(page("big", "", {}, [Section("event", "Event", body, scripts=("displays.js",))]))
    with opened(browser, path) as shown_page:
        display = shown(shown_page)
        counts, select = [], display.locator("[data-part=sector]")
        for index in range(select.locator("option").count()):
            select.select_option(index=index)
            shown_page.wait_for_timeout(50)
            counts.append(sum(drawn(display).values()))
        assert len(counts) == 4  # three sectors and all of them
        assert sum(counts[:-1]) == counts[-1] > 4_500


def test_bins_of_the_score():
    scores = np.array([0.0, 0.0099, 0.0101, 0.2, 0.4, 0.5, 0.69, 0.8, 0.95])
    logits = np.array([-math.inf, *(math.log(score / (1 - score)) for score in scores[1:])])
    assert displays.darkness_of(logits).tolist() == [0, 0, 1, 2, 3, 4, 4, 5, 6]


def test_medals_of_triplets_are_those_that_evaluate_counts():
    random = np.random.default_rng(1)
    index, truth, doublets = random.integers(0, 30, (2, 80)), random.random(80) < 0.4, random.random(30) < 0.5
    kept, logits = random.random(80) < 0.9, random.normal(size=80)
    classes = displays.classes_of(logits, truth, kept, index, doublets)
    expected = medals((logits >= 0) & kept, truth & kept, index, doublets)
    assert np.bincount(classes, minlength=6)[1:].tolist() == list(expected.values()) and min(expected.values()) > 0
