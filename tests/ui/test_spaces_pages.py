"""Pages of the latent spaces: what they say is what they draw."""

from __future__ import annotations

import base64
import json

import numpy as np
import pytest

from tests.ui.mapped import packed_map
from workbench.report.plain_words import label_words, result_words
from workbench.ui.sections.separability.captions import beyond_sentence, parted_sentence
from workbench.ui.sections.shared.held_out import displacement_sentence


def figure(app, name: str) -> str:
    """The JSON of a figure."""
    return next(c.proto.spec for c in app.get("plotly_chart") if f"{name}-figure" in c.proto.id)


def test_the_colour_box_follows_when_its_label_is_gone(open_page, smoke_runs):
    app = open_page("latent_map", smoke_runs)
    app.selectbox(key="colour").set_value("pos").run()
    app.session_state["level"] = "texts"
    app.run()
    box = app.selectbox(key="colour")
    assert box.value != "pos"
    assert box.proto.set_value, "the browser would go on showing the old label"
    assert box.proto.raw_value == label_words(box.value)


def test_map_opens_on_the_colour_whose_neighbours_differ_most(open_page, smoke_runs):
    app = open_page("latent_map", smoke_runs)
    selection = app.session_state["_selection"]
    gaps = {}
    for run in selection.runs.values():
        stored = json.loads((run.probes_dir / "knn_coherence.json").read_text())["results"]
        for name, result in stored.items():
            label = name.removeprefix("knn_coherence.token.other_id.")
            if label != name:
                gaps.setdefault(label, []).append(result["score"])
    widest = max(gaps, key=lambda label: abs(gaps[label][0] - gaps[label][1]))
    assert app.selectbox(key="colour").value == widest
    titles = " ".join(space["title"] for space in packed_map(app)["spaces"])
    assert all(f"alike {share:.0%}" in titles for share in gaps[widest])


def values(stored) -> list[float]:
    """Numbers of a figure, which may be packed."""
    if isinstance(stored, dict):
        return np.frombuffer(base64.b64decode(stored["bdata"]), stored["dtype"]).tolist()
    return list(stored)


def readings(**ends: tuple[float, float]) -> dict[str, dict[str, float]]:
    return {label: {"low": low, "high": high} for label, (low, high) in ends.items()}


def test_sentences_about_probes_say_what_the_numbers_say():
    none = readings(pos=(0.5, 0.6), tense=(0.6, 0.7), plot=(0.2, 0.4))
    repa = readings(pos=(0.8, 0.9), tense=(0.65, 0.75), plot=(0.5, 0.6))
    arms = {"none": none, "repa": repa}
    assert (
        parted_sentence(arms)
        == "The arms' intervals part for part of speech and plot; others overlap."
    )
    assert parted_sentence({"none": none, "repa": none}).endswith("overlap in every row.")
    assert parted_sentence({"none": none}) == ""
    mark = {"pos": 0.85, "tense": 0.55, "plot": 0.45}
    said = beyond_sentence(arms, mark)
    assert said == "Beyond the word alone: tense (none, repa) and plot (repa)."
    assert beyond_sentence(arms, dict.fromkeys(mark, 0.95)) == "No row lies beyond the word alone."
    assert beyond_sentence(arms, dict.fromkeys(mark)) == ""


def test_separability_names_what_is_not_measured_once(open_page, smoke_runs):
    app = open_page("separability", smoke_runs)
    commands = [code.value for code in app.code if "--only" in code.value]
    assert len(commands) == 1
    assert "smoke/repa/0 --only denoising,flow_layers" in commands[0]
    captions = " ".join(caption.value for caption in app.caption)
    assert "the word alone" in captions
    assert "The arms' intervals" in captions


@pytest.mark.parametrize(
    ("page", "level"), [("neighbours", "texts"), ("neighbours", "tokens"), ("latent_map", "tokens")]
)
def test_texts_of_tables_have_room(page, level, open_page, smoke_runs):
    app = open_page(page, smoke_runs, level=level)
    (table,) = [frame for frame in app.dataframe if "text" in frame.value]
    assert json.loads(table.proto.columns)["text"]["width"] > 500
    assert table.proto.row_height > 64  # below, the browser does not wrap
    (caption,) = [c.value for c in app.caption if "isplace" in c.value or "keeps its n" in c.value]
    assert "unrelated spaces would average 0.5" in caption
    assert any("what a near miss would become" in c.value for c in app.caption) == (
        page == "neighbours"
    )


def test_a_displacement_is_laid_beside_its_chance():
    below = displacement_sentence(np.array([0.1, 0.4, np.nan]))
    assert "All lie below" in below
    beyond = displacement_sentence(np.array([0.1, 0.6, 0.7]))
    assert "2 of 3 lie beyond" in beyond
    assert "unrelated" not in displacement_sentence(np.array([np.nan]))


def test_ends_of_paths_are_told_apart_from_their_chance(open_page, smoke_runs):
    app = open_page("geometry", smoke_runs, what="Paths")
    assert [error.value for error in app.error] == []
    ends_of_paths = result_words("trajectory.off_manifold")
    assert ends_of_paths not in figure(app, "trajectory")
    assert ends_of_paths in figure(app, "path-ends")
    curves = json.loads(figure(app, "off-manifold"))["data"]
    ends = {trace["name"]: values(trace["y"])[-1] for trace in curves}
    (caption,) = [c.value for c in app.caption if "nearest real latent, in units" in c.value]
    for arm, end in ends.items():
        assert f"{end:.1f} for {arm}" in caption
