"""Nothing that a file could use to run code: no pickle, eval, exec, torch.load, remote code."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PACKAGES = ("workbench", "models", "analyses", "data")
FORBIDDEN_MODULES = {"pickle", "cPickle", "dill", "cloudpickle", "marshal", "shelve", "joblib"}
FORBIDDEN_NAMES = {"eval", "exec", "compile", "__import__"}
FORBIDDEN_METHODS = {
    "torch.load",
    "torch.save",
    "torch.hub.load",
    "pandas.read_pickle",
    "yaml.unsafe_load",
    "yaml.full_load",
    "os.system",
}
FORBIDDEN_KEYWORDS = {"allow_pickle", "trust_remote_code", "shell", "unsafe_allow_html"}


def forbidden(tree: ast.AST) -> Iterator[str]:
    """What a module imports or calls that it may not, with the line."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        else:
            names = []
        for name in names:
            if name.split(".")[0] in FORBIDDEN_MODULES:
                yield f"{node.lineno}: import {name}"
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            if called in FORBIDDEN_NAMES | FORBIDDEN_METHODS or called.endswith(".read_pickle"):
                yield f"{node.lineno}: {called}()"
            if called == "yaml.load" and "StrictLoader" not in ast.unparse(node):
                yield f"{node.lineno}: yaml.load() without StrictLoader"
            for keyword in node.keywords:
                off = isinstance(keyword.value, ast.Constant) and keyword.value.value is False
                if keyword.arg in FORBIDDEN_KEYWORDS and not off:
                    yield f"{node.lineno}: {keyword.arg}"


def test_no_module_has_any():
    paths = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]
    paths += [path for path in [ROOT / "app.py"] if path.is_file()]
    found = [
        f"{path.relative_to(ROOT)}:{problem}"
        for path in paths
        for problem in forbidden(ast.parse(path.read_text(encoding="utf-8")))
    ]
    assert len(paths) > 20
    assert found == []


@pytest.mark.parametrize(
    "planted",
    [
        "import pickle",
        "from joblib import load",
        "import dill.session",
        "eval('1')",
        "exec(text)",
        "torch.load(path, weights_only=True)",
        "np.load(path, allow_pickle=True)",
        "AutoModel.from_pretrained(name, trust_remote_code=True)",
        "yaml.load(text, Loader=yaml.Loader)",
        "subprocess.run(text, shell=flag)",
    ],
)
def test_a_planted_one_is_found(planted):
    assert list(forbidden(ast.parse(planted)))


@pytest.mark.parametrize("fine", ["np.load(p, allow_pickle=False)", "re.compile(x)", "m.eval()"])
def test_what_only_looks_like_one_is_not(fine):
    assert not list(forbidden(ast.parse(fine)))
