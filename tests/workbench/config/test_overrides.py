"""`--set` hands a value over as it stands."""

import json

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from workbench.config import settings
from workbench.config.request import study_config
from workbench.config.study import StudyConfig
from workbench.errors import InputError

ODD = (
    "0", "2024", "1e5", "007", "null", "~", "true", "NA", "review #", "#1", "Text: body", "a: b #c",
    "[x]", "{a: 1}", "- a", "* b", "& c", "!d", "%e", "@f", "`g`", "| h", " lead", "trail ", "a=b",
    "Zoë ✓", "'it''s'", '"quoted"', "'", '"', "\\n", "a\tb", "данные",
)  # fmt: skip


def text_column(override: str) -> str:
    mapping = settings.apply_overrides({}, [override], StudyConfig)
    return mapping["base"]["corpus"]["text_column"]


@pytest.mark.parametrize("value", ODD)
def test_text_is_taken_as_it_stands(value):
    assert text_column(settings.as_override("base.corpus.text_column", value)) == value
    if value[0] != value[-1] or value[0] not in "'\"" or len(value) == 1:
        assert text_column(f"base.corpus.text_column={value}") == value


@hypothesis_settings(deadline=None, max_examples=50)
@given(
    st.text(
        st.characters(
            blacklist_categories=("Cc", "Cs", "Cn", "Co"), blacklist_characters="\ufeff\u2028\u2029"
        )
    )
)
def test_any_text_comes_back(value):
    assert text_column(settings.as_override("base.corpus.text_column", value)) == value


def test_quotes_and_spaces_around_the_sign_are_left_out():
    assert text_column('base.corpus.text_column="a # b"') == "a # b"
    assert text_column("base.corpus.text_column='it''s'") == "it's"
    assert text_column("base.corpus.text_column = body") == "body"
    assert text_column("base.corpus.text_column= body") == " body"
    with pytest.raises(InputError, match=r"--set base.corpus.text_column:1"):
        text_column('base.corpus.text_column="a" and "b"')


def test_a_list_of_texts_holds_texts():
    config = study_config(
        preset="smoke",
        overrides=["base.corpus.name=file", "base.corpus.path=/c.csv", "name=2024",
                   "base.corpus.label_columns=[007, null, 1e5, 'a #b']"],
    )  # fmt: skip
    assert config.base.corpus.label_columns == ("007", "null", "1e5", "a #b")
    assert config.name == "2024"


@pytest.mark.parametrize(
    ("key", "value", "meant"),
    [
        ("seeds", "[0, 2]", [0, 2]),
        ("base.corpus.num_documents", "null", None),
        ("base.vae_loss.beta", "1e-3", 1e-3),
        ("arms", "{a: {teacher.name: own}}", {"a": {"teacher.name": "own"}}),
        ("unknown", "1", 1),
    ],
)
def test_other_values_are_yaml(key, value, meant):
    *parents, last = key.split(".")
    mapping = settings.apply_overrides({}, [f"{key}={value}"], StudyConfig)
    for parent in parents:
        mapping = mapping[parent]
    assert mapping[last] == meant
    again = settings.apply_overrides({}, [settings.as_override(key, meant)], StudyConfig)
    assert json.dumps(meant) in json.dumps(again)


@pytest.mark.parametrize("value", ["[a] # b", "1 #", "# b", "{a: 1} # c", "{a: x #1}"])
def test_a_comment_is_refused_and_not_dropped(value):
    with pytest.raises(InputError, match="--set arms"):
        settings.apply_overrides({}, [f"arms={value}"], StudyConfig)
