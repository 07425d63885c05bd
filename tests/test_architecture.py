"""The rules of the house, as rules: who may import whom, how long a file may be, what is banned.

Each rule is a function from a module's place and source to complaints, tried on the whole tree
and on a planted violation that it must find.
"""

from __future__ import annotations

import ast
import functools
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("workbench", "models", "analyses", "data")
MAY_IMPORT = {
    "app.py": {"workbench"},
    "workbench": {"workbench", "models", "analyses", "data"},
    "models": {"models"},
    "analyses": {"analyses"},
    "data": {"data"},
}
NO_TORCH = ("analyses", "data")
LONGEST_FILE = 400
HEAVY = {"torch", "transformers", "umap", "mauve", "sklearn", "faiss", "pandas", "streamlit"}
BANNED_MODULES = {"pickle", "cPickle", "dill", "cloudpickle", "marshal", "shelve", "joblib"}
BANNED_CALLS = {"eval", "exec", "torch.load", "torch.save"}
BANNED_KEYWORDS = {"allow_pickle", "trust_remote_code"}
# Part of the agreed layout; the standard library's `statistics` is never meant.
NAMED_BY_AGREEMENT = {"analyses/statistics/__init__.py"}
VAGUE_NAMES = {"utils", "util", "helpers", "common", "misc"}


def imports(tree: ast.AST) -> Iterator[tuple[str, int, bool]]:
    """Dotted name, line, and whether it is imported when the module is."""
    inside = {
        child
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        for child in ast.walk(node)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            inside |= {child for part in node.body for child in ast.walk(part)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno, node not in inside) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield "." * node.level + (node.module or ""), node.lineno, node not in inside


def arrows(place: str, source: str) -> Iterator[str]:
    """app.py -> workbench -> {models, analyses, data}, and nothing else among them."""
    allowed = MAY_IMPORT[Path(place).parts[0]]
    for name, line, _ in imports(ast.parse(source)):
        top = name.split(".")[0]
        if name.startswith("."):
            yield f"{place}:{line}: relative import {name}"
        elif top in PACKAGES and top not in allowed:
            yield f"{place}:{line}: imports {name}"


def streamlit_in_the_ui_alone(place: str, source: str) -> Iterator[str]:
    """Only pages know Streamlit."""
    if place == "app.py" or place.startswith("workbench/ui/"):
        return
    for name, line, _ in imports(ast.parse(source)):
        if name.split(".")[0] == "streamlit":
            yield f"{place}:{line}: imports streamlit"


def analyses_and_data_without_torch(place: str, source: str) -> Iterator[str]:
    """They are handed arrays."""
    if place.split("/")[0] in NO_TORCH:
        for name, line, _ in imports(ast.parse(source)):
            if name.split(".")[0] == "torch":
                yield f"{place}:{line}: imports {name}"


def nothing_that_runs_a_file(place: str, source: str) -> Iterator[str]:
    """No pickle, eval, exec, torch.load or remote code, under whatever name."""
    tree = ast.parse(source)
    for name, line, _ in imports(tree):
        if name.split(".")[0] in BANNED_MODULES:
            yield f"{place}:{line}: imports {name}"
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module == "torch":
            for alias in node.names:
                if f"torch.{alias.name}" in BANNED_CALLS:
                    yield f"{place}:{node.lineno}: imports torch.{alias.name}"
        if not isinstance(node, ast.Call):
            continue
        if ast.unparse(node.func) in BANNED_CALLS:
            yield f"{place}:{node.lineno}: calls {ast.unparse(node.func)}"
        for keyword in node.keywords:
            off = isinstance(keyword.value, ast.Constant) and keyword.value.value is False
            if keyword.arg in BANNED_KEYWORDS and not off:
                yield f"{place}:{node.lineno}: {keyword.arg}"


def no_file_too_long(place: str, source: str) -> Iterator[str]:
    """A file beyond this length wants to be two."""
    lines = source.count("\n")
    if lines > LONGEST_FILE:
        yield f"{place}: {lines} lines"


def no_misleading_name(place: str, source: str) -> Iterator[str]:
    """No module named after a library (it would shadow it, or be taken for it) or after nothing."""
    path = Path(place)
    name = path.parent.name if path.stem == "__init__" else path.stem
    inner = len(path.parts) > (2 if path.stem == "__init__" else 1)
    if name in VAGUE_NAMES:
        yield f"{place}: says nothing"
    if inner and name in library_names() and place not in NAMED_BY_AGREEMENT:
        yield f"{place}: named like a library"


@functools.cache
def library_names() -> frozenset[str]:
    """Import names of the standard library and of everything installed."""
    installed = {name for name in packages_distributions() if name.isidentifier()}
    own = set(PACKAGES) | {"app", "tests", "benchmarks"}
    return frozenset((set(sys.stdlib_module_names) | installed) - own)


def heavy_only_where_used(place: str, source: str) -> Iterator[str]:
    """What the command line imports to show its help must stay light."""
    if place not in LIGHT_MODULES:
        return
    for name, line, at_once in imports(ast.parse(source)):
        if at_once and name.split(".")[0] in HEAVY:
            yield f"{place}:{line}: imports {name} at once"


LIGHT_MODULES = {
    "workbench/__main__.py",
    "workbench/cli/main.py",
    "workbench/errors.py",
    "workbench/cli/output.py",
    "workbench/cli/verbs.py",
}
Rule = Callable[[str, str], Iterator[str]]
PLANTED: list[tuple[Rule, str, str]] = [
    (arrows, "models/dit.py", "import data.corpora"),
    (arrows, "models/dit.py", "from workbench import config"),
    (arrows, "analyses/scale.py", "def f():\n    from models.flow import path"),
    (arrows, "data/corpora.py", "from analyses.scale import scale"),
    (arrows, "data/corpora.py", "from . import windows"),
    (arrows, "app.py", "import models.dit"),
    (streamlit_in_the_ui_alone, "workbench/study.py", "def f():\n    import streamlit as st"),
    (streamlit_in_the_ui_alone, "analyses/figures/x.py", "from streamlit import cache_data"),
    (analyses_and_data_without_torch, "analyses/scale.py", "from torch import Tensor"),
    (analyses_and_data_without_torch, "data/batches.py", "def f():\n    import torch.utils"),
    (nothing_that_runs_a_file, "workbench/runs.py", "import pickle"),
    (nothing_that_runs_a_file, "workbench/runs.py", "from joblib import load"),
    (nothing_that_runs_a_file, "workbench/runs.py", "x = eval(text)"),
    (nothing_that_runs_a_file, "workbench/runs.py", "exec(text)"),
    (nothing_that_runs_a_file, "workbench/runs.py", "torch.load(p, weights_only=True)"),
    (nothing_that_runs_a_file, "workbench/runs.py", "from torch import load"),
    (nothing_that_runs_a_file, "workbench/runs.py", "np.load(p, allow_pickle=True)"),
    (nothing_that_runs_a_file, "workbench/runs.py", "np.load(p, allow_pickle=flag)"),
    (nothing_that_runs_a_file, "models/x.py", "M.from_pretrained(n, trust_remote_code=True)"),
    (no_file_too_long, "workbench/runs.py", "x = 1\n" * 401),
    (no_misleading_name, "analyses/umap.py", ""),
    (no_misleading_name, "models/random.py", ""),
    (no_misleading_name, "workbench/tokenizers/__init__.py", ""),
    (no_misleading_name, "workbench/utils.py", ""),
    (heavy_only_where_used, "workbench/cli/main.py", "import torch"),
    (heavy_only_where_used, "workbench/cli/verbs.py", "from transformers import AutoModel"),
]
FINE: list[tuple[Rule, str, str]] = [
    (arrows, "workbench/study.py", "import models.dit, analyses.scale, data.corpora"),
    (streamlit_in_the_ui_alone, "workbench/ui/pages/study.py", "import streamlit"),
    (nothing_that_runs_a_file, "models/x.py", "model.eval()\nre.compile(x)\nnp.load(p)"),
    (nothing_that_runs_a_file, "models/x.py", "np.load(p, allow_pickle=False)"),
    (no_file_too_long, "workbench/runs.py", "x = 1\n" * 400),
    (no_misleading_name, "models/samplers.py", ""),
    (no_misleading_name, "data/__init__.py", ""),
    (heavy_only_where_used, "workbench/cli/main.py", "def f():\n    import torch"),
    (heavy_only_where_used, "workbench/cli/main.py", "if TYPE_CHECKING:\n    import torch"),
]
RULES: list[Rule] = list(dict.fromkeys(rule for rule, _, _ in PLANTED))


def modules() -> list[tuple[str, str]]:
    """Every module of the product: its place in the tree and its source."""
    paths = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]
    paths += [path for path in [ROOT / "app.py"] if path.is_file()]
    return [(p.relative_to(ROOT).as_posix(), p.read_text(encoding="utf-8")) for p in paths]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_tree_keeps_the_rule(rule: Rule) -> None:
    found = modules()
    assert len(found) > 100
    assert [complaint for place, source in found for complaint in rule(place, source)] == []


@pytest.mark.parametrize(("rule", "place", "source"), PLANTED)
def test_a_planted_violation_is_found(rule: Rule, place: str, source: str) -> None:
    assert len(list(rule(place, source))) == 1


@pytest.mark.parametrize(("rule", "place", "source"), FINE)
def test_what_is_allowed_passes(rule: Rule, place: str, source: str) -> None:
    assert list(rule(place, source)) == []


def test_importing_the_command_line_is_light() -> None:
    """Whatever the sources say, what is loaded counts."""
    script = (
        "import sys, workbench.cli.main; print(*sorted({m.split('.')[0] for m in sys.modules}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    loaded = set(done.stdout.split())
    assert {"workbench", "tyro"} <= loaded
    assert not loaded & (HEAVY | {"numpy", "plotly"})
