"""An arm whose adapter generates, on Playback and Generate: named with `app --adapter`, or not."""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path

import pytest
from speller import SPELLER

from tests.ui.test_findings_pages import keep
from tests.ui.test_playback_page import player_data
from workbench.cli.main import main
from workbench.report.findings import check_finding, finding_files, read_finding

TITLE = "guest, from outside"
TYPED = {
    "playback": {"typed": "anna saw a ball", "guidance": "1"},
    "generate": {"prompts": "anna saw a ball", "guidance": "1"},
}
WRITES = "the dog saw ann"


@pytest.fixture(scope="module")
def runs(smoke_runs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The smoke study with an arm of an adapter, which notes beside the runs that it ran."""
    runs = Path(shutil.copytree(smoke_runs, tmp_path_factory.mktemp("adapter") / "runs"))
    adapter, ran = runs.parent / "speller.py", runs.parent / "ran"
    adapter.write_text(SPELLER + f"\nopen({str(ran)!r}, 'a').write('x')\n")
    asked = ["--adapter", str(adapter), "--model", "none", "--arm", "guest", "--quiet"]
    assert main(["encode", str(runs / "smoke"), *asked]) == 0
    return runs


@pytest.fixture
def named(runs: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The adapter, named as the app's verb hands it over."""
    adapter = runs.parent / "speller.py"
    monkeypatch.setattr(sys, "argv", ["app.py", "--adapter", "other.py", "--adapter", str(adapter)])
    return adapter


@pytest.fixture(autouse=True)
def fresh_app() -> None:
    """No study is open yet: what was named is read when one opens, once per process."""
    from workbench.ui.kit.cached import _opened

    _opened.clear()


@pytest.mark.parametrize("page", ["playback", "generate"])
def test_unnamed_it_says_what_to_do_and_the_other_arm_plays(page, open_page, runs, monkeypatch):
    other = runs.parent / "other.py"
    other.write_text(SPELLER + "\n# not the file that encoded it\n")
    ran = (runs.parent / "ran").read_text()
    for words in ((), ("--adapter", str(other))):
        monkeypatch.setattr(sys, "argv", ["app.py", *words])
        app = open_page(page, runs, a="none", b="guest", steps="4", **TYPED[page])
        assert not app.exception
        assert not app.error
        (told,) = [info.value.replace("\\", "") for info in app.info]
        assert "Its adapter, speller.py, runs only where you name it" in told
        assert "\n" not in told
        if page == "playback":
            assert [lane["title"] for lane in player_data(app)["lanes"]] == ["none"]
        else:
            assert any(">none<" in element.proto.body for element in app.get("html"))
    assert (runs.parent / "ran").read_text() == ran


def test_it_is_played_back_beside_our_own(open_page, runs, named):
    ours = {"forked": "true", "fork-arm": "guest", "fork-by": "renoise", "fork-at": "2"}
    app = open_page("playback", runs, a="none", b="guest", steps="6", **TYPED["playback"], **ours)
    assert not app.exception
    assert [error.value for error in app.error] == []
    own, guest, branch = player_data(app)["lanes"]
    assert (own["title"], guest["title"]) == ("none", TITLE)
    assert branch["title"] == f"{TITLE}, branched"
    assert "away" not in own
    assert guest["t"] == own["t"]
    words = [guest["names"][place] for place in guest["tokens"][-1]]
    shown = [word for word, is_text in zip(words, guest["is_text"][-1], strict=True) if is_text]
    assert "".join(shown) == WRITES.replace(" ", "")
    # Every latent has a path, a distance and no word: it ends nearer to real ones than it began.
    assert len(guest["points"][0]) == len(guest["away"][0]) == 24
    assert sum(guest["away"][-1]) < sum(guest["away"][0])
    assert {value for row in guest["far"] for value in row} == {None}
    assert not {"entropy (nats)", "margin (probability)"} & set(guest["curves"])
    assert branch["points"][1] == guest["points"][1]
    assert any("from outside: its own noise" in caption.value for caption in app.caption)


def test_it_generates_what_it_plays_back_and_samples(open_page, runs, named, capsys):
    app = open_page("generate", runs, a="guest", b="none", steps="6", **TYPED["generate"])
    assert not app.exception
    assert [error.value for error in app.error] == []
    shown = [re.sub("</?u[^>]*>", "", element.proto.body) for element in app.get("html")]
    (body,) = [text for text in shown if WRITES in text]
    assert TITLE in body
    assert TITLE in app.dataframe[0].value["arm"].tolist()
    asked = [
        "--prompt",
        "anna saw a ball",
        "--num-steps",
        "6",
        "--guidance-scale",
        "1",
        "--adapter",
        str(named),
    ]
    capsys.readouterr()
    assert main(["sample", f"{runs}/smoke/guest/0", *asked, "--quiet"]) == 0
    assert WRITES in capsys.readouterr().out


def test_a_finding_keeps_numbers_that_are_checked_without_it(open_page, runs, named):
    app = keep(open_page("playback", runs, a="none", b="guest", steps="4"))
    assert [error.value for error in app.error] == []
    (path,) = finding_files(runs / "smoke")
    ran = (runs.parent / "ran").read_text()
    assert {n.source["arm"] for n in read_finding(path).numbers} == {"none"}
    assert check_finding(path).holds
    assert (runs.parent / "ran").read_text() == ran
