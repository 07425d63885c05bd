"""An arm that came from a latent bundle, on every page."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from tests.ui.conftest import PAGES
from tests.ui.mapped import packed_map
from tests.ui.test_findings_pages import keep
from workbench.cli.main import main
from workbench.report.findings import check_finding, finding_files, read_finding
from workbench.store.json_files import read_json, write_json
from workbench.study.bundle import Bundle, held_out_texts, write_bundle

ON_LATENTS = ("latent_map", "neighbours", "geometry", "separability")


@pytest.fixture(scope="module")
def runs_with_a_bundle(smoke_runs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
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


@pytest.fixture
def runs_with_labels(smoke_runs: Path, tmp_path: Path) -> Path:
    """The study with an arm of random latents that brought a label of its own."""
    runs = Path(shutil.copytree(smoke_runs, tmp_path / "runs"))
    texts = held_out_texts(str(runs / "smoke"))
    z = np.random.default_rng(0).normal(size=(len(texts), 6)).astype(np.float32)
    labels = {"half": ["left" if row % 2 else "right" for row in range(len(texts))]}
    out = write_bundle(tmp_path / "out", Bundle(texts=texts, z=z, labels=labels))
    assert (
        main(["import", str(out), "--study", str(runs / "smoke"), "--arm", "own", "--quiet"]) == 0
    )
    probes = "linear_separability,isotropy,intrinsic_dimension"
    assert main(["probe", f"{runs}/smoke/own/0", "--only", probes, "--quiet"]) == 0
    return runs


@pytest.mark.parametrize(
    ("page", "query"),
    [
        ("latent_map", {"level": "texts", "colour": "half"}),
        ("neighbours", {"level": "texts", "k": "5"}),
        ("separability", {"label": "half"}),
        ("geometry", {"what": "Dimension"}),
    ],
)
def test_a_finding_on_it_holds_until_its_latents_change(page, query, open_page, runs_with_labels):
    app = keep(open_page(page, runs_with_labels, a="none", b="own", **query))
    assert not app.exception
    assert [error.value for error in app.error] == []
    (path,) = finding_files(runs_with_labels / "smoke")
    finding = read_finding(path)
    assert "own/seed-0" in finding.runs
    about_it = [n for n in finding.numbers if "own" in n.source.values()]
    assert about_it
    check = check_finding(path)
    assert [d for d in check.drifts if d.verdict != "same"] == []
    assert check.holds
    if page == "separability":
        assert any(n.source["result"].endswith(".half") for n in about_it)
        texts = held_out_texts(str(runs_with_labels / "smoke"))
        other = np.random.default_rng(1).normal(size=(len(texts), 6)).astype(np.float32)
        out = write_bundle(runs_with_labels / "other", Bundle(texts=texts, z=other))
        study = str(runs_with_labels / "smoke")
        assert main(["import", str(out), "--study", study, "--arm", "own", "--quiet"]) == 0
        check = check_finding(path)
        assert not check.holds
        assert any("its latents were recomputed" in line for line in check.changed)
        shutil.rmtree(runs_with_labels / "smoke" / "arms" / "own")
        assert any("no such run" in line for line in check_finding(path).changed)


def test_its_own_label_colours_both_spaces_and_names_its_classes(open_page, runs_with_labels):
    app = open_page("latent_map", runs_with_labels, a="none", b="own", level="texts", colour="half")
    assert not app.exception
    packed = packed_map(app)
    assert [name for name, *_ in packed["legend"]][:2] == ["left", "right"]
    app = open_page("separability", runs_with_labels, a="none", b="own", label="half")
    assert not app.exception
    assert any("left" in table.value.to_string() for table in app.dataframe)


def test_the_map_draws_it_beside_our_own(open_page, runs_with_a_bundle):
    app = open_page("latent_map", runs_with_a_bundle, a="none", b="guest")
    titles = [space["title"] for space in packed_map(app)["spaces"]]
    assert [title.split(",")[0] for title in titles][:2] == ["none", "guest"]


@pytest.mark.parametrize("page", ["latent_map", "separability", "study"])
def test_another_seed_than_its_own_is_named(page, open_page, runs_with_labels):
    file = runs_with_labels / "smoke" / "study.json"
    document = read_json(file)
    document["config"]["seeds"] = [0, 1]
    write_json(file, document)
    app = open_page(page, runs_with_labels, a="own", b="none", seed="1")
    assert not app.exception
    assert any("came from a latent bundle for seed 0" in note.value for note in app.info)
