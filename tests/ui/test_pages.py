"""Every page with a finished study, with none, with damaged ones, and by its address."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.ui.conftest import PAGES

TITLES = {
    "study": "Study",
    "why": "Why reconstruction misleads",
    "playback": "Playback",
    "latent_map": "Latent map",
    "neighbours": "Neighbours",
    "separability": "Separability",
    "geometry": "Geometry",
    "generate": "Generate",
    "scorecard": "Scorecard",
    "new_study": "New study",
    "runs": "Runs",
}
DRAWN = {"study", "why", "separability", "geometry"}
NEED_A_STUDY = sorted(set(PAGES) - {"new_study", "runs"})


def test_menu_is_the_eleven_pages():
    assert set(PAGES) == set(TITLES)


@pytest.mark.parametrize("page", PAGES)
def test_page_shows_a_finished_study(page, open_page, smoke_runs):
    app = open_page(page, smoke_runs)
    assert not app.exception
    assert [error.value for error in app.error] == []
    assert app.title[0].value == TITLES[page]
    assert len(app.get("plotly_chart")) >= (1 if page in DRAWN else 0)


@pytest.mark.parametrize("page", sorted(DRAWN))
def test_every_figure_has_a_caption_and_exports(page, open_page, smoke_runs):
    app = open_page(page, smoke_runs)
    figures = len(app.get("plotly_chart"))
    labels = [button.label for button in app.get("download_button")]
    assert sum(label.startswith("HTML: the figure") for label in labels) == figures
    assert len(app.caption) > figures


@pytest.mark.parametrize("page", NEED_A_STUDY)
@pytest.mark.usefixtures("no_example")
def test_page_without_a_study_offers_the_demo(page, open_page, tmp_path):
    app = open_page(page, tmp_path)
    assert not app.exception
    assert not app.error
    assert any("Start the demo" in button.label for button in app.button)


@pytest.mark.parametrize("page", ["new_study", "runs"])
@pytest.mark.usefixtures("no_example")
def test_page_that_needs_no_study_works_without_one(page, open_page, tmp_path):
    app = open_page(page, tmp_path)
    assert not app.exception
    assert not app.error


@pytest.mark.parametrize("page", PAGES)
def test_damaged_study_is_named_and_the_other_still_shows(page, open_page, copied_runs):
    (copied_runs / "broken").mkdir()
    (copied_runs / "broken" / "study.json").write_text('{"config": {"na')
    app = open_page(page, copied_runs)
    assert not app.exception
    messages = [error.value for error in app.error]
    assert len(messages) == 1
    assert messages[0].startswith("**broken** does not open: ")
    assert "Traceback" not in messages[0]
    assert app.title[0].value == TITLES[page]


@pytest.mark.parametrize("page", ["separability", "geometry", "why"])
def test_damaged_probe_is_a_card_and_no_more(page, open_page, copied_runs):
    probes = copied_runs / "smoke" / "arms" / "repa" / "seed-0" / "probes"
    (probes / "scale.json").write_text('{"fingerprint": "x", "resu')
    app = open_page(page, copied_runs, **({"what": "Dimension"} if page == "geometry" else {}))
    assert not app.exception
    assert len(app.error) == 1
    assert str(probes / "scale.json").replace("-", "\\-").split("/")[-1][:5] in app.error[0].value
    assert "Arm repa is damaged.**" in app.error[0].value
    assert app.get("plotly_chart") or app.get("bidi_component")  # of the other arm
    ends = [box for box in app.text_input if box.label.startswith("What did you see")]
    assert len(ends) == 1  # the page goes on to its end


@pytest.mark.parametrize(("page", "shown"), [("playback", "iframe"), ("generate", "dataframe")])
def test_damaged_weights_spoil_one_arm(page, shown, open_page, copied_runs):
    step = next((copied_runs / "smoke" / "arms" / "repa" / "seed-0" / "vae").glob("step-*"))
    weights = step / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:100])
    app = open_page(page, copied_runs)
    assert not app.exception
    assert len(app.error) == 1
    assert "repa" in app.error[0].value
    assert app.get(shown)  # of the other arm


def test_unfinished_study_says_what_it_waits_for(open_page, copied_runs):
    study = copied_runs / "smoke"
    (study / "comparison.json").unlink()
    app = open_page("study", copied_runs)
    assert not app.exception
    assert "not reached its comparison" in app.info[0].value
    for arm in ("none", "repa"):
        for step in (study / "arms" / arm / "seed-0" / "flow").glob("step-*"):
            (step / "manifest.json").unlink()
    app = open_page("playback", copied_runs)
    assert not app.exception
    assert "not finished yet" in app.info[0].value


def test_address_reopens_the_view(open_page, smoke_runs):
    app = open_page("geometry", smoke_runs, study="smoke", a="repa", what="Dimension")
    assert not app.exception
    assert {box.label: box.value for box in app.selectbox}["Arm A"] == "repa"
    assert {box.label: box.value for box in app.selectbox}["Arm B"] == "none"
    app = open_page("geometry", smoke_runs, what="Every number")
    assert len(app.dataframe) == 1


@pytest.mark.parametrize(
    "name", ["../../etc", "/etc/passwd", "..", "smoke/../smoke", "no-such", "<script>"]
)
def test_address_cannot_name_what_the_scan_did_not_find(name, open_page, smoke_runs):
    app = open_page("study", smoke_runs, study=name)
    assert not app.exception
    assert {box.label: box.value for box in app.selectbox}["Study"] == "smoke"


@pytest.mark.usefixtures("no_example")
def test_link_out_of_the_runs_directory_is_not_followed(open_page, smoke_runs, tmp_path):
    runs = tmp_path / "runs"
    runs.mkdir()
    (runs / "outside").symlink_to(smoke_runs / "smoke")
    app = open_page("study", runs)
    assert any("Start the demo" in button.label for button in app.button)


@pytest.mark.parametrize("page", PAGES)
def test_rerun_is_quick(page, open_page, smoke_runs):
    import time

    app = open_page(page, smoke_runs)
    start = time.process_time()
    app.run()
    assert time.process_time() - start < 3.0


def test_comparison_of_one_arm_still_draws(open_page, copied_runs):
    file = copied_runs / "smoke" / "comparison.json"
    document = json.loads(Path(file).read_text())
    document["arms"].pop("repa")
    document["contrasts"] = []
    file.write_text(json.dumps(document))
    app = open_page("study", copied_runs)
    assert not app.exception
