"""Text from a corpus, a label, a file name or the address is shown as text on every page."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.ui.conftest import PAGES
from workbench.ui.kit import exhibits
from workbench.ui.kit.escape import block, inline
from workbench.ui.player.build import script_json

HOSTILE = "<script>alert(1)</script> **bold** $x$ :red[r] [l](javascript:x) <img src=x onerror=y>"
# A folder's name holds no slash.
HOSTILE_NAME = "<img src=x onerror=y> **bold** $x$"
# What only a certain view of a page shows.
VIEWS = [
    *((page, {"level": "texts"}) for page in PAGES),
    ("latent_map", {"level": "tokens", "find": "s"}),
    ("neighbours", {"level": "tokens"}),
    ("geometry", {"what": "Between texts"}),
    ("why", {"score": "generation.nats_per_token"}),  # it has pairs
    ("playback", {"predict": "true"}),
]
RAW = re.compile(r"<(script|img)\b", re.IGNORECASE)
# In Markdown a backslash makes the sign before a tag a plain sign.
UNESCAPED = re.compile(r"(?<!\\)<(script|img)\b", re.IGNORECASE)


@pytest.fixture
def hostile_runs(copied_runs: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The smoke study with a hostile name, prompts, samples, corpus texts, tokens and classes."""
    study = copied_runs / "smoke"
    for file, columns in (
        (study / "references" / "prompts.parquet", ["prompt", "continuation"]),
        (study / "baselines" / "autoregressive.parquet", ["continuation"]),
        *(
            (f, ["prompt", "reference", "continuation"])
            for f in study.glob("arms/*/*/samples/*.parquet")
        ),
    ):
        frame = pd.read_parquet(file)
        frame[columns] = HOSTILE
        frame.to_parquet(file, index=False)
    corpus = study / "corpus" / "corpus.json"
    document = json.loads(corpus.read_text())
    for kind in ("label_names", "token_label_names"):
        for name, classes in document[kind].items():
            document[kind][name] = [f"{HOSTILE} {i}" for i in range(len(classes))]
    corpus.write_text(json.dumps(document))
    from data.corpus_store import Split
    from data.tokenization import CompactTokenizer

    monkeypatch.setattr(Split, "texts", lambda self, rows: [HOSTILE] * len(rows))
    monkeypatch.setattr(CompactTokenizer, "decode", lambda self, ids: HOSTILE)
    monkeypatch.setattr(CompactTokenizer, "decode_tokens", lambda self, ids: [HOSTILE] * len(ids))
    study.rename(copied_runs / HOSTILE_NAME)
    return copied_runs


@pytest.mark.parametrize(("page", "query"), VIEWS)
def test_page_shows_hostile_text_as_text(page, query, open_page, hostile_runs):
    app = open_page(page, hostile_runs, **query)
    assert not app.exception
    assert not app.error
    for kind in ("markdown", "caption", "info", "warning", "error", "success", "metric"):
        for element in app.get(kind):
            assert not UNESCAPED.search(str(getattr(element, "value", ""))), kind
    for element in app.get("html"):
        assert not RAW.search(element.proto.body)
    for element in app.get("plotly_chart"):
        # Plotly writes `<` as an escape that the browser undoes.
        drawn = json.dumps(json.loads(element.proto.spec))
        assert not RAW.search(drawn)
        assert "$x$" not in drawn
    for element in app.get("iframe"):
        assert_player_is_safe(element.proto.srcdoc)


def assert_player_is_safe(page: str) -> None:
    """One data element, two script elements in all, and no tag inside the data."""
    assert page.count("<script") == page.count("</script>") == 2
    assert "<img" not in page
    data = page.split('id="data">')[1].split("</script>")[0]
    assert not set("<>&") & set(data)
    assert "Content-Security-Policy" in page


def test_error_of_a_hostile_file_name_is_text(open_page, smoke_runs, tmp_path):
    runs = tmp_path / "runs"
    (runs / "<script>alert(1)<").mkdir(parents=True)
    (runs / "<script>alert(1)<" / "study.json").write_text("{")
    app = open_page("study", runs)
    assert app.error
    for error in app.error:
        assert "script" in error.value
        assert not UNESCAPED.search(error.value)


@pytest.mark.parametrize("text", [HOSTILE, "a\nb", "`c` ~~d~~ # e", "1. f | g", "$$x$$", "&lt;"])
def test_inline_leaves_no_markdown(text):
    shown = inline(text)
    assert "\n" not in shown
    unescaped = re.sub(r"\\.", "", shown)
    assert not set("<>*_`$[]#~|&:") & set(unescaped)
    assert re.sub(r"\\(.)", r"\1", shown) == " ".join(text.split())


def test_block_escapes_and_names_emptiness():
    assert "&lt;script&gt;" in block(HOSTILE, label="<b>")
    assert not RAW.search(block(HOSTILE, label=HOSTILE))
    assert "(empty)" in block("   ")


def test_reading_table_escapes_heads_and_cells(monkeypatch):
    shown: list[str] = []
    monkeypatch.setattr(exhibits.st, "html", shown.append)
    monkeypatch.setattr(exhibits, "_table_footer", lambda *arguments: None)
    exhibits.show_reading_table(pd.DataFrame({HOSTILE: [HOSTILE]}), "table", caption="")
    assert shown[0].count("&lt;script&gt;") == 2
    assert not RAW.search(shown[0])


def test_script_json_survives_and_cannot_close_its_element():
    value = {"a": ["</script><!--", "\u2028", "&", "é"], "b": np.float64(1.5)}
    text = script_json(value)
    assert json.loads(text) == value
    assert text.isascii()
    assert not set("<>&") & set(text)


def test_an_underline_neither_moves_nor_unescapes_the_text():
    shown = block("a <b> c & d", underlined=[(2, 5), (8, 9)])
    assert re.sub(r"</?(u|p)\b[^>]*>", "", shown) == "a &lt;b&gt; c &amp; d"
    assert re.findall(r"<u [^>]*>(.*?)</u>", shown) == ["&lt;b&gt;", "&amp;"]
