"""How quick the app is in a real browser; run as `python -m tests.ui.measure RUNS`.

RUNS is a runs directory with a finished study `demo`; it is not written to. Three measures, each
beside the machine's load: the first page after the server is up, reruns of the Latent map at
50,000 points, and the largest message that any page sends.
"""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.ui.browsing import SECONDS, chromium, served, settle, visit
from tests.ui.conftest import PAGES

POINTS = 50_000
REPEATS = 3
QUIET_MS = 500


class Wire:
    """Frames of a page's websockets: when, whether sent or received, and how many bytes."""

    def __init__(self, page: Any) -> None:
        self.frames: list[tuple[float, bool, int]] = []
        page.on("websocket", self._listen)

    def _listen(self, socket: Any) -> None:
        socket.on("framesent", lambda data: self._note(True, data))
        socket.on("framereceived", lambda data: self._note(False, data))

    def _note(self, sent: bool, data: Any) -> None:
        self.frames.append((time.monotonic(), sent, len(data)))

    @property
    def seconds(self) -> float:
        """From the first frame sent to the last received."""
        start = min(at for at, sent, _ in self.frames if sent)
        return max(at for at, sent, _ in self.frames if not sent) - start

    @property
    def seconds_to_largest(self) -> float:
        """From the first frame sent to the largest received: the figure is there, not yet drawn."""
        start = min(at for at, sent, _ in self.frames if sent)
        return max((n, at) for at, sent, n in self.frames if not sent)[1] - start

    @property
    def largest(self) -> int:
        """Bytes of the largest frame received."""
        return max((size for _, sent, size in self.frames if not sent), default=0)


@contextmanager
def session(browser: Any) -> Iterator[tuple[Any, Wire]]:
    """A fresh browser session and its wire."""
    context = browser.new_context(viewport={"width": 1360, "height": 1000})
    page = context.new_page()
    page.set_default_timeout(SECONDS * 1000)
    yield page, Wire(page)
    context.close()


def first_page(runs: Path, browser: Any) -> Iterator[float]:
    """Seconds from opening the first page on a new server until it is complete."""
    for _ in range(REPEATS):
        with served(runs) as server, session(browser) as (page, _):
            start = time.monotonic()
            page.goto(server.address)
            page.wait_for_selector("h1")
            page.wait_for_selector(".js-plotly-plot .main-svg")
            page.wait_for_selector('[data-testid="stApp"][data-test-script-state="notRunning"]')
            yield time.monotonic() - start


def largest_messages(runs: Path, browser: Any) -> dict[str, int]:
    """Page -> bytes of the largest message on opening it."""
    found = {}
    with served(runs) as server, session(browser) as (page, wire):
        for name in PAGES:
            wire.frames.clear()
            visit(page, server.address, name, "study=demo")
            page.wait_for_timeout(QUIET_MS)
            found[name] = wire.largest
    return found


def map_reruns(browser: Any) -> dict[str, Any]:
    """Reruns of a map of 50,000 points: until its largest message is there, and its last."""
    times: dict[str, list[float]] = {}
    largest = 0

    def rerun(name: str, box: Any, value: str) -> None:
        nonlocal largest
        wire.frames.clear()
        box.fill(value)
        box.press("Enter")
        page.wait_for_timeout(QUIET_MS)
        settle(page)
        page.wait_for_timeout(QUIET_MS)
        times.setdefault(f"{name}: largest message received, s", []).append(wire.seconds_to_largest)
        times.setdefault(f"{name}: last message received, s", []).append(wire.seconds)
        largest = max(largest, wire.largest)

    with tempfile.TemporaryDirectory() as folder:
        make_wide_study(Path(folder) / "wide")
        with served(Path(folder)) as server, session(browser) as (page, wire):
            visit(page, server.address, "latent_map", "study=wide")
            page.wait_for_selector(".maps[data-ready]")
            page.wait_for_timeout(QUIET_MS)
            largest = wire.largest
            points = int(page.get_attribute(".maps", "data-rows"))
            for label in ("semantic_class", "side of the cut", "pos") * REPEATS:
                rerun("recolouring", page.get_by_role("combobox", name="Colour"), label)
            for word in ("dog", "happy", "garden") * REPEATS:
                rerun("search", page.get_by_label("Find in the maps"), word)
    spread = {name: summary(seconds) for name, seconds in times.items()}
    return {"points": points, "largest message, bytes": largest, **spread}


def make_wide_study(directory: Path) -> None:
    """A study whose test split has 50,000 words; trained for a few steps, it means nothing."""
    from workbench.config.presets.on_two_cores import smoke
    from workbench.machine.context import StageContext
    from workbench.machine.devices import find_placement
    from workbench.pipeline.run_stage import run_stage
    from workbench.study.record import create_study

    base = smoke().base
    base = dataclasses.replace(
        base,
        corpus=dataclasses.replace(base.corpus, num_documents=2400, test_fraction=0.6),
        vae=dataclasses.replace(base.vae, latent_width=16),
        evaluation=dataclasses.replace(base.evaluation, probe_tokens=POINTS, probe_texts=2400),
    )
    study = create_study(dataclasses.replace(smoke(), name="wide", base=base), directory)
    for run in study.runs:
        for stage in ("vae", "flow"):
            run_stage(run, stage, StageContext(find_placement("cpu")))


def summary(values: list[float]) -> dict[str, Any]:
    """Least, median and number of values, and the load now."""
    return {
        "least": round(min(values), 3),
        "median": round(statistics.median(values), 3),
        "n": len(values),
        "load": round(os.getloadavg()[0], 1),
    }


def main(runs: Path) -> None:
    """Print every measure as a line of JSON."""
    with tempfile.TemporaryDirectory() as folder, chromium() as browser:
        copy = Path(folder)
        shutil.copytree(runs / "demo", copy / "demo")
        print(json.dumps({"first page, s": summary(list(first_page(copy, browser)))}), flush=True)
        print(json.dumps({"largest message, bytes": largest_messages(copy, browser)}), flush=True)
        print(json.dumps(map_reruns(browser)))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
