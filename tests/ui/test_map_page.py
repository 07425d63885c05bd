"""The map on its pages: points travel once, a link holds the choice, a figure where no WebGL is."""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np

from analyses.maps.latent_map import UMAP_PROCESS
from tests.ui.mapped import component, flat, packed_map
from workbench.probes.spaces import Items, nearest_items
from workbench.ui.sections.shared.typical_example import parting_label

LASSO = "none:-400,-400,400,-400,400,400,-400,400"


def chosen_title(app) -> list[str]:
    return [part.value for part in app.subheader if part.value.startswith("Chosen")]


def test_a_rerun_sends_the_same_bytes_whatever_is_asked(open_page, smoke_runs):
    app = open_page("latent_map", smoke_runs)
    before = component(app, "latent_map").SerializeToString()
    key = packed_map(app)["key"]
    app.session_state["_asked_row"] = {key: 3}
    app.run()
    assert not app.exception
    assert component(app, "latent_map").SerializeToString() == before
    assert json.loads(component(app, "latent_map_reply").json)["asked"] == 3
    assert app.query_params["asked"] == "3"
    app.selectbox(key="colour").set_value("side of the cut").run()
    assert component(app, "latent_map").SerializeToString() != before


def test_umap_gets_ready_while_pca_is_looked_at_until_it_is_stored(
    open_page, copied_runs, warmed, monkeypatch
):
    open_page("latent_map", copied_runs, level="texts")
    assert len(warmed) == 1
    monkeypatch.setattr(UMAP_PROCESS, "draw", flat)
    drawn = open_page("latent_map", copied_runs, level="texts", method="umap")
    assert not drawn.exception
    open_page("latent_map", copied_runs, level="texts")
    assert len(warmed) == 1


def test_neighbours_are_those_of_the_space(open_page, smoke_runs, monkeypatch):
    app = open_page("latent_map", smoke_runs, level="texts", asked="2")
    reply = json.loads(component(app, "latent_map_reply").json)
    monkeypatch.setenv("WORKBENCH_RUNS", str(smoke_runs))
    from workbench.ui.sections.shared.held_out import items_of

    items = items_of(app.session_state["_selection"], "texts")
    assert reply["asked"] == 2
    assert set(reply["near"]) == set(items.spaces)
    for space, near in reply["near"].items():
        exact = nearest_items(items, space, items.spaces[space][2], 8, own=2, other_words=False)
        assert [row for row, _ in near] == exact.rows


def test_a_link_opens_its_choice_and_keeps_it(open_page, smoke_runs):
    app = open_page("latent_map", smoke_runs, lasso=LASSO, find="zebra")
    look = packed_map(app)["look"]
    assert look["lasso"]["space"] == "none"
    assert look["find"] == "zebra"
    assert chosen_title(app)
    assert app.query_params["lasso"] == LASSO
    assert not app.warning


def test_a_lasso_of_another_study_is_named_and_ignored(open_page, smoke_runs):
    app = open_page("latent_map", smoke_runs, lasso=LASSO.replace("none", "gone"))
    assert any("lasso cannot be read" in note.value for note in app.warning)
    assert not chosen_title(app)
    assert "lasso" not in app.query_params


def test_another_map_does_not_inherit_the_choice(open_page, smoke_runs):
    app = open_page("latent_map", smoke_runs, points="1,2", level="tokens")
    assert chosen_title(app)
    app.session_state["level"] = "texts"
    app.run()
    assert packed_map(app)["look"]["points"] == []
    assert not chosen_title(app)
    assert "points" not in app.query_params


def test_paths_are_offered_on_the_linear_map_of_words_alone(open_page, smoke_runs):
    app = open_page("latent_map", smoke_runs)
    packed = packed_map(app)
    assert packed["prompts"]
    drawn = {space["name"]: len(space["paths"]) for space in packed["spaces"]}
    assert drawn == {"none": len(packed["prompts"]), "repa": len(packed["prompts"]), "teacher": 0}
    app.session_state["level"] = "texts"
    app.run()
    assert packed_map(app)["prompts"] == []


def test_without_webgl_a_figure_searches_and_rings(open_page, smoke_runs):
    app = open_page("latent_map", smoke_runs)
    app.session_state["_no_webgl"] = True
    app.run()
    assert not app.get("bidi_component")
    (chart,) = app.get("plotly_chart")
    assert "scattergl" not in chart.proto.spec
    assert sum("no WebGL" in c.value and "*Trust*" in c.value for c in app.caption) == 1
    files = [button.label for button in app.get("download_button")]
    assert sum(label.startswith("CSV") for label in files) == 2  # the map's, and those that moved
    app.text_input(key="find").set_value("zebra").run()
    assert [note.value for note in app.info] == ["Nothing has this."]
    app.text_input(key="find").set_value("the").run()
    assert not app.info
    assert chosen_title(app)


def test_texts_without_any_label_have_no_parting_label():
    """As in a plain text file: the colour falls back to what needs no label."""
    items = Items({"none": np.zeros((2, 2))}, ["a", "b"], ["a", "b"], {}, ["a", "b"], np.arange(2))
    selection = SimpleNamespace(runs={}, arms=("none",))
    assert parting_label(selection, items, "texts") == ""
