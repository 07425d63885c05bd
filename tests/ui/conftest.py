"""A runs directory with the finished smoke study, and the app over any runs directory."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from analyses.maps.latent_map import UMAP_PROCESS
from workbench.study.folders import Study
from workbench.ui.navigation import MENU

ROOT = Path(__file__).parents[2]
PAGES = [name for entries in MENU.values() for name, _, _ in entries]


@pytest.fixture(scope="session")
def smoke_runs(smoke: Study, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A runs directory with a copy of the smoke study, in which pages may keep findings."""
    runs = tmp_path_factory.mktemp("ui") / "runs"
    shutil.copytree(smoke.directory, runs / "smoke")
    return runs


@pytest.fixture(autouse=True)
def warmed(monkeypatch: pytest.MonkeyPatch) -> list[None]:
    """Grows whenever a page here would start UMAP's process, which takes seconds of a core."""
    asked: list[None] = []
    monkeypatch.setattr(UMAP_PROCESS, "warm_up", lambda: asked.append(None))
    return asked


@pytest.fixture
def copied_runs(smoke_runs: Path, tmp_path: Path) -> Path:
    """The same as a copy that a test may damage."""
    return Path(shutil.copytree(smoke_runs, tmp_path / "runs"))


@pytest.fixture(scope="session")
def example_runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A runs directory without a run: the app shows the example."""
    return tmp_path_factory.mktemp("example") / "runs"


@pytest.fixture
def no_example(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A checkout without the example."""
    monkeypatch.setattr("workbench.pipeline.example.ARCHIVE", tmp_path / "none.tar.xz")


@pytest.fixture
def open_page(monkeypatch: pytest.MonkeyPatch) -> Callable[..., AppTest]:
    """Open a page of the app over a runs directory, with an address's query."""

    def opened(page: str, runs: Path, **query: str) -> AppTest:
        monkeypatch.setenv("WORKBENCH_RUNS", str(runs))
        app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=120)
        for key, value in query.items():
            app.query_params[key] = value
        # At once, as a link opens it: a page seen before would take its own choices along.
        return app.switch_page(f"workbench/ui/pages/{page}.py").run()

    return opened


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Chromium, drawing by software."""
    from tests.ui.browsing import CHROMIUM, chromium

    pytest.importorskip(
        "playwright.sync_api", reason="the browser tests need `pip install playwright`"
    )
    if CHROMIUM is None:
        pytest.skip("the browser tests need Chromium: apt-get install chromium")
    with chromium() as started:
        yield started
