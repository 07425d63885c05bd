"""How large a map stays fluid; run as `python -m tests.ui.measure_maps [POINTS ...]`.

Synthetic words in three spaces, drawn by Chromium's software renderer. For each size: the bytes
sent, seconds from opening the page until all is drawn, the component's own part of that, and the
time between frames while one panel is dragged, for all of the map and for a corner of it.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.ui.browsing import SECONDS, answers, chromium, free_port, settle, wait_for
from tests.ui.conftest import ROOT
from tests.ui.measure import session

SIZES = (1_000, 10_000, 100_000, 1_000_000)
FRAMES = 40
SCRIPT = """
import streamlit as st

from tests.ui.mapped import synthetic_view
from workbench.ui.map.component import show_map

st.set_page_config(layout="wide")
view = st.cache_resource(synthetic_view)({points}, ("none", "repa", "teacher"))
st.write(len(show_map(view, "")))
"""
WATCH = """() => {
  window.gaps = []; let last = performance.now();
  const tick = now => {
    window.gaps.push(now - last); last = now; window.ticking = requestAnimationFrame(tick);
  };
  window.ticking = requestAnimationFrame(tick);
}"""
STOP = "() => { cancelAnimationFrame(window.ticking); return window.gaps.slice(2); }"


def dragged(page: Any) -> dict[str, float]:
    """Milliseconds between frames while the first panel is dragged to and fro."""
    box = page.locator("canvas.plot").first.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.evaluate(WATCH)
    for step in range(FRAMES):
        page.mouse.move(x + 40 * (-1) ** (step // 10) * (step % 10) / 10, y + step / 2)
        page.evaluate("() => new Promise(requestAnimationFrame)")
    gaps = sorted(page.evaluate(STOP))
    page.mouse.up()
    page.wait_for_timeout(1000)
    return {
        "frames a second, median": round(1000 / statistics.median(gaps), 1),
        "slowest twentieth, ms": round(gaps[int(len(gaps) * 0.95)], 1),
    }


def measured(address: str, browser: Any) -> dict[str, Any]:
    """One size."""
    with session(browser) as (page, wire):
        start = time.monotonic()
        page.goto(address)
        page.wait_for_selector(".maps[data-ready]")
        ready = time.monotonic() - start
        page.wait_for_selector(".maps[data-answered]")
        settle(page)
        far = dragged(page)
        page.locator("canvas.plot").first.focus()
        for _ in range(10):
            page.keyboard.press("+")
        page.wait_for_timeout(1500)
        return {
            "message, bytes": wire.largest,
            "opened, s": round(ready, 2),
            "drawn by the component, s": int(page.get_attribute(".maps", "data-ready")) / 1000,
            "whole map": far,
            "magnified 9 times": dragged(page),
        }


@contextmanager
def mapped(points: int) -> Iterator[str]:
    """The address of a page that shows a map of so many points."""
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "map_app.py"
        script.write_text(SCRIPT.format(points=points))
        port = free_port()
        command = [
            sys.executable,
            "-m",
            "streamlit",
            "run",
            str(script),
            "--server.port",
            str(port),
        ]
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
        server = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL)
        try:
            wait_for(lambda: answers(f"http://127.0.0.1:{port}/_stcore/health"))
            yield f"http://127.0.0.1:{port}"
        finally:
            server.terminate()
            server.wait(SECONDS)


def main(sizes: list[int]) -> None:
    for points in sizes:
        with mapped(points) as address, chromium() as browser:
            found = {"points": points, **measured(address, browser)}
        print(json.dumps({**found, "load": round(os.getloadavg()[0], 1)}), flush=True)


if __name__ == "__main__":
    main([int(text) for text in sys.argv[1:]] or list(SIZES))
