"""What cells of tables and names of classes read: plain words, and one mark for no value."""

from __future__ import annotations

import json

import pandas as pd
import pytest

from data.stories.words import tag
from workbench.report.number_text import MISSING, number_text
from workbench.report.plain_words import CLASS_WORDS, class_words
from workbench.ui.kit import exhibits
from workbench.ui.kit.exhibits import CODE_NAME, for_files
from workbench.ui.sections.separability.probe_tables import class_frame

WITH_GAPS = pd.DataFrame({"words": [None, "a"], "told": [MISSING, "b"], "number": [1.5, None]})


def test_every_part_of_speech_of_the_stories_has_plain_words():
    from data.stories.words import _TAGS

    assert tag("adp", "function")["pos"] == "adp"
    codes = {labels["pos"] for labels in _TAGS.values()} - {"noun", "verb"}
    assert codes <= set(CLASS_WORDS["pos"])
    assert class_words("pos", "adp") == "preposition"
    assert class_words("pos", "noun") == "noun"
    assert class_words("hero_kind", "adp") == "adp"


def test_classes_are_listed_in_plain_words_and_exported_with_their_code_names():
    probed = {"none": {"detail": {"per_class": {"0": {"n": 3, "accuracy": 0.5}}}}}
    row = class_frame(probed, ("adp",), "pos").iloc[0]
    assert (row["class"], row[CODE_NAME]) == ("preposition", "adp")


def test_classes_on_the_pages_read_plainly(open_page, smoke_runs):
    app = open_page("separability", smoke_runs, label="pos")
    classes = next(t.value for t in app.dataframe if "class" in t.value)
    assert "preposition" in set(classes["class"])
    assert not set(classes["class"]) & set(CLASS_WORDS["pos"])
    moved = open_page("latent_map", smoke_runs).dataframe[0].value
    assert not set(moved["part of speech"]) & set(CLASS_WORDS["pos"])
    assert set(moved[f"{CODE_NAME}: part of speech"]) & set(CLASS_WORDS["pos"])


@pytest.mark.parametrize("page", ["study", "scorecard", "runs", "separability"])
def test_no_cell_of_a_table_reads_none(page, open_page, smoke_runs):
    app = open_page(page, smoke_runs)
    assert app.dataframe
    for table in app.dataframe:
        assert table.proto.placeholder == MISSING
        assert not table.value.isin(["None", "nan", "-", ""]).any().any()


def test_a_wrapped_table_marks_what_is_missing(monkeypatch):
    shown: list[str] = []
    monkeypatch.setattr(exhibits.st, "html", shown.append)
    monkeypatch.setattr(exhibits, "_table_footer", lambda *arguments: None)
    exhibits.show_reading_table(WITH_GAPS, "table", caption="")
    assert shown[0].count(f">{MISSING}</td>") == 3
    assert "None" not in shown[0]
    assert "nan" not in shown[0]


def test_files_are_empty_where_a_page_marks_what_is_missing():
    assert number_text(None) == MISSING
    assert for_files(WITH_GAPS).to_csv(index=False) == "words,told,number\n,,1.5\na,b,\n"
    assert for_files(WITH_GAPS)["number"].dtype == float


def test_a_column_of_measures_is_wide_enough_for_its_arrows(open_page, smoke_runs):
    app = open_page("study", smoke_runs)
    table = next(t for t in app.dataframe if "measure" in t.value)
    width = json.loads(table.proto.columns)["measure"]["width"]
    assert width >= 6 * table.value["measure"].str.len().max()


def test_names_of_predictors_are_plain_and_exported_with_their_code_names(open_page, smoke_runs):
    shown = [table.value for table in open_page("scorecard", smoke_runs).dataframe]
    table = next(frame for frame in shown if "predictor" in frame)
    assert not table["predictor"].str.contains("_").any()
    code = table.set_index("predictor")[CODE_NAME]
    plain = {
        "knn_coherence.token.other_id.pos": "neighbours of the same kind: part of speech",
        "alignment.cknna": "likeness to the teacher, near pairs (CKNNA)",
    }
    assert {name: code[words] for name, words in plain.items()} == {name: name for name in plain}
    assert code["tokens read back (baseline)"] == "reconstruction.token_accuracy"


def test_choices_of_a_new_study_wrap_where_the_window_is_narrow(open_page, smoke_runs):
    app = open_page("new_study", smoke_runs)
    groups = [app.segmented_control(key="corpus"), app.pills[0]]
    assert [group.proto.wrap for group in groups] == [True, True]
