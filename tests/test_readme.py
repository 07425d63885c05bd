"""What README and CONTRIBUTING say is true: imports work, commands parse, folders exist."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from workbench.cli.main import parse
from workbench.config.request import study_config
from workbench.errors import InputError

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(\w*)\n(.*?)```", README, re.DOTALL)
COMMANDS = [
    line.partition("#")[0].partition(">")[0].strip().removeprefix("python -m workbench ")
    for language, block in BLOCKS
    if not language
    for line in block.replace("\\\n", " ").splitlines()
    if line.startswith("python -m workbench")
]


def test_the_imports_shown_work():
    shown = "".join(block for language, block in BLOCKS if language == "python")
    lines = [line for line in shown.splitlines() if line.startswith("from ")]
    imports = "\n".join(line for line in lines if "my_models" not in line)  # the reader's own
    assert imports.count("\n") >= 3
    # The class and the functions are used as shown, and `analyses` also offers them by name alone.
    script = f"{imports}\nfrom analyses import knn_coherence as same\nassert same is knn_coherence"
    subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=True)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_shown_is_understood(command):
    verb, *arguments = shlex.split(command)
    assert callable(parse(verb, arguments))
    settings = [word for word in arguments if re.match(r"[a-z_.]+=", word)]
    preset = re.search(r"--preset (\S+)", command)
    if settings and preset:
        assert study_config(preset=preset[1], overrides=settings)


def test_a_command_that_is_wrong_is_not_understood():
    assert len(COMMANDS) > 8
    with pytest.raises(InputError):
        parse("sample", ["demo/repa", "--promt", "x"])


def test_the_tree_shown_is_the_tree():
    (tree,) = (block for _, block in BLOCKS if block.startswith("app.py"))
    names = re.findall(r"^(\s*)([\w.]+)/?", tree, re.MULTILINE)
    top = {name for indent, name in names if not indent} - {"runs"}
    rooms = {name for indent, name in names if indent}
    assert all((ROOT / name).exists() for name in top)
    folders = {path.parent.name for path in (ROOT / "workbench").glob("*/__init__.py")}
    assert rooms == folders


@pytest.mark.parametrize("text", [README, CONTRIBUTING], ids=["README", "CONTRIBUTING"])
def test_files_named_exist(text):
    links = re.findall(r"\]\(([^)#]+)\)", text)
    paths = links + re.findall(r"`((?:workbench|models|analyses|data|tests|docs)/[\w/.]+)`", text)
    assert len(paths) > 5
    assert [path for path in paths if not (ROOT / path).exists()] == []
