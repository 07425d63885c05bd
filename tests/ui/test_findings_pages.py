"""Keep this on every page that shows numbers, the list of what is kept, and links that reopen."""

from __future__ import annotations

import shutil
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import pytest
from streamlit.testing.v1 import AppTest

from analyses.maps.latent_map import UMAP_PROCESS
from tests.ui.mapped import flat, packed_map
from workbench.report.findings import Finding, check_finding, finding_files, read_finding
from workbench.store.json_files import read_json, write_json
from workbench.ui.kit.opened_finding import link_of
from workbench.ui.map.look import Look

DRAW = UMAP_PROCESS.draw
SENTENCE = "Both arms read alike & one writes on."
# Page -> the query of the view that is kept.
VIEWS = {
    "study": {"family": "linear_separability"},
    "why": {"score": "generation.rouge1", "a": "repa"},
    "latent_map": {"level": "texts", "colour": "tense", "find": "the"},
    "neighbours": {"level": "tokens", "k": "5"},
    "separability": {},
    "geometry": {"what": "Dimension"},
    "playback": {"prompt": "3", "noise": "7", "steps": "5"},
    "scorecard": {"score": "generation.fidelity"},
}


def keep(app: AppTest, sentence: str = SENTENCE) -> AppTest:
    box = next(b for b in app.text_input if b.label.startswith("What did you see"))
    box.set_value(sentence)
    button = next(b for b in app.button if b.label == "Keep this")
    return button.click().run()


def kept(runs: Path) -> tuple[Path, Finding]:
    (path,) = finding_files(runs / "smoke")
    return path, read_finding(path)


def query_of(path: Path, finding: Finding) -> dict[str, str]:
    return dict(parse_qsl(urlsplit(link_of(finding, path)).query))


@pytest.mark.parametrize("page", VIEWS)
def test_what_is_kept_holds_and_its_link_reopens_the_view(page, open_page, copied_runs):
    app = keep(open_page(page, copied_runs, **VIEWS[page]))
    assert not app.exception
    assert [error.value for error in app.error] == []
    path, finding = kept(copied_runs)
    assert finding.sentence == SENTENCE
    assert finding.view.page == page
    assert VIEWS[page].items() <= finding.view.query.items()
    assert finding.numbers
    assert any(button.label == "Download" for button in app.get("download_button"))
    check = check_finding(path)
    assert [d for d in check.drifts if d.verdict != "same"] == []
    assert check.holds
    again = open_page(page, copied_runs, **query_of(path, finding))
    assert not again.exception
    assert not again.error
    assert any(SENTENCE.replace("&", "&amp;") in part.proto.body for part in again.get("html"))
    numbers = {n.name: n.value for n in finding.numbers}
    path.unlink()
    keep(again)
    _, second = kept(copied_runs)
    assert {n.name: n.value for n in second.numbers} == pytest.approx(numbers, nan_ok=True)
    assert second.selection == finding.selection
    assert second.view == finding.view


@pytest.mark.parametrize("draw", [flat, pytest.param(DRAW, marks=pytest.mark.long)])
def test_finding_on_a_map_by_umap_holds(draw, open_page, copied_runs, monkeypatch):
    monkeypatch.setattr(UMAP_PROCESS, "draw", draw)
    app = open_page("latent_map", copied_runs, level="texts", method="umap")
    assert "Draw it" not in [button.label for button in app.button]  # few points: drawn unasked
    assert not app.warning  # no PCA in its place
    keep(app)
    path, finding = kept(copied_runs)
    assert finding.view.query["method"] == "umap"
    trusts = [n for n in finding.numbers if n.source["kind"] == "trust"]
    assert len(trusts) == 3
    assert {n.source["method"] for n in trusts} == {"umap"}
    check = check_finding(path)  # draws the maps again
    assert [d for d in check.drifts if d.verdict != "same"] == []
    assert check.holds
    again = open_page("latent_map", copied_runs, **query_of(path, finding))
    assert not again.error
    assert again.get("bidi_component")  # stored, and so shown without asking


def test_choice_is_part_of_the_finding_and_comes_back(open_page, copied_runs):
    app = open_page("latent_map", copied_runs)
    key = packed_map(app)["key"]
    app.session_state["_opened_look"][key] = app.session_state["_latest_look"][key] = Look(
        points=(4, 9, 2)
    )
    keep(app.run())
    path, finding = kept(copied_runs)
    assert finding.selection is not None
    assert finding.selection.rows == (2, 4, 9)
    again = open_page("latent_map", copied_runs, **query_of(path, finding))
    assert any(part.value.startswith("Chosen") for part in again.subheader)
    assert sorted(packed_map(again)["look"]["points"]) == [2, 4, 9]
    again.session_state["_latest_look"][key] = Look()  # forgotten: it is not forced upon again
    again.run()
    assert not any(part.value.startswith("Chosen") for part in again.subheader)


def test_row_of_the_neighbours_comes_back(open_page, copied_runs):
    app = open_page("neighbours", copied_runs, level="texts")
    app.session_state["_neighbour_row"] = {"texts": 6}
    keep(app.run())
    path, finding = kept(copied_runs)
    assert finding.selection is not None
    assert finding.selection.rows == (6,)
    again = open_page("neighbours", copied_runs, **query_of(path, finding))
    assert again.session_state["_neighbour_row"] == {"texts": 6}


def test_typed_sentence_is_kept_with_its_neighbours(open_page, copied_runs):
    keep(open_page("neighbours", copied_runs, level="texts", typed="anna saw the key", k="3"))
    path, finding = kept(copied_runs)
    assert finding.selection is None
    assert len(finding.numbers) == 3 * 3 * 2  # neighbours, spaces, row and distance
    assert check_finding(path).holds


def test_sentence_with_a_tag_is_refused_and_nothing_is_written(open_page, copied_runs):
    app = keep(open_page("study", copied_runs), "see <img src=x onerror=alert(1)>")
    assert "must not contain a tag" in app.error[0].value
    assert finding_files(copied_runs / "smoke") == []


def test_runs_page_lists_findings_and_names_the_bad_ones(open_page, copied_runs):
    app = open_page("runs", copied_runs, section="Findings")
    assert "Nothing is kept yet" in app.info[0].value
    keep(open_page("study", copied_runs))
    path = kept(copied_runs)[0]
    (path.parent / "bad.json").write_text('{"kind": "finding", "schema": 1}')
    app = open_page("runs", copied_runs, section="Findings")
    assert not app.exception
    assert any(path.stem in part.proto.body for part in app.get("html"))
    assert len(app.error) == 1
    assert "bad" in app.error[0].value


@pytest.mark.parametrize("name", ["../../etc/passwd", "/etc/passwd", "no-such", "<script>", ""])
def test_address_cannot_name_a_finding_that_is_not_listed(name, open_page, smoke_runs):
    app = open_page("latent_map", smoke_runs, finding=name)
    assert not app.exception
    assert not app.error


@pytest.mark.parametrize("number", ["3", "0", "-1", "999999999999", "1e3", "<b>"])
def test_playback_opens_the_prompt_of_the_address(number, open_page, smoke_runs):
    app = open_page("playback", smoke_runs, prompt=number)
    assert not app.exception
    wanted = 2 if number == "3" else 0
    box = next(b for b in app.selectbox if b.label.startswith("Prompt"))
    assert box.value == wanted
    assert app.query_params["prompt"] == str(wanted + 1)


def test_playback_writes_the_prompt_into_the_address_and_reopens_it(open_page, smoke_runs):
    app = open_page("playback", smoke_runs, a="repa", noise="5")
    box = next(b for b in app.selectbox if b.label.startswith("Prompt"))
    box.set_value(4).run()
    assert app.query_params["prompt"] == "5"
    query = dict(app.query_params.items())
    again = open_page("playback", smoke_runs, **query)
    first, second = (a.get("iframe")[0].proto.srcdoc for a in (app, again))
    assert first == second
    other = open_page("playback", smoke_runs, **{**query, "prompt": "1"})
    assert other.get("iframe")[0].proto.srcdoc != first
    assert again.session_state["a"] == "repa"


@pytest.mark.long
def test_rank_correlation_over_studies_is_kept_and_missed_when_one_is_gone(open_page, copied_runs):
    for name in ("second", "third"):
        shutil.copytree(copied_runs / "smoke", copied_runs / name)
    keep(open_page("why", copied_runs, study="smoke", score="generation.rouge1"))
    path, finding = kept(copied_runs)
    (number,) = [n for n in finding.numbers if n.source["kind"] == "rank_correlation"]
    assert number.source["studies"] == ["second", "smoke", "third"]
    assert -1 <= number.low <= number.value <= number.high <= 1
    assert check_finding(path).holds
    document = read_json(copied_runs / "third" / "study.json")
    document["config"]["base"]["language_model"]["width"] *= 2
    write_json(copied_runs / "third" / "study.json", document)
    (drift,) = [d for d in check_finding(path).drifts if d.verdict != "same"]
    assert drift.verdict == "not defined any more", "another judge's scores have no common order"
    for name in ("second", "third"):
        shutil.rmtree(copied_runs / name)
    (drift,) = [d for d in check_finding(path).drifts if d.verdict != "same"]
    assert drift.number == number.name
    assert drift.verdict == "not defined any more"
