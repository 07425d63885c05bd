"""The table of causes: what parts the arms and whom it favours, each meaning once, in words."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from workbench.report.plain_words import RESULTS
from workbench.report.published_scorecard import PUBLISHED, read_scorecard
from workbench.study.folders import open_study
from workbench.ui.sections.shared.foretold import foretold_sentence
from workbench.ui.sections.why import pair_to_read
from workbench.ui.sections.why.causes_table import (
    ACCURACY,
    CAUSES,
    arm_deltas,
    causes_sentence,
    first_reading,
    meaning_of,
)
from workbench.ui.sections.why.end_points import borne_error, miss_sentence

ARMS = ("none", "repa")
HIGHER = {ACCURACY: True, "decoder_basin.r50.boundary": True, "decoder_basin.r50.isotropic": True,
          "scale.log_snr": None, "isotropy.mean_cosine": False,
          "isotropy.uniformity": False}  # fmt: skip
SPANS = {
    "none": [(0.9, 1.0), (1, 2), (5, 6), (1, 2), (1, 3), (1, 2)],
    "repa": [(0.9, 1.0), (3, 4), (3, 4), (3, 4), (2, 4), (3, 4)],
}


def causes():
    results = {
        arm: {
            name: {
                "score": (low + high) / 2, "low": low, "high": high, "n": 9, "chance": 0.0,
                "higher_is_better": HIGHER[name],
            }
            for name, (low, high) in zip(HIGHER, own, strict=True)
        }
        for arm, own in SPANS.items()
    }  # fmt: skip
    return arm_deltas(results, ARMS)


def test_at_first_only_the_gate_and_what_parts_are_shown():
    shown = first_reading(causes(), whole=False)
    assert list(shown["measure"]) == [
        "tokens read back",
        "error borne, towards another word",
        "error borne, random direction",
        "size against the encoder's noise",
        "evenness of the spread",
    ]
    assert "what it means" not in shown
    assert "what it means" in first_reading(causes(), whole=True)


def test_an_arm_is_favoured_where_intervals_part_and_an_end_is_better():
    table = causes().set_index("name")
    assert dict(table["favours"]) == {
        ACCURACY: "neither",
        "decoder_basin.r50.boundary": "repa",
        "decoder_basin.r50.isotropic": "none",
        "scale.log_snr": "no better end",
        "isotropy.mean_cosine": "neither",
        "isotropy.uniformity": "none",
    }
    told = causes_sentence(causes(), ARMS)
    assert told == "Of 5 rows 2 favour none, 1 favour repa, and 2 favour neither."


def test_a_space_measured_twice_is_one_row():
    measured = {"score": 5.0, "low": 4.0, "high": 6.0, "n": 9, "chance": 0.0}
    names = ("intrinsic_dimension.mu", "intrinsic_dimension.z", "isotropy.mean_cosine")
    results = {arm: dict.fromkeys(names, measured) for arm in ARMS}
    assert list(arm_deltas(results, ARMS)["name"]) == [
        "intrinsic_dimension.mu",
        "isotropy.mean_cosine",
    ]


def test_order_is_the_catalogues_whatever_is_found():
    prefixes = [next(p for p in CAUSES if name.startswith(p)) for name in causes()["name"]]
    assert prefixes == sorted(prefixes, key=list(CAUSES).index)


def test_each_meaning_stands_once_where_its_rows_begin():
    whole = first_reading(causes(), whole=True)
    assert isinstance(whole, pd.DataFrame)
    assert list(whole["what it means"] == "″") == [False, False, True, False, False, True]


@pytest.mark.parametrize("prefix", CAUSES)
def test_every_cause_has_a_meaning_and_a_name_in_plain_words(prefix):
    assert meaning_of(f"{prefix}.some_part") == CAUSES[prefix]
    family = prefix.partition(".")[0]
    assert any(name.startswith(family) for name in RESULTS)


def test_a_miss_is_laid_beside_what_the_decoder_bears():
    """Latents of standard deviation 2 in four columns: r50 .5 is a length of 2, unit .5 makes 4."""
    latents = np.tile([[2.0], [-2.0]], (1, 4)).astype(np.float32)
    ends = {"score": 1.5, "low": 1.0, "high": 2.0, "chance": 22.2, "detail": {"unit": 0.5}}
    stored = {"trajectory.off_manifold": ends, "decoder_basin.r50.boundary": {"score": 0.5}}
    assert borne_error(stored, latents) == pytest.approx(4.0)
    assert borne_error({"trajectory.off_manifold": ends}, latents) is None
    far = {"none": np.array([1.0, 3.0, 4.5, 0.5]), "repa": np.array([1.0, 2.5])}
    told = miss_sentence(far, {"none": 4.0, "repa": 1.1}, {"none": stored, "repa": {}})
    assert "none 1.500 [1.0000, 2.000] (n 4, chance 22.200)" in told
    assert told.endswith("Beyond what the decoder bears: 1 of 4 in none, 1 of 2 in repa.")
    assert "bears" not in miss_sentence(far, {}, {})
    near = miss_sentence(far, {"none": 9.0, "repa": 9.0}, {})
    assert near.endswith("0 of 2 in repa. So distance is not the cause.")


@pytest.mark.parametrize(
    ("more", "drawn"), [("What else differs", []), ("The flow's loss", ["flow-loss"])]
)
def test_only_the_measurement_that_is_asked_for_is_drawn(more, drawn, open_page, example_runs):
    def figures(**query: str) -> list[str]:
        app = open_page("why", example_runs, **query)
        assert not app.exception
        assert not app.error
        return [chart.proto.id for chart in app.get("plotly_chart")]

    closed, opened = figures(), figures(more=more)
    assert len(opened) == len(closed) + len(drawn)
    assert all(any(f"{name}-figure" in own for own in opened) for name in drawn)
    assert sum("end-points-figure" in own for own in closed) == 1


def test_the_pair_that_opens_is_nearest_both_medians(smoke_runs, monkeypatch):
    """Medians are 3 and 7: the last prompt has the median gap, yet both its scores are far off."""
    scores = {"none": [2.0, 3.0, 9.0], "repa": [5.0, 7.0, 12.5]}
    study = open_study(smoke_runs / "smoke")
    runs = {arm: study.run(arm, 0) for arm in scores}
    chosen = SimpleNamespace(study=study, arms=tuple(runs), runs=runs)
    table = {arm: pd.DataFrame({"valid_4gram": own}) for arm, own in scores.items()}
    texts = pd.DataFrame({name: list("abc") for name in ("prompt", "reference", "continuation")})
    monkeypatch.setattr(pair_to_read, "scores_of", lambda run: table[run.arm])
    monkeypatch.setattr(pair_to_read, "samples_of", lambda run: texts)
    found = pair_to_read.worse_written_pairs(chosen, "generation.valid_4gram")
    assert found["prompt"].to_list() == ["b", "a", "c"]


@pytest.mark.parametrize(
    ("score", "said"),
    [("generation.valid_4gram", "4-word runs"), ("generation.of_nobody", "judge's surprise")],
)
def test_what_to_look_at_instead_is_what_the_published_scorecard_says(score, said):
    told = foretold_sentence("pos", score)
    assert said in told
    rows = {(r.score, r.predictor): r.spearman for r in read_scorecard(PUBLISHED).rows}
    known = score if (score, ACCURACY) in rows else "generation.nats_per_token"
    near, read = (rows[known, name] for name in ("knn_coherence.token.other_id.pos", ACCURACY))
    assert f"{near.value:.2f} [" in told
    # All of these autoencoders read nearly the same back, or the same.
    reading = "were the same in all" if read.value is None else f"with {read.value:.2f}"
    assert f"tokens read back {reading}" in told
    assert foretold_sentence("stars", score) == ""
