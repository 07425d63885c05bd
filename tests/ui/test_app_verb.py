"""`python -m workbench app` starts Streamlit on the app, on this machine alone."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path

from tests.ui.conftest import ROOT
from workbench.cli.main import main as cli


def test_verb_starts_the_app_where_its_settings_are(monkeypatch, tmp_path):
    (tmp_path / "a #1.py").touch()
    started: list[list[str]] = []
    monkeypatch.setenv("WORKBENCH_RUNS", "some/runs")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(os, "execv", lambda program, arguments: started.append(arguments))
    assert not cli(["app", "--port", "8599", "--no-browser", "--adapter", "a #1.py", "json:loads"])
    (command,) = started
    script = Path(next(word for word in command if word.endswith("app.py")))
    assert script == ROOT / "app.py"
    assert script.is_file()
    assert Path.cwd() == ROOT
    assert os.environ["WORKBENCH_RUNS"] == str(tmp_path / "some" / "runs")
    assert command[command.index("--server.port") + 1] == "8599"
    assert command[command.index("--server.headless") + 1] == "true"
    named = ["--adapter", str(tmp_path / "a #1.py"), "--adapter", "json:loads"]
    assert command[command.index("--") + 1 :] == named


def test_settings_keep_the_app_to_this_machine():
    settings = tomllib.loads((ROOT / ".streamlit" / "config.toml").read_text())
    assert settings["server"]["address"] == "127.0.0.1"
    assert settings["server"]["enableXsrfProtection"] is True
    assert settings["server"]["fileWatcherType"] == "none"
    assert settings["browser"]["gatherUsageStats"] is False
    assert settings["client"]["showErrorDetails"] == "none"


def test_entry_is_short():
    assert len((ROOT / "app.py").read_text().splitlines()) <= 40
