"""Views over training: nothing before it is probed, curves and an answer afterwards."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.ui.test_findings_pages import keep, kept
from workbench.errors import InputError
from workbench.probes.course.gap import gap_over_training
from workbench.report.findings import check_finding
from workbench.study.folders import find_study
from workbench.ui.sections.shared.over_training import _first

STEPS = (0, 3, 8)
MEASURES = {
    "vae": ("reconstruction.token_accuracy", "linear_separability.pos"),
    "flow": ("flow.loss", "generation.valid_4gram"),
}


def row(stage: str, step: int, measure: str, lift: float) -> dict:
    score = None if measure == "flow.loss" and step == 0 else 0.2 + 0.05 * step * lift
    ends = (None, None) if score is None else (score - 0.05, score + 0.05)
    return {
        "stage": stage, "step": step, "measure": measure, "score": score, "low": ends[0],
        "high": ends[1], "chance": 0.1, "n": 40, "reason": None, "shuffled": 0.1,
        "shuffled_high": 0.12,
    }  # fmt: skip


def write_course(runs: Path, arm: str, lift: float) -> None:
    """A stored course of one smoke run, in the layout of `probe --checkpoints`."""
    folder = runs / "smoke" / "arms" / arm / "seed-0" / "over_training"
    folder.mkdir()
    rows = [row(s, step, m, lift) for s, names in MEASURES.items() for step in STEPS for m in names]
    pd.DataFrame(rows).to_parquet(folder / "table.parquet")
    rng = np.random.default_rng(0)
    for step in STEPS:
        hits = rng.binomial(10, 0.2 + 0.05 * step * lift, 40)
        frame = pd.DataFrame({"text": range(40), "hits": hits, "rows": 10})
        frame.assign(result="linear_separability.pos").to_parquet(
            folder / f"vae-step-{step}.parquet"
        )


@pytest.fixture
def probed_runs(copied_runs: Path) -> Path:
    """The smoke study with a course of both arms."""
    for arm, lift in (("none", 0.8), ("repa", 1.2)):
        write_course(copied_runs, arm, lift)
    return copied_runs


def figures(app) -> list[str]:
    return [chart.proto.id for chart in app.get("plotly_chart")]


def test_separability_answers_when_a_label_becomes_readable(open_page, probed_runs):
    app = open_page("separability", probed_runs, label="pos")
    assert not app.exception
    assert [error.value for error in app.error] == []
    assert any("over-training-vae" in name for name in figures(app))
    captions = " ".join(caption.value for caption in app.caption)
    assert "Step 0 is the untrained autoencoder" in captions
    assert "One seed: the interval speaks of texts" in captions
    tables = [frame.value for frame in app.dataframe]
    assert any("order" in table for table in tables)


def test_before_it_is_probed_the_page_names_the_command(open_page, copied_runs):
    app = open_page("separability", copied_runs)
    assert not app.exception
    assert any("probe smoke/none/0 --checkpoints" in code.value for code in app.code)
    write_course(copied_runs, "none", 1.0)
    app = open_page("separability", copied_runs)
    assert not app.exception
    assert any("probe smoke/repa/0 --checkpoints" in code.value for code in app.code)


def test_geometry_draws_any_measure_over_training(open_page, probed_runs):
    app = open_page("geometry", probed_runs, what="Over training", course="flow: flow.loss")
    assert not app.exception
    assert [error.value for error in app.error] == []
    assert any("over-training-flow-flow-loss" in name for name in figures(app))


def test_geometry_has_no_such_view_without_a_course(open_page, copied_runs):
    app = open_page("geometry", copied_runs)
    assert not app.exception
    assert any("Over training" in caption.value for caption in app.caption), "listed as absent"


def test_checkpoints_are_shown_on_request_and_not_counted(open_page, probed_runs):
    score = "generation.valid_4gram"
    app = open_page("why", probed_runs, score=score)
    before = next(c.value for c in app.caption if " arms" in c.value and " runs of " in c.value)
    (toggle,) = [t for t in app.toggle if "checkpoints" in t.label]
    assert not toggle.disabled
    toggle.set_value(True).run()
    assert not app.exception
    after = next(c.value for c in app.caption if " arms" in c.value and " runs of " in c.value)
    assert after.startswith(before)
    assert "does not count them" in after


def test_the_toggle_waits_for_a_course_of_that_score(open_page, copied_runs, probed_runs):
    app = open_page("why", probed_runs, score="generation.rouge1", checkpoints="true")
    (toggle,) = [t for t in app.toggle if "checkpoints" in t.label]
    assert toggle.disabled
    assert not any("Small open marks" in caption.value for caption in app.caption)


def test_logs_say_what_is_not_defined(open_page, smoke_runs):
    app = open_page("runs", smoke_runs, section="Logs")
    assert not app.exception
    caption = next(c.value for c in app.caption if "grad_share" in c.value)
    assert "`repa_cosine` in none" in caption
    assert "`grad_share_repa` in none" in caption
    assert "in repa" not in caption


@pytest.mark.parametrize(
    ("page", "view", "kinds"),
    [
        (
            "geometry",
            {"what": "Over training", "course": "flow: generation.valid_4gram"},
            {"course"},
        ),
        ("separability", {"label": "pos"}, {"probe", "course", "onset"}),
    ],
)
def test_course_is_part_of_what_is_kept(page, view, kinds, open_page, probed_runs):
    app = keep(open_page(page, probed_runs, **view))
    assert [error.value for error in app.error] == []
    path, finding = kept(probed_runs)
    assert {number.source["kind"] for number in finding.numbers} == kinds
    own = [n for n in finding.numbers if n.source["kind"] == "course"]
    assert len(own) == len(STEPS) * 2
    assert view.items() <= finding.view.query.items()
    assert check_finding(path).holds
    table = probed_runs / "smoke" / "arms" / "repa" / "seed-0" / "over_training" / "table.parquet"
    frame = pd.read_parquet(table)
    frame.loc[(frame["measure"] == own[0].source["measure"]) & (frame["step"] == 8), "score"] += 0.1
    frame.to_parquet(table)
    drifted = [d.number for d in check_finding(path).drifts if d.verdict != "same"]
    assert any(name.startswith("repa, seed 0") and name.endswith("step 8") for name in drifted)
    assert not any(name.endswith("step 3") for name in drifted)


def test_first_measure_over_training_is_no_reconstruction_and_is_kept(open_page, probed_runs):
    app = keep(open_page("geometry", probed_runs, what="Over training"))
    assert app.selectbox(key="course").value == "autoencoder: linear_separability.pos"
    assert any("over-training-vae-linear_separability-pos" in name for name in figures(app))
    _, finding = kept(probed_runs)
    assert finding.view.query["course"] == "autoencoder: linear_separability.pos"


def test_token_accuracy_over_training_says_why_it_starts_below(open_page, probed_runs):
    measure = "autoencoder: reconstruction.token_accuracy"
    app = open_page("geometry", probed_runs, what="Over training", course=measure)
    assert any("so they start below it" in caption.value for caption in app.caption)
    (chart,) = app.get("plotly_chart")
    assert "the commonest word" in chart.proto.spec
    app = open_page("geometry", probed_runs, what="Over training")
    assert not any("so they start below it" in caption.value for caption in app.caption)


@pytest.mark.parametrize(
    ("names", "first"),
    [
        (["a: reconstruction.x", "a: scale.y"], "a: scale.y"),
        (["a: reconstruction.x"], "a: reconstruction.x"),
        (["a: scale.y", "a: linear_separability.pos"], "a: linear_separability.pos"),
    ],
)
def test_first_measure_is_chosen_by_its_name(names, first):
    assert _first(names) == first


def write_prompts(runs: Path, arm: str, lift: float, start: int = 0) -> None:
    """Scored prompts of each milestone of a smoke run's flow; step 3 has no number."""
    folder = runs / "smoke" / "arms" / arm / "seed-0" / "over_training"
    folder.mkdir(exist_ok=True)
    noise = np.random.default_rng(1).normal(0, 0.1, 30)
    for step in STEPS:
        scores = np.full(30, np.nan) if step == 3 else noise + lift * step
        frame = pd.DataFrame({"index": range(start, start + 30), "valid_4gram": scores})
        frame.to_parquet(folder / f"flow-step-{step}.parquet")


def test_the_gap_is_paired_by_prompt_at_every_step(copied_runs):
    study = find_study(str(copied_runs / "smoke"))
    none, repa = study.run("none", 0), study.run("repa", 0)
    assert gap_over_training(none, repa, "valid_4gram").empty
    write_prompts(copied_runs, "none", 0.1)
    write_prompts(copied_runs, "repa", 0.15)
    table = gap_over_training(none, repa, "valid_4gram").set_index("step")
    assert list(table.index) == list(STEPS)
    assert table["n"].tolist() == [30, 0, 30]
    assert table.loc[8, "second"] - table.loc[8, "first"] == pytest.approx(0.4)
    np.testing.assert_allclose(table.loc[8, ["difference", "low", "high"]].tolist(), 0.4)
    assert np.isnan(table.loc[3, ["difference", "low", "high"]].tolist()).all()
    assert gap_over_training(none, repa, "fidelity").empty
    write_prompts(copied_runs, "repa", 0.15, start=5)
    with pytest.raises(InputError, match="different prompts, so they do not pair"):
        gap_over_training(none, repa, "valid_4gram")


def test_why_draws_the_gap_once_both_arms_are_probed(open_page, copied_runs):
    for arm, lift in (("none", 0.1), ("repa", 0.15)):
        app = open_page("why", copied_runs, more="The gap over training")
        assert not app.exception
        assert not any("gap-over-training" in name for name in figures(app))
        write_prompts(copied_runs, arm, lift)
    app = open_page("why", copied_runs, more="The gap over training")
    assert not app.exception
    assert [error.value for error in app.error] == []
    assert any("gap-over-training" in name for name in figures(app))
    caption = next(c.value for c in app.caption if "paired over" in c.value)
    assert "repa - none: last at step 8, 0.400 [0.400, 0.400]" in caption
    assert "paired over 30 prompts" in caption
