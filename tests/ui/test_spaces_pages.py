"""Pages of the latent spaces: what they say is what they draw."""

from __future__ import annotations


def figure(app, name: str) -> str:
    """The JSON of a figure."""
    return next(c.proto.spec for c in app.get("plotly_chart") if f"{name}-figure" in c.proto.id)


def test_the_colour_box_follows_when_its_label_is_gone(open_page, smoke_runs):
    app = open_page("latent_map", smoke_runs)
    app.selectbox(key="colour").select("semantic_class").run()
    app.session_state["level"] = "texts"
    app.run()
    box = app.selectbox(key="colour")
    assert box.value == "tense"
    assert box.proto.set_value, "the browser would go on showing the old label"
    assert box.proto.raw_value == "tense"
    assert '"past"' in figure(app, "map-texts")


def test_a_search_without_a_hit_is_answered_and_forgets_no_lasso(open_page, smoke_runs):
    app = open_page("latent_map", smoke_runs, find="zebra")
    assert [note.value for note in app.info] == ["Nothing has this."]
    app = open_page("latent_map", smoke_runs, find="the")
    assert not app.info
    assert any(header.value.endswith(" chosen") for header in app.subheader)
    assert not [button for button in app.button if "lasso" in button.label]
