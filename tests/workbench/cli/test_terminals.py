"""What is printed reaches its reader on any terminal, and never ends or undoes a computation."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
# A verb that shows letters and rows, with progress, and leaves a file once it has come to its end.
VERB = """
import json, sys
from pathlib import Path
from workbench.cli import main as cli
from workbench.cli.options import DEFAULTS, CommonOptions
from workbench.cli.output import Output
from workbench.machine.progress import Bars

def shout(*, common: CommonOptions = DEFAULTS) -> int:
    "Show something."
    rows = [{"arm": "Ноль", "text": "Zoë → 5 ≤ 6 😀"} for _ in range(ROWS)]
    with Bars() as bars:
        for done in range(STEPS):
            bars.note(f"шаг {done}")
            bars.update("обучение", done + 1, STEPS, {"loss": 1.0})
    with Output(common) as output:
        output.table("rows", rows)
    Path(sys.argv[1]).write_text("done")
    return 0

cli.VERBS["shout"] = shout
sys.exit(cli.main(["shout", *sys.argv[2:]]))
"""
PLAIN = {"PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
TERMINALS = {
    "ascii": {"PYTHONIOENCODING": "ascii"},
    "cp1252": {"PYTHONIOENCODING": "cp1252"},
    "C": {"LC_ALL": "C", **PLAIN},
    "POSIX": {"LC_ALL": "POSIX", "TERM": "dumb", **PLAIN},
    "dumb": {"TERM": "dumb"},
    "no colour": {"NO_COLOR": "1", "TERM": "xterm-256color"},
    "forced colour": {"FORCE_COLOR": "1", "PYTHONIOENCODING": "ascii", "COLUMNS": "1"},
    "no terminal": {"TERM": ""},
}


def shout(
    tmp_path: Path, redirection: str, environment: dict[str, str], rows: int = 1, steps: int = 3
) -> tuple[subprocess.CompletedProcess[bytes], bool]:
    """The verb in a shell with a redirection: the process, and whether it came to its end."""
    script, end = tmp_path / "verb.py", tmp_path / "end"
    script.write_text(VERB.replace("ROWS", str(rows)).replace("STEPS", str(steps)), "utf-8")
    end.unlink(missing_ok=True)
    command = f"{sys.executable} {script} {end} {redirection}; exit ${{PIPESTATUS[0]}}"
    unset = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(
        ["bash", "-c", command],
        cwd=ROOT,
        env={**unset, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        check=False,
    )
    return done, end.is_file()


@pytest.mark.parametrize("environment", TERMINALS.values(), ids=TERMINALS.keys())
@pytest.mark.parametrize("options", ["", "--json"])
def test_a_result_is_shown_on_any_terminal(tmp_path, environment, options):
    done, ended = shout(tmp_path, options, environment)
    assert (done.returncode, ended) == (0, True), done.stderr
    shown = "".join(done.stdout.decode("utf-8", "replace").split())
    assert "Zo" in shown
    assert "Traceback" not in done.stderr.decode("utf-8", "replace")


def test_what_an_encoding_lacks_is_escaped(tmp_path):
    done, _ = shout(tmp_path, "", TERMINALS["ascii"])
    assert rb"\u041d\u043e\u043b\u044c" in done.stdout
    assert rb"Zo\xeb \u2192 5 \u2264 6 \U0001f600" in done.stdout
    assert rb"\u0448\u0430\u0433 2" in done.stderr
    done, _ = shout(tmp_path, "", {"PYTHONIOENCODING": "utf-8"})
    assert "Zoë → 5 ≤ 6 😀" in done.stdout.decode()


@pytest.mark.parametrize(
    ("redirection", "code"),
    [
        ("| true", 0),
        ("--json | true", 0),
        ("| head -1", 0),
        ("2>&1 | head -1", 0),
        ("2> >(true)", 0),
        (">&-", 0),
        ("2>&-", 0),
        (">&- 2>&-", 0),
        ("2> /dev/full", 0),
        ("> /dev/full", 4),
    ],
)
def test_a_reader_that_left_changes_nothing(tmp_path, redirection, code):
    environment = {"PYTHONUNBUFFERED": "1"} if "true" in redirection else {}
    done, _ = shout(tmp_path, redirection, environment, rows=100, steps=200)
    assert done.returncode == code, done.stderr[-500:]
    assert b"Traceback" not in done.stderr
    assert b"Exception ignored" not in done.stderr


@pytest.mark.parametrize("redirection", ["2> >(true)", "2>&-", "2> /dev/full", ">&-"])
def test_the_work_goes_on_when_nobody_watches(tmp_path, redirection):
    _, ended = shout(tmp_path, redirection, {}, steps=200)
    assert ended


@pytest.mark.parametrize("redirection", ["", "2> /dev/full", "2>&-"])
def test_an_error_keeps_its_exit_code(tmp_path, redirection):
    done, _ = shout(tmp_path, f"--nosuch {redirection}", {})
    assert done.returncode == 2
