"""Settings as YAML: read as they look, written as they were, refused with their line."""

import pytest
from hypothesis import example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from workbench.config import settings
from workbench.errors import InputError

PIECES = (
    "a: ",
    "\n",
    "- ",
    "!!int x",
    "!!float ",
    "!!set ",
    '"\\U00110000"',
    "&a ",
    "*a",
    "[",
    "}",
)


@hypothesis_settings(max_examples=200, deadline=None)
@given(
    text=st.text(max_size=40)
    | st.text(alphabet="{}[]:,-&*!|>'\" \n\tab1.#?%@", max_size=40)
    | st.lists(st.sampled_from(PIECES), max_size=6).map("".join)
)
def test_any_text_is_read_or_refused_in_one_line(text):
    refusal = "fuzz.yaml: read"
    try:
        settings.parse_yaml(text, "fuzz.yaml")
    except InputError as error:
        refusal = str(error)
    assert "\n" not in refusal
    assert refusal.startswith("fuzz.yaml")


LOOKALIKES = ["1e-3", "010", "no", "~", "0x1F", ".5", "", "-", "1_0", "null", "1:30"]
PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5)
    | st.sampled_from(LOOKALIKES),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=12,
)


@hypothesis_settings(max_examples=200, deadline=None)
@given(document=st.dictionaries(st.text(max_size=5), PLAIN, max_size=4))
@example(document={"same": [[1], [1]], "Zoë": "a\nb: c # d"})
def test_what_is_written_as_yaml_is_read_as_it_was(document):
    text = settings.dump_yaml(document)
    assert text.isascii()
    assert settings.parse_yaml(text, "x") == document


def test_yaml_means_what_it_looks_like(tmp_path):
    path = tmp_path / "study.yaml"
    path.write_bytes(
        b"\xef\xbb\xbfbeta: 1e-3\nwidth: 010\nno: off\nday: 2024-01-01\ntime: 1:30\n"
        b"big: 1_000\nhex: 0x1F\nempty:\nyes: [true, ~, .5, -2]\nquoted: '1'\n"
    )
    assert settings.load_yaml(path) == {
        "beta": 1e-3,
        "width": 10,
        "no": "off",
        "day": "2024-01-01",
        "time": "1:30",
        "big": "1_000",
        "hex": 31,
        "empty": None,
        "yes": [True, None, 0.5, -2],
        "quoted": "1",
    }
    path.write_text("# nothing yet\n")
    assert settings.load_yaml(path) == {}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb: 2\na: 3\n", ":3: key 'a' is given twice, first in line 1"),
        ("m:\n  a: 1\n  a: 1\n", ":3: key 'a' is given twice, first in line 2"),
        ("{a: 1, 'a': 2}", ":1: key 'a' is given twice"),
        ("a: &x [1]\nb: *x\n", ":2: aliases are not supported"),
        ("a: &x [*x]", "aliases are not supported"),
        ("1: a\n", ":1: keys must be text (quote it)"),
        ("? [a, b]\n: c\n", ":1: keys must be text"),
        ("a: !!python/object/apply:os.system [ls]\n", ":1: the tag 'tag:yaml.org,2002:python/"),
        ("a: 1\nb: !!bool maybe\n", ":2: the tag 'tag:yaml.org,2002:bool' is not supported"),
        ("!!set [1]\n", ":1: the tag 'tag:yaml.org,2002:set' is not supported"),
        ("!own a: 1\n", ":1: the tag '!own' is not supported"),
        ('a: "\\U00110000"\n', "not readable as YAML"),
        ('a: "\\UFFFFFFFF"\n', "not readable as YAML"),
        ("a: [1\n", "expected ',' or ']'"),
        ("a: 1\n---\nb: 2\n", "expected a single document"),
        ("- 1\n", "must hold `key: value` lines, got a list"),
        ("[" * 500, "nested deeper than"),
        ("a: \x00\n", "not readable as YAML"),
    ],
)
def test_bad_yaml_is_named_with_its_line(tmp_path, text, message):
    path = tmp_path / "study.yaml"
    path.write_text(text)
    with pytest.raises(InputError) as caught:
        settings.load_yaml(path)
    assert str(caught.value).startswith(str(path))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_files_that_are_no_settings_are_refused(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        settings.load_yaml(tmp_path / "absent.yaml")
    with pytest.raises(InputError, match="no such file"):
        settings.load_yaml(tmp_path)
    path = tmp_path / "a.yaml"
    path.write_bytes(b"a: \xff\n")
    with pytest.raises(InputError, match="not UTF-8 at byte 3"):
        settings.load_yaml(path)
    path.write_bytes(b"#" * 1_000_001)
    with pytest.raises(InputError, match="larger than 1,000,000 bytes"):
        settings.load_yaml(path)
