"""An arm that came from a latent bundle, on every page."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.ui.conftest import PAGES
from tests.ui.mapped import packed_map
from workbench.cli.main import main

ON_LATENTS = ("latent_map", "neighbours", "geometry", "separability")


@pytest.fixture(scope="module")
def runs_with_a_bundle(smoke_runs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    import shutil

    runs = Path(shutil.copytree(smoke_runs, tmp_path_factory.mktemp("bundle") / "runs"))
    study, out = runs / "smoke", runs.parent / "out"
    assert main(["export", f"{study}/repa/0", "--out", str(out), "--quiet"]) == 0
    assert main(["import", str(out), "--study", str(study), "--arm", "guest", "--quiet"]) == 0
    probes = "linear_separability,isotropy,knn_coherence,reconstruction"
    assert main(["probe", f"{study}/guest/0", "--only", probes, "--quiet"]) == 0
    return runs


@pytest.mark.parametrize("page", PAGES)
def test_a_page_shows_it_or_says_why_not(page, open_page, runs_with_a_bundle):
    app = open_page(page, runs_with_a_bundle, a="none", b="guest")
    assert not app.exception
    assert not app.error
    told = [note.value for note in app.info if "came from a latent bundle" in note.value]
    assert not (told and page in ON_LATENTS)
    if page in ("generate", "playback", "why", "study"):
        assert told


def test_the_map_draws_it_beside_our_own(open_page, runs_with_a_bundle):
    app = open_page("latent_map", runs_with_a_bundle, a="none", b="guest")
    titles = [space["title"] for space in packed_map(app)["spaces"]]
    assert [title.split(",")[0] for title in titles][:2] == ["none", "guest"]
