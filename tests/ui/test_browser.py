"""The app in a real browser: every page, play, branch, export, a study started and ended.

Needs Chromium and Playwright: `apt-get install chromium` and `pip install playwright`; elsewhere
the tests are skipped and say so.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.ui.browsing import SECONDS, served, session, settle, visit, wait_for
from tests.ui.conftest import PAGES

pytestmark = [pytest.mark.browser, pytest.mark.timeout(1800)]


@pytest.fixture(scope="module")
def runs(smoke_runs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A runs directory of this module's own: jobs are started in it."""
    return Path(shutil.copytree(smoke_runs, tmp_path_factory.mktemp("browser") / "runs"))


@pytest.fixture(scope="module")
def address(runs: Path) -> Iterator[str]:
    """The app's address, served until the module ends."""
    with served(runs) as server:
        yield server.address


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    """A fresh session; an error on any page fails the test."""
    with session(browser, 1360, 1000, SECONDS * 1000) as opened:
        yield opened


def player(page: Any) -> Any:
    """The frame of the playback player."""
    handle = page.wait_for_selector('iframe[title="Denoising player"]')
    frame = handle.content_frame()
    frame.wait_for_selector(".token")
    return frame


def step_of(frame: Any) -> int:
    return int(frame.input_value("#step"))


@pytest.mark.parametrize("name", PAGES)
def test_page_opens_without_an_error_or_a_traceback(page, address, name):
    visit(page, address, name)
    assert page.query_selector('[data-testid="stException"]') is None
    assert page.query_selector('[data-testid="stAlertContentError"]') is None
    assert "Traceback" not in page.inner_text("body")
    for figure in page.query_selector_all(".js-plotly-plot"):
        assert figure.query_selector(".main-svg") is not None


def test_player_plays_pauses_scrubs_without_the_server(page, address):
    sent: list[Any] = []
    page.on("websocket", lambda socket: socket.on("framesent", lambda frame: sent.append(frame)))
    visit(page, address, "playback", "study=smoke&steps=30")
    frame = player(page)
    page.wait_for_selector("text=plays offline")
    settle(page)
    sent.clear()
    frame.select_option("#speed", "2")
    frame.click("#play")
    assert step_of(frame) < 30
    frame.select_option("#speed", "25")
    wait_for(lambda: step_of(frame) == 30)
    assert frame.get_attribute("#play", "aria-label") == "Play"
    for _ in range(3):
        frame.click("#back")
    assert step_of(frame) == 27
    frame.evaluate("() => { const s = document.getElementById('step'); s.value = 5; s.oninput(); }")
    assert "step 5 of 30" in frame.inner_text("#clock")
    frame.click("#curve-choice button:nth-child(2)")
    assert frame.get_attribute("#curve-choice button:nth-child(2)", "aria-pressed") == "true"
    assert sent == []


def test_words_of_the_player_stay_inside_their_lane(page, address):
    visit(page, address, "playback")
    frame = player(page)
    inside = frame.evaluate(
        """() => [...document.querySelectorAll('.lane')].every(lane => {
            const box = lane.getBoundingClientRect();
            return [...lane.querySelectorAll('.token:not([hidden])')].every(
                token => token.getBoundingClientRect().right <= box.right + 1);
        })"""
    )
    assert inside


def test_player_words_and_curves_stand_in_one_view(browser, address):
    """At 1440 x 900 without scrolling; at 900 pixels wide nothing of it is cut off."""
    for width, height in ((1440, 900), (900, 900)):
        context = browser.new_context(viewport={"width": width, "height": height})
        page = context.new_page()
        page.set_default_timeout(SECONDS * 1000)
        visit(page, address, "playback")
        frame = player(page)
        page.wait_for_timeout(1500)
        box = page.query_selector('iframe[title="Denoising player"]').bounding_box()
        curves = frame.evaluate("document.getElementById('curves').getBoundingClientRect().bottom")
        whole = frame.evaluate("document.documentElement.scrollHeight")
        assert whole <= box["height"] + 2
        if width == 1440:
            assert box["y"] + curves <= height
        context.close()


def test_branch_adds_a_lane(page, address):
    visit(page, address, "playback")
    assert len(player(page).query_selector_all(".lane")) == 2
    page.get_by_text("Prompt, noise, solver, and a branch").click()
    page.get_by_text("Branch: change one thing").click()
    settle(page)
    wait_for(lambda: len(player(page).query_selector_all(".lane")) == 3)


def test_exported_playback_plays_from_a_file(page, address, browser, tmp_path):
    visit(page, address, "playback")
    with page.expect_download() as waiting:
        page.get_by_text("plays offline").click()
    file = tmp_path / "playback.html"
    waiting.value.save_as(file)
    context = browser.new_context(offline=True)
    offline = context.new_page()
    offline.goto(file.as_uri())
    last = int(offline.get_attribute("#step", "max"))
    offline.evaluate("() => { document.getElementById('speed').value = '25'; }")
    offline.click("#play")
    wait_for(lambda: int(offline.input_value("#step")) == last)
    assert len(offline.query_selector_all(".token")) > 0
    context.close()


def test_reload_reopens_the_same_view(page, address):
    visit(page, address, "geometry", "study=smoke&a=repa&what=Dimension")
    section = "text=TwoNN: directions that a point's neighbours spread in"
    page.wait_for_selector(section)
    page.get_by_text("Decoder basin").click()
    page.wait_for_selector("text=towards another word")
    assert "what=Decoder" in page.url
    page.reload()
    page.wait_for_selector("text=towards another word")
    assert page.query_selector(section) is None
    assert "a=repa" in page.url


def test_study_starts_survives_a_reload_and_ends(page, address, runs, browser):
    visit(page, address, "new_study", "preset=smoke")
    name = page.get_by_role("textbox", name="Name", exact=True)
    name.fill("from-the-browser")
    name.press("Enter")
    page.get_by_text("The same from a terminal").click()
    page.wait_for_selector("text=name=from-the-browser")
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Start").click()
    page.wait_for_selector("text=/is running|waits for|is starting/")
    page.reload()
    page.wait_for_selector("text=/is running|waits for|is starting|is done/")
    second = browser.new_context().new_page()
    second.goto(f"{address}/new_study")
    second.wait_for_selector("text=/is running|waits for|is starting|is done/", timeout=120_000)
    second.context.close()
    wait_for(lambda: (runs / "from-the-browser" / "comparison.json").is_file(), 1200)
    page.wait_for_selector("text=/from-the-browser.*is done/")
    visit(page, address, "study", "study=from-the-browser")
    assert "Every number" in page.inner_text("body")
