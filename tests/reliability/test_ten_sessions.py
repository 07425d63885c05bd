"""Ten sessions at once on one app: bounded memory, no orphans; one closed mid-run changes nothing.

`WORKBENCH_DEMO_RUNS` names a runs directory with a finished study `demo` to walk through; without
it the walk is over a smoke study. The sizes that were measured are in docs/RELIABILITY.md.
"""

import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.ui.browsing import CHROMIUM, SECONDS, Server, chromium, served, visit, wait_for
from tests.ui.conftest import PAGES, smoke_runs  # noqa: F401  (a fixture)
from tests.ui.visitor import Visitor
from workbench.machine import jobs
from workbench.store.lock import read_holder

pytestmark = pytest.mark.timeout(3000)
SESSIONS = 10
WALK = tuple(name for name in PAGES if name not in ("new_study", "runs"))
MIB = 2**20
MOST_A_SESSION = 40 * MIB
MOST_A_SECOND_TEN = 120 * MIB


@pytest.fixture
def runs(smoke_runs, tmp_path) -> Path:  # noqa: F811
    """A runs directory with the study that is walked through."""
    ready = os.environ.get("WORKBENCH_DEMO_RUNS")
    source = Path(ready) / "demo" if ready else smoke_runs / "smoke"
    shutil.copytree(source, tmp_path / "runs" / source.name)
    return tmp_path / "runs"


@pytest.fixture
def browser() -> Iterator[Any]:
    pytest.importorskip("playwright.sync_api", reason="needs `pip install playwright`")
    if CHROMIUM is None:
        pytest.skip("needs Chromium: apt-get install chromium")
    with chromium() as started:
        yield started


def memory(pid: int, *, peak: bool = False) -> int:
    """Bytes that a process holds, or the most that it held since its peak was forgotten."""
    field = "VmHWM" if peak else "VmRSS"
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(field)).split()[1]) * 1024


def forget_peak(pid: int) -> None:
    """Let the peak of a process start again from what it holds now."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")


def descendants(pid: int) -> list[int]:
    """Living processes below a process."""
    parents: dict[int, list[int]] = {}
    for child, (state, parent, _) in processes().items():
        if state != "Z":
            parents.setdefault(parent, []).append(child)
    found, waiting = [], [pid]
    while waiting:
        children = parents.get(waiting.pop(), [])
        found += children
        waiting += children
    return found


def of_session(session: int) -> list[int]:
    """Living processes of a session: a job and whatever it started."""
    return [pid for pid, (state, _, own) in processes().items() if own == session and state != "Z"]


def processes() -> dict[int, tuple[str, int, int]]:
    """Process id -> state, parent, session."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        found[int(folder.name)] = (fields[0], int(fields[1]), int(fields[3]))
    return found


def opened(browser: Any) -> Any:
    page = browser.new_context(viewport={"width": 1360, "height": 1000}).new_page()
    page.set_default_timeout(SECONDS * 1000)
    return page


def walk(visitors: list[Visitor], study: str) -> None:
    """Every session opens every page, all of them the same one at once."""
    for name in WALK:
        for visitor in visitors:
            visitor.ask(name, f"study={study}")
        for visitor in visitors:
            visitor.receive()
            assert visitor.exceptions == []
            assert len(visitor.received) > 10


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc")
def test_ten_sessions_fit_and_leave_nothing_behind(runs):
    study = next(folder.name for folder in runs.iterdir())
    sizes: dict[str, int] = {}
    with served(runs) as server:
        sizes["started"] = memory(server.pid)
        for label, count in (("one", 1), ("ten", SESSIONS), ("ten others", SESSIONS)):
            forget_peak(server.pid)
            visitors = [Visitor(server.address) for _ in range(count)]
            walk(visitors, study)
            sizes[label] = memory(server.pid)
            sizes[f"{label}, peak"] = memory(server.pid, peak=True)
            for visitor in visitors:
                visitor.close()
            time.sleep(2)
            sizes[f"{label}, closed"] = memory(server.pid)
        left = descendants(server.pid)
    for label, size in sizes.items():
        print(f"{label}: {size / MIB:.0f} MiB")
    assert left == []
    assert sizes["ten"] - sizes["one"] < SESSIONS * MOST_A_SESSION
    assert sizes["ten, peak"] - sizes["one, peak"] < SESSIONS * MOST_A_SESSION
    assert sizes["ten others"] - sizes["ten"] < MOST_A_SECOND_TEN


@pytest.mark.slow
@pytest.mark.browser
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc")
def test_browser_closed_mid_run_leaves_the_job_and_makes_no_second(runs, browser, monkeypatch):
    monkeypatch.setenv("WORKBENCH_RUNS", str(runs))
    with served(runs) as server:
        page = opened(browser)
        start_study(page, server)
        (job,) = jobs.list_jobs()
        wait_for(lambda: job.state == "running")
        page.context.close()
        before = (job.directory / jobs.PROGRESS).stat().st_size
        wait_for(lambda: (job.directory / jobs.PROGRESS).stat().st_size > before)
        again = opened(browser)
        start_study(again, server)
        again.wait_for_selector("text=already in the queue")
        again.context.close()
        assert [other.name for other in jobs.list_jobs()] == [job.name]
    # The app is gone as well; the job is not.
    assert job.state == "running"
    holder = read_holder(job.directory)
    assert holder is not None
    job.stop()
    wait_for(lambda: not job.is_open)
    assert job.state == "stopped"
    wait_for(lambda: not of_session(holder.pid), 30)


def start_study(page: Any, server: Server) -> None:
    """Press Start for a toy study of one name."""
    visit(page, server.address, "new_study", "preset=smoke")
    name = page.get_by_role("textbox", name="Name", exact=True)
    name.fill("closed-mid-run")
    name.press("Enter")
    page.get_by_text("The same from a terminal").click()
    page.wait_for_selector("text=name=closed-mid-run")
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Start").click()
    page.wait_for_selector("text=/is running|waits for|is starting|already in the queue/")
