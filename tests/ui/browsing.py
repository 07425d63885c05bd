"""What tests in a real browser share: the app served over a runs directory, and Chromium.

Needs Chromium and Playwright: `apt-get install chromium` and `pip install playwright`.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.ui.conftest import PAGES, ROOT

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = [
    "--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--no-first-run",
]  # fmt: skip
SECONDS = 300


@dataclass(frozen=True, kw_only=True)
class Server:
    """The running app: where it answers, its process, and seconds until it first answered."""

    address: str
    pid: int
    seconds: float


@contextmanager
def served(runs: Path) -> Iterator[Server]:
    """The app over a runs directory, for as long as the body runs."""
    port = free_port()
    command = [sys.executable, "-m", "workbench", "app", "--port", str(port), "--no-browser"]
    environment = {**os.environ, "WORKBENCH_RUNS": str(runs), "OMP_NUM_THREADS": "1"}
    start = time.monotonic()
    server = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}"
    try:
        wait_for(lambda: answers(f"{url}/_stcore/health") or server.poll() is not None)
        assert server.poll() is None, "the app ended before it answered"
        yield Server(address=url, pid=server.pid, seconds=time.monotonic() - start)
    finally:
        server.terminate()
        try:
            server.wait(120)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@contextmanager
def chromium() -> Iterator[Any]:
    """Chromium, drawing by software."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield started
        started.close()


@contextmanager
def session(browser: Any, width: int, height: int, milliseconds: int) -> Iterator[Any]:
    """A page of a fresh session; a script's error on it fails the test at the end."""
    size = {"width": width, "height": height}
    context = browser.new_context(viewport=size, accept_downloads=True)
    page = context.new_page()
    page.set_default_timeout(milliseconds)
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    yield page
    context.close()
    assert problems == []


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as response:
            return response.status == 200
    except OSError:
        return False


def wait_for(condition: Any, seconds: float = SECONDS) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.05)


def visit(page: Any, address: str, name: str, query: str = "study=smoke") -> None:
    """Open a page and wait until it has stopped running."""
    page.goto(f"{address}/{'' if name == PAGES[0] else name}?{query}")
    page.wait_for_selector("h1")
    settle(page)


def settle(page: Any) -> None:
    page.wait_for_timeout(400)
    page.wait_for_selector('[data-testid="stApp"][data-test-script-state="notRunning"]')
