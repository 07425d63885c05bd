"""The commands that docs/MANY_MACHINES.md gives for Kubernetes and SkyPilot do what it says."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest
import yaml

from workbench.cli.main import main
from workbench.errors import StopRequested

PAGE = Path(__file__).parents[3] / "docs" / "MANY_MACHINES.md"
PRINT = "python -m workbench study --preset laptop --out /shared/laptop --executor print"
# In the place of programs that are not here: each writes down what it was asked.
PYTHON = """#!/usr/bin/env bash
if [[ "$*" == *"--executor print"* ]]; then cat "$PRINTED"; exit; fi
echo "python $*" >> "$LOG"
exit "${CODE:-0}"
"""
SKY = """#!/usr/bin/env bash
cat > /dev/null  # as programs do that ask whether one is sure
[[ "$1 $2" == "jobs launch" ]] && echo "sky: ${!#}" >> "$LOG"
"""


def example(language: str, word: str) -> str:
    """The page's block of a language that holds a word."""
    blocks = re.findall(r"```(\w*)\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    (found,) = [block for known, block in blocks if known == language and word in block]
    return found


@pytest.fixture
def printed(tmp_path, capsys) -> list[str]:
    """The lines that the page's own command prints, in a file that all machines see."""
    words = PRINT.replace("/shared", str(tmp_path)).split()
    assert main([*words[3:], "--quiet"]) == 0
    lines = capsys.readouterr().out.splitlines()
    for name in ("printed", "commands"):
        (tmp_path / name).write_text("\n".join(lines) + "\n")
    return lines


def run(tmp_path: Path, *words: str, **more: str) -> tuple[int, list[str]]:
    """Exit code, and what the programs in the place of the real ones wrote down."""
    programs, log = tmp_path / "programs", tmp_path / "log"
    programs.mkdir(exist_ok=True)
    for name, text in (("python", PYTHON), ("sky", SKY)):
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    log.write_text("")
    path = f"{programs}{os.pathsep}{os.environ['PATH']}"
    known = {"PATH": path, "LOG": str(log), "PRINTED": str(tmp_path / "printed")}
    done = subprocess.run(words, env={**os.environ, **known, **more}, cwd=tmp_path, check=False)
    return done.returncode, log.read_text().splitlines()


def test_each_index_of_the_kubernetes_job_runs_one_line_and_keeps_its_code(printed, tmp_path):
    job = yaml.safe_load(example("yaml", "Indexed"))["spec"]
    assert job["completions"] == job["parallelism"] == len(printed) - 2
    (container,) = job["template"]["spec"]["containers"]
    command = [word.replace("/shared", str(tmp_path)) for word in container["command"]]
    for index, line in enumerate(printed[1:-1]):
        more = {"JOB_COMPLETION_INDEX": str(index), "CODE": "75"}
        assert run(tmp_path, *command, **more) == (75, [line])
    (rule,) = job["podFailurePolicy"]["rules"]
    assert rule == {
        "action": "Ignore",
        "onExitCodes": {"operator": "In", "values": [StopRequested.exit_code]},
    }
    assert job["template"]["spec"]["restartPolicy"] == "Never"  # the policy needs it


def test_the_loop_of_skypilot_launches_every_line_once_between_first_and_last(printed, tmp_path):
    script = example("", "sky jobs launch")
    assert PRINT in script
    code, log = run(tmp_path, "bash", "-c", script)
    assert code == 0
    assert log == [printed[0], *(f"sky: {line}" for line in printed[1:-1]), printed[-1]]
