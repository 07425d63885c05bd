"""The player's page by itself in a real browser, as an exported file plays: no server.

Needs Chromium and Playwright, as `test_browser.py` does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.ui.test_playback_page import lane
from workbench.sample.playback import KeptFact
from workbench.ui.player.build import Lane, player_page

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]


@pytest.fixture
def play(browser: Any, tmp_path: Path) -> Iterator[Callable[..., Any]]:
    """Open lanes as an exported file; an error in its script fails the test."""
    opened = browser.new_page()
    problems: list[str] = []
    opened.on("pageerror", lambda error: problems.append(str(error)))

    def played(*lanes: Lane, **parts: str) -> Any:
        file = tmp_path / "player.html"
        page = player_page(
            lanes, **{"prompt": "p", "reference": "r", "theme": "light", "title": "t", **parts},
            far_limit=2.0, standalone=True,
        )  # fmt: skip
        file.write_text(page, encoding="utf-8")
        opened.goto(file.as_uri())
        return opened

    yield played
    opened.close()
    assert problems == []


def backgrounds(page: Any) -> list[str]:
    return page.eval_on_selector_all(".token", "all => all.map((t) => t.style.backgroundColor)")


def silent(at: tuple[int, ...]) -> Lane:
    """A lane without text at some moments."""
    whole = lane()
    is_text = whole.is_text.copy()
    is_text[list(at)] = False
    values = np.where(is_text[:, 0], 1.0, np.nan)
    return replace(whole, is_text=is_text, curves={"entropy": values})


def test_text_that_ends_at_once_is_called_that(play):
    page = play(silent((0, 1, 2, 3, 4)))
    assert "Ended at once" in page.inner_text(".lane .note")
    assert "No text at any step" in page.inner_text("#curve-note")
    page = play(silent((1,)))
    page.fill("#step", "0")
    assert page.inner_text(".lane .note") == ""
    page.fill("#step", "1")
    assert "No text yet" in page.inner_text(".lane .note")


def test_it_opens_where_half_of_the_words_have_settled_and_plays_from_noise(play):
    """Five words in two lanes settle at 1, 1, 3, 4, 4; a sixth is no text in the end."""
    first, second = (
        replace(lane(), commit=np.array(commit)) for commit in ([1, 1, 4, 4], [3, 0, 0, 0])
    )
    is_text = second.is_text.copy()
    is_text[-1, 1:] = False
    page = play(first, replace(second, is_text=is_text))
    assert page.input_value("#step") == "3"
    page.select_option("#speed", "2")  # slow enough to be seen at its start
    page.click("#play")
    assert page.input_value("#step") == "0"
    page.click("#play")
    page.fill("#step", "2")
    page.click("#play")  # touched: it goes on from here
    assert page.input_value("#step") == "2"
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("Home")
    assert "step 0 of 4, t = 0.00" in page.inner_text("#clock")
    assert page.get_attribute("#play", "aria-label") == "Play"


def test_nothing_written_opens_on_noise(play):
    assert play(silent((0, 1, 2, 3, 4))).input_value("#step") == "0"


def test_facts_are_marked_kept_or_lost_at_each_step(play):
    facts = [
        KeptFact("word", np.array([False, False, True, True, True])),
        KeptFact("red kite", np.array([False] * 5)),
    ]
    page = play(replace(lane(), facts=facts), prompt="A word of a RED kite, not words.")
    assert page.eval_on_selector_all("#prompt mark", "all => all.map((m) => m.textContent)") == [
        "word",
        "RED kite",
    ]
    assert "Facts kept: 0 of 2" in page.inner_text(".facts")
    assert page.query_selector(".token.fact-word") is None
    page.fill("#step", "3")
    assert "Facts kept: 1 of 2" in page.inner_text(".facts")
    assert page.inner_text(".fact.kept").endswith("word")
    assert page.inner_text(".fact.lost").endswith("red kite")
    assert len(page.query_selector_all(".token.fact-word")) == 4


def test_nothing_moves_while_it_plays(play):
    long = lane(tokens="a-rather-long-token-of-many-letters")
    is_text = long.is_text.copy()
    is_text[:3] = False
    page = play(replace(long, is_text=is_text))
    heights = set()
    for step in range(5):
        page.fill("#step", str(step))
        heights.add(page.evaluate("document.getElementById('curves').getBoundingClientRect().top"))
    assert len(heights) == 1


def test_words_take_the_colour_that_is_chosen(play):
    page = play(lane())
    by_step = backgrounds(page)
    page.select_option("#paint", "far")
    by_distance = backgrounds(page)
    assert by_distance != by_step
    page.click("#next")
    assert backgrounds(page) != by_distance
    assert "violet: 0, yellow:" in page.inner_text("#scale-text")


def test_space_plays_and_pauses_with_the_slider_focused(play):
    page = play(lane())
    page.select_option("#speed", "2")
    page.fill("#step", "0")
    page.focus("#step")
    page.keyboard.press("Space")
    assert page.get_attribute("#play", "aria-label") == "Pause"
    assert page.is_visible("#play .halt")
    assert not page.is_visible("#play .start")
    page.keyboard.press("Space")
    assert page.get_attribute("#play", "aria-label") == "Play"
    assert page.is_visible("#play .start")
    before = int(page.input_value("#step"))
    page.keyboard.press("ArrowRight")
    assert int(page.input_value("#step")) == before + 1


def test_names_of_the_axes_have_room_of_their_own(play):
    """No dot or path reaches the strips left of and below the map, where the names stand."""
    page = play(lane())
    drawn = page.evaluate(
        """() => {
            const c = document.querySelector('.lane canvas'), pen = c.getContext('2d');
            const s = window.devicePixelRatio, edge = Math.round(20 * s);
            const parts = [pen.getImageData(0, c.height - edge, c.width, edge),
                           pen.getImageData(0, 0, edge, c.height)];
            const saturated = (d, i) => d[i + 3] > 30 &&
                Math.max(d[i], d[i + 1], d[i + 2]) - Math.min(d[i], d[i + 1], d[i + 2]) > 60;
            return parts.map(({data}) => {
                let n = 0;
                for (let i = 0; i < data.length; i += 4) n += saturated(data, i);
                return n;
            });
        }"""
    )
    assert drawn == [0, 0]


def test_clock_and_curves_explain_themselves(play):
    page = play(lane(), clock="by <quantiles>", note="no facts & none")
    assert page.get_attribute("#clock", "title") == "by <quantiles>"
    assert page.inner_text("#curve-note") == "no facts & none"


def test_a_lane_without_latents_reveals_its_masks_beside_one_with_a_map(play):
    moments, length = 5, 4
    commit = np.array([1, 2, 3, 4])
    shown = commit <= np.arange(moments)[:, None]
    masked = Lane(
        title="llada", subtitle="own settings", colour="#009E73", track=None,
        tokens=[["word" if done else "░" for done in line] for line in shown],
        is_text=np.ones((moments, length), bool), commit=commit, far=None, basis=None, cloud=None,
        curves={"entropy": np.linspace(2, 0, moments)}, t=np.linspace(0, 1, moments), nfe=12,
        entropy=np.where(shown, 1.0, np.nan),
    )  # fmt: skip
    page = play(lane(), masked)
    second = page.locator(".lane").nth(1)
    assert second.locator("canvas").count() == 0
    assert "there is no map" in second.inner_text()
    assert "12 network evaluations" in second.inner_text()
    for step in range(moments):
        page.fill("#step", str(step))
        words = second.locator(".token").all_inner_texts()
        assert words == ["word" if done else "░" for done in shown[step]]
    for paint in ("entropy", "far", "commit"):
        page.select_option("#paint", paint)
    page.select_option("#paint", "far")
    colours = second.locator(".token").evaluate_all(
        "all => all.map((t) => t.style.backgroundColor)"
    )
    assert set(colours) == {"transparent"}
    assert page.locator(".lane").nth(0).locator("canvas").count() == 1


def test_dots_of_a_lane_from_outside_are_latents_and_no_words(play):
    """Six latents beside four words: each dot has its path and distance, whatever is pointed at."""
    whole = lane()
    assert whole.track is not None
    track = replace(whole.track, texts=["a text"] * 5)
    far = np.full((5, 6), 9.0)
    far[:, 0] = 0.0
    page = play(lane(), replace(whole, title="guest, from outside", track=track, far=far))
    second = page.locator(".lane").nth(1)
    drawn = """canvas => {
        const d = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
        let n = 0;
        for (let i = 0; i < d.length; i += 4)
            n += d[i + 3] > 30 &&
                Math.max(d[i], d[i+1], d[i+2]) - Math.min(d[i], d[i+1], d[i+2]) > 60;
        return n;
    }"""
    for paint in ("commit", "entropy", "far"):
        page.select_option("#paint", paint)
        page.fill("#step", "3")
        assert second.locator("canvas").evaluate(drawn) > 100
    assert "yellow: 9.0 × usual" in page.inner_text("#scale-text")
    words = second.locator(".token")
    assert words.count() == 4
    colours = words.evaluate_all("all => all.map((t) => t.style.backgroundColor)")
    assert set(colours) == {"transparent"}
    before = second.locator("canvas").evaluate(drawn)
    page.locator(".lane").nth(0).locator(".token").nth(1).hover()
    assert second.locator("canvas").evaluate(drawn) == before
