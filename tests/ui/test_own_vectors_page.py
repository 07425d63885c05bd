"""A visitor's vectors on the page: trust, labels, neighbours, UMAP and comparison, from files."""

from __future__ import annotations

import io

import numpy as np
import pandas as pd
import pytest

from tests.ui.mapped import packed_map
from workbench.ui.sections.latent_map import stored_maps
from workbench.ui.sections.runs.label_columns import label_sets

COUNT = 60
CLASS = np.arange(COUNT) % 3
ROWS = (np.eye(8)[CLASS] * 4 + np.random.default_rng(0).normal(size=(COUNT, 8))).astype(np.float32)
TABLE = pd.DataFrame(
    {
        "text": [f"text {i}" for i in range(COUNT)],
        "kind": [f"kind {c}" for c in CLASS],
        "number": range(COUNT),
    }
)


def npy(rows: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, rows)
    return buffer.getvalue()


@pytest.fixture
def uploaded(open_page, tmp_path, no_example):
    """The page with two spaces of the same items, and their texts with a label."""
    app = open_page("runs", tmp_path, section="Your own vectors")
    second = ROWS[:, ::-1] + np.float32(0.5)
    vectors = [("a.npy", npy(ROWS), ""), ("b.npy", npy(second), "")]
    app.file_uploader[0].set_value(vectors)
    app.file_uploader[1].set_value(("t.csv", TABLE.to_csv(index=False).encode(), "text/csv"))
    return app.run()


def test_page_opens_on_the_label_with_trust_and_neighbours(uploaded):
    assert not uploaded.exception
    assert [error.value for error in uploaded.error] == []
    assert uploaded.selectbox(key="own-colour").options == [
        "kind", "row of the file", "trust in each point",
    ]  # fmt: skip
    packed = packed_map(uploaded)
    titles = [space["title"] for space in packed["spaces"]]
    assert all("8 columns, trust 0." in title or "trust 1." in title for title in titles)
    assert len(uploaded.metric) == 2  # both measures of how alike the two spaces are
    assert next(button.label for button in uploaded.get("download_button")) == "CSV: the numbers"


def test_trust_is_a_colour_and_a_long_umap_waits_to_be_asked_for(uploaded, monkeypatch):
    app = uploaded.selectbox(key="own-colour").set_value("trust in each point").run()
    assert not app.exception
    assert not app.error
    monkeypatch.setattr(stored_maps, "PATIENCE_S", 0)
    app = app.segmented_control(key="own-method").set_value("umap").run()
    assert any("UMAP bends the space" in info.value for info in app.info)
    assert any(button.label == "Draw it" for button in app.button)


@pytest.mark.parametrize("name", ["t.csv", "t.tsv", "t.parquet"])
def test_columns_of_few_values_are_labels(name):
    table = TABLE.assign(kind=TABLE["kind"].where(TABLE.index != 4, ""))
    buffer = io.BytesIO()
    if name.endswith("parquet"):
        table.to_parquet(buffer)
    else:
        table.to_csv(buffer, index=False, sep="\t" if name.endswith("tsv") else ",")
    labels = label_sets(name, buffer.getvalue())
    assert list(labels) == ["kind"]  # neither the texts nor a number for each row
    codes, classes = labels["kind"]
    assert classes == ("kind 0", "kind 1", "kind 2")
    assert codes.tolist() == [-1 if i == 4 else int(c) for i, c in enumerate(CLASS)]


def test_files_that_are_no_tables_have_no_labels():
    assert label_sets("a.npy", npy(ROWS)) == {}
    assert label_sets("t.txt", b"a\nb\na\nb") == {}
