"""Pictures of every page, light and dark: `python -m tests.ui.screenshots RUNS STUDY [OUT] [PAGE]`.

Those in docs/screenshots are of the example, over a folder without studies:
`python -m tests.ui.screenshots $(mktemp -d) example`.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from tests.ui.browsing import SECONDS, chromium, served, settle, visit
from tests.ui.conftest import PAGES, ROOT

WIDTH, HEIGHT, TALLEST = 1360, 900, 3000
THEMES = ("light", "dark")
COLOURS = 256  # of a picture; enough for text and figures, at a third of the size
SETTLE_MS = 2500


def take(page: Any, address: str, name: str, study: str, file: Path) -> None:
    """Picture a page as tall as it is."""
    visit(page, address, name, f"study={study}")
    page.wait_for_timeout(SETTLE_MS)
    settle(page)
    tall = page.evaluate(
        "document.querySelector('[data-testid=stMainBlockContainer]').scrollHeight"
    )
    page.set_viewport_size({"width": WIDTH, "height": min(max(HEIGHT, tall + 60), TALLEST)})
    page.wait_for_timeout(SETTLE_MS // 2)
    page.screenshot(path=file)
    Image.open(file).convert("RGB").quantize(COLOURS, Image.Quantize.MAXCOVERAGE).save(
        file, optimize=True
    )
    page.set_viewport_size({"width": WIDTH, "height": HEIGHT})


def take_all(runs: Path, study: str, folder: Path, names: Sequence[str] = PAGES) -> None:
    """Picture pages in both themes as `<page>-<theme>.png`."""
    folder.mkdir(parents=True, exist_ok=True)
    with served(runs) as server, chromium() as browser:
        for theme in THEMES:
            size = {"width": WIDTH, "height": HEIGHT}
            page = browser.new_context(viewport=size, color_scheme=theme).new_page()
            page.set_default_timeout(SECONDS * 1000)
            for name in names:
                take(page, server.address, name, study, folder / f"{name}-{theme}.png")
                print(folder / f"{name}-{theme}.png", flush=True)
            page.context.close()


def main(runs: str, study: str, out: str = str(ROOT / "docs" / "screenshots"), *names: str) -> None:
    """Picture some pages, by default all."""
    take_all(Path(runs), study, Path(out), names or PAGES)


if __name__ == "__main__":
    main(*sys.argv[1:])
