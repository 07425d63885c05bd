"""The map in a real browser: lasso, search, neighbours, one highlight, the link, and no WebGL."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest

from tests.ui.browsing import CHROMIUM, SECONDS, served, session, settle, visit
from tests.ui.mapped import component, unpacked
from workbench.ui.map.look import Look, rows_inside

pytestmark = [pytest.mark.browser, pytest.mark.timeout(1800)]

MAP = ".maps[data-ready]"
NO_WEBGL = ["--no-sandbox", "--disable-gpu", "--disable-software-rasterizer"]


@pytest.fixture(scope="module")
def address(smoke_runs: Path) -> Iterator[str]:
    with served(smoke_runs) as server:
        yield server.address


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    """A fresh session that notes what it sends; an error on the page fails the test."""
    with session(browser, 1440, 900, SECONDS * 1000) as opened:
        opened.sent = []
        opened.on("websocket", lambda ws: ws.on("framesent", lambda f: opened.sent.append(f)))
        yield opened


def open_map(page: Any, address: str, query: str = "study=smoke") -> None:
    visit(page, address, "latent_map", query)
    page.wait_for_selector(MAP)
    page.wait_for_selector(".maps[data-answered]")
    settle(page)
    page.sent.clear()


def told(page: Any, name: str) -> str | None:
    """What the component says of itself."""
    return page.get_attribute(MAP, f"data-{name}")


def middle(page: Any, panel: int) -> tuple[float, float]:
    box = page.locator(f"{MAP} canvas.plot").nth(panel).bounding_box()
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def draw_lasso(page: Any, panel: int, reach: float = 70) -> None:
    x, y = middle(page, panel)
    page.keyboard.down("Shift")
    page.mouse.move(x - reach, y - reach)
    page.mouse.down()
    for dx, dy in ((1, -1), (1, 1), (-1, 1), (-1, -1)):
        page.mouse.move(x + dx * reach, y + dy * reach, steps=8)
        page.wait_for_timeout(50)  # a hand is slower; corners in quick succession are dropped
    page.mouse.up()
    page.keyboard.up("Shift")


def pictures(page: Any) -> list[str]:
    """What stands on the top layer of each panel."""
    return page.evaluate(
        "Array.from(document.querySelectorAll('*')).flatMap(e => e.shadowRoot ? [...e.shadowRoot."
        "querySelectorAll('canvas.over')] : []).map(canvas => canvas.toDataURL())"
    )


def point_at_a_dot(page: Any, panel: int = 0) -> None:
    """Move over a panel until a dot is hit."""
    x, y = middle(page, panel)
    for dx in range(-120, 120, 3):
        page.mouse.move(x + dx, y)
        page.wait_for_timeout(30)
        if told(page, "hovered") not in (None, "-1"):
            return
    pytest.fail("no dot was hit")


def test_pointing_at_a_dot_lights_it_up_in_every_space_without_the_server(page, address):
    open_map(page, address)
    before = pictures(page)
    point_at_a_dot(page)
    after = pictures(page)
    assert len(after) == 3
    assert all(a != b for a, b in zip(before, after, strict=True))
    assert page.inner_text(".pointed").count(" ") > 3  # its text stands below, not over the map
    page.wait_for_timeout(800)
    assert page.sent == []


def test_a_lasso_lights_up_at_once_then_the_tables_and_the_link_follow(page, address):
    open_map(page, address)
    draw_lasso(page, 1)
    chosen = int(told(page, "chosen"))
    assert chosen > 0
    assert page.sent == []  # lit up before the server knows
    page.wait_for_selector("text=/^Chosen, those that moved most/")
    settle(page)
    assert told(page, "chosen") == str(chosen)
    link = parse_qs(urlsplit(page.url).query)
    assert link["lasso"][0].startswith("repa:")
    rows = page.locator(".items li").count()
    assert rows == min(chosen, 60)
    url = page.url
    again = page.context.new_page()
    again.goto(url)
    again.wait_for_selector(MAP)
    again.wait_for_selector("text=/^Chosen, those that moved most/")
    assert told(again, "chosen") == str(chosen)
    page.get_by_role("button", name="Forget the choice").click()
    assert told(page, "chosen") == "0"
    page.wait_for_selector("text=/^Moved most/")
    settle(page)
    assert "lasso" not in page.url


def test_python_counts_the_same_rows_in_a_lasso(page, address, smoke_runs, open_page):
    open_map(page, address)
    draw_lasso(page, 0, reach=55)
    page.wait_for_selector("text=/^Chosen, those that moved most/")
    settle(page)
    corners = parse_qs(urlsplit(page.url).query)["lasso"][0].partition(":")[2].split(",")
    values = [int(v) / 1000 for v in corners]
    app = open_page("latent_map", smoke_runs)
    header, columns = unpacked(component(app, "latent_map").bytes)
    points = np.stack([columns["none", "x"], columns["none", "y"]], axis=1).astype(np.float32)
    inside = rows_inside(points / np.float32(32767), zip(values[::2], values[1::2], strict=True))
    assert told(page, "chosen") == str(int(inside.sum()))
    assert header["look"] == Look().for_browser()


def test_search_by_keyboard_chooses_and_asks(page, address):
    open_map(page, address)
    box = page.get_by_label("Find in the maps")
    box.focus()
    page.keyboard.type("the")
    page.wait_for_selector(".items li")
    assert int(told(page, "chosen")) > 0
    assert "chosen" in page.inner_text(".count")
    before = told(page, "answered")
    page.wait_for_selector("text=/^Chosen, those that moved most/")
    settle(page)
    assert "find=the" in page.url
    page.locator(".items button").nth(3).focus()
    page.keyboard.press("Enter")
    page.wait_for_selector(f'.maps:not([data-answered="{before}"])')
    settle(page)
    assert f"asked={told(page, 'answered')}" in page.url
    box.fill("zebra")
    page.wait_for_selector("text=Nothing has this.")


def test_a_click_names_neighbours_of_the_space_in_every_space(page, address):
    open_map(page, address)
    point_at_a_dot(page)
    row = told(page, "hovered")
    page.mouse.down()
    page.mouse.up()
    page.wait_for_selector(f'.maps[data-answered="{row}"]')
    settle(page)
    names = [page.locator(".near").nth(panel).inner_text() for panel in range(3)]
    assert all(" → " in name for name in names)
    assert f"asked={row}" in page.url


def test_the_view_is_in_the_link(page, address):
    open_map(page, address)
    page.locator("canvas.plot").nth(2).focus()
    for key in ("+", "+", "ArrowRight"):
        page.keyboard.press(key)
    page.wait_for_url(lambda url: "view=" in url)
    assert page.sent == []
    views = parse_qs(urlsplit(page.url).query)["view"][0].split(";")
    assert views[0] == "0,0,1000"
    assert views[2].endswith(",1563")  # 1.25 twice
    url = page.url
    page.goto(url)
    page.wait_for_selector(MAP)
    page.locator("canvas.plot").nth(0).focus()
    page.keyboard.press("+")
    page.wait_for_url(lambda url: "1250" in url)
    again = parse_qs(urlsplit(page.url).query)["view"][0].split(";")
    assert again[1:] == views[1:]


def test_a_path_is_drawn_in_both_arms(page, address):
    open_map(page, address)
    before = pictures(page)
    page.get_by_label("Denoising path").select_option("0")
    after = pictures(page)
    assert [a != b for a, b in zip(before, after, strict=True)] == [True, True, False]
    assert page.sent == []


def test_the_picture_is_saved(page, address, tmp_path):
    open_map(page, address)
    with page.expect_download() as waiting:
        page.get_by_role("button", name="PNG").click()
    file = tmp_path / waiting.value.suggested_filename
    waiting.value.save_as(file)
    assert file.name == "map-tokens.png"
    assert file.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"


def test_without_webgl_a_figure_stands_in(browser, address):
    started = browser.browser_type.launch(executable_path=CHROMIUM, args=NO_WEBGL)
    page = started.new_page(viewport={"width": 1440, "height": 900})
    page.set_default_timeout(SECONDS * 1000)
    visit(page, address, "latent_map")
    page.wait_for_selector("text=This browser has no WebGL")
    page.wait_for_selector(".js-plotly-plot .main-svg")
    assert page.query_selector(MAP) is None
    page.get_by_role("textbox", name="Find").fill("the")
    page.keyboard.press("Enter")
    page.wait_for_selector("text=/^Chosen, those that moved most/")
    started.close()
