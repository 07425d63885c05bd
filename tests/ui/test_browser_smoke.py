"""The app in a real browser within four minutes: every page on the example, and one study begun.

`.ci/run` runs this on every submission; `test_browser.py` is the long form.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.ui.browsing import served, session, settle, visit, wait_for
from tests.ui.conftest import PAGES
from tests.ui.crowding import crowded
from tests.ui.first_view import MOST_WORDS, words_in_first_view
from workbench.pipeline.example import open_example

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]

PATIENCE_MS = 180_000  # the first page unpacks the example and loads every library
# Streamlit's own menu puts sections into a list; nothing here can change that.
NOT_OURS = {"list", "listitem"}


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A runs directory without a study."""
    return tmp_path_factory.mktemp("smoke") / "runs"


@pytest.fixture(scope="module")
def address(runs: Path) -> Iterator[str]:
    with served(runs) as server:
        yield server.address


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    """A fresh session at 1440 x 900; a script's error on any page fails the test."""
    with session(browser, 1440, 900, PATIENCE_MS) as opened:
        yield opened


@pytest.mark.parametrize("name", PAGES)
def test_page_is_alive_short_and_accessible(page, address, name):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs axe-core")
    # By turns, for two themes on every page would take more than four minutes.
    page.emulate_media(color_scheme=("light", "dark")[PAGES.index(name) % 2])
    visit(page, address, name, "")
    assert page.query_selector('[data-testid="stException"]') is None
    assert page.query_selector('[data-testid="stAlertContentError"]') is None
    page.get_by_role("button", name="Train your own").wait_for()
    assert words_in_first_view(page) <= MOST_WORDS
    found = axe.Axe().run(page).response["violations"]
    serious = {
        rule["id"]: [node["html"][:120] for node in rule["nodes"]]
        for rule in found
        if rule["impact"] in ("serious", "critical") and rule["id"] not in NOT_OURS
    }
    assert serious == {}


@pytest.mark.parametrize("place", ["separability", "geometry?what=Misses", "scorecard", "study"])
def test_figures_can_be_read_where_the_window_is_narrow(browser, address, place):
    with session(browser, 900, 900, PATIENCE_MS) as page:
        name, _, query = place.partition("?")
        visit(page, address, name, query)
        page.wait_for_selector(".js-plotly-plot .main-svg")
        page.wait_for_timeout(1000)
        assert crowded(page) == []
        assert page.evaluate(
            "(main => main.scrollWidth <= main.clientWidth)"
            "(document.querySelector('[data-testid=stMain]'))"
        )


def test_study_has_an_address_of_its_own(page, address):
    page.goto(f"{address}/study")
    page.wait_for_selector("h1")
    settle(page)
    assert page.inner_text("h1") == "Study"
    assert "Page not found" not in page.inner_text("body")


def test_the_keyboard_alone_plays_the_playback(page, address):
    visit(page, address, "playback", "steps=20")
    handle = page.wait_for_selector('iframe[title="Denoising player"]')
    frame = handle.content_frame()
    frame.wait_for_selector(".token")
    opening = int(frame.input_value("#step"))
    page.evaluate("document.activeElement.blur()")
    for _ in range(60):
        page.keyboard.press("Tab")
        if frame.evaluate("document.activeElement.id") == "play":
            break
    assert frame.evaluate("document.activeElement.id") == "play"
    page.keyboard.press("Enter")
    wait_for(lambda: 2 < int(frame.input_value("#step")) < opening)  # it began from noise
    page.keyboard.press("Enter")
    assert frame.get_attribute("#play", "aria-label") == "Play"


def test_figures_are_saved_as_pictures_and_data(page, address, tmp_path):
    visit(page, address, "geometry", "")
    page.get_by_role("button", name="Export").first.click()
    with page.expect_download() as waiting:
        page.get_by_text("CSV: the numbers").first.click()
    assert waiting.value.suggested_filename == "overview.csv"
    for kind in ("svg", "png"):
        page.get_by_role("radio", name=kind).first.click()
        settle(page)
        page.keyboard.press("Escape")
        page.locator(".js-plotly-plot").first.hover()
        with page.expect_download() as waiting:
            page.locator('[data-title^="Download plot"]').first.click(force=True)
        assert waiting.value.suggested_filename == f"overview.{kind}"
        page.get_by_role("button", name="Export").first.click()


def test_a_link_says_what_it_ignored_and_a_typed_sentence_which_words_are_unknown(page, address):
    visit(page, address, "neighbours", "level=texts&a=nobody&typed=Quarks%20like%20the%20fox.")
    page.wait_for_selector("text=this was ignored: a = nobody")
    page.wait_for_selector("text=read as unknown: Quarks")


def test_a_study_that_is_deleted_while_open_is_named(page, address, runs, tmp_path):
    shutil.copytree(open_example_in(runs), runs / "mine")
    visit(page, address, "study", "study=mine")
    shutil.rmtree(runs / "mine")
    page.wait_for_timeout(2100)
    page.get_by_role("link", name="Geometry").click()
    page.wait_for_selector("text=is gone")


def open_example_in(runs: Path) -> Path:
    """The example as the app has unpacked it below a runs directory."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WORKBENCH_RUNS", str(runs))
        found = open_example()
    assert found is not None
    return found
