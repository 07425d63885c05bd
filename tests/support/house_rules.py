"""The rules of the house: who may import whom, what stays light, what is banned, file sizes.

A rule takes a tree (place -> source, as in `{"models/dit.py": "import torch"}`) and yields one
complaint per violation. Imports count wherever they stand, inside functions too.
"""

from __future__ import annotations

import ast
import functools
import graphlib
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import packages_distributions
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = ("workbench", "models", "analyses", "data")
MAY_IMPORT = {
    "app.py": {"workbench"},
    "workbench": {"workbench", "models", "analyses", "data"},
    "models": {"models"},
    "analyses": {"analyses"},
    "data": {"data"},
}
# The rooms of `workbench`. A room may import itself and every room below it in this list.
ORDER = (
    "__main__",
    "ui",
    "ui.pages",
    "ui.sections",
    "ui.map",
    "ui.player",
    "ui.kit",
    "ui.navigation",
    "cli",
    "pipeline",
    "report.findings",
    "report",
    "probes.course",
    "probes",
    "probes.catalogue",
    "probes.inputs",
    "score",
    "sample",
    "train",
    "study",
    "machine",
    "store",
    "config",
    "errors",
)
# Importing a module of these rooms, and whatever it imports in turn, must load nothing heavy.
LIGHT_ROOMS = ("__main__", "cli", "config", "errors")
NO_TORCH = ("analyses", "data")
LONGEST_FILE = 400
HEAVY = {
    *("torch", "transformers", "umap", "mauve", "sklearn", "faiss", "scipy"),
    *("pandas", "numpy", "pyarrow", "plotly", "streamlit"),
}
BANNED_MODULES = {"pickle", "cPickle", "dill", "cloudpickle", "marshal", "shelve", "joblib"}
BANNED_CALLS = {"eval", "exec", "torch.load", "torch.save"}
BANNED_KEYWORDS = {"allow_pickle", "trust_remote_code"}
# Part of the agreed layout; the standard library's `statistics` is never meant.
NAMED_BY_AGREEMENT = {"analyses/statistics/__init__.py"}
VAGUE_NAMES = {"utils", "util", "helpers", "common", "misc"}

Tree = Mapping[str, str]
Rule = Callable[[Tree], Iterator[str]]


@dataclass(frozen=True)
class Import:
    """One imported name: dotted, with its line, and whether it loads with the module itself."""

    name: str
    line: int
    at_once: bool


def product() -> dict[str, str]:
    """Every module of the product: place -> source."""
    paths = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]
    paths.append(ROOT / "app.py")
    return {path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8") for path in paths}


def folders(tree: Tree) -> list[str]:
    """Every folder that holds modules, sub-folders too."""
    return sorted({place.rpartition("/")[0] for place in tree} - {""})


def module(place: str) -> str:
    """Dotted name of the module at `place`."""
    return place.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


@functools.cache
def imports(source: str) -> tuple[Import, ...]:
    """All imports of a module; `from a import b` counts as `a.b`."""
    tree = ast.parse(source)
    late: set[ast.AST] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            late.update(ast.walk(node))
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            late.update(child for part in node.body for child in ast.walk(part))
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            origin = "." * node.level + (node.module or "")
            names = [f"{origin}.{alias.name}" for alias in node.names]
        else:
            continue
        found += [Import(name, node.lineno, node not in late) for name in names]
    return tuple(found)


def in_each_file(check: Callable[[str, str], Iterator[str]]) -> Rule:
    """Make a rule of a check of one file."""

    @functools.wraps(check)
    def rule(tree: Tree) -> Iterator[str]:
        for place, source in tree.items():
            yield from check(place, source)

    return rule


@in_each_file
def packages_keep_apart(place: str, source: str) -> Iterator[str]:
    """app.py -> workbench -> {models, analyses, data}, and nothing else among them."""
    allowed = MAY_IMPORT[Path(place).parts[0]]
    for one in imports(source):
        top = one.name.split(".")[0]
        if one.name.startswith("."):
            yield f"{place}:{one.line}: relative import {one.name}"
        elif top in PACKAGES and top not in allowed:
            yield f"{place}:{one.line}: imports {one.name}"


def room(name: str) -> str:
    """The room of a dotted name: the longest entry of the order that it begins with."""
    inside = name.removeprefix("workbench.") + "."
    fitting = [entry for entry in ORDER if inside.startswith(f"{entry}.")]
    return max(fitting, key=len, default="")


@in_each_file
def rooms_import_downwards(place: str, source: str) -> Iterator[str]:
    """Inside `workbench`, a room imports only itself and the rooms below it."""
    if not place.startswith("workbench/") or place == "workbench/__init__.py":
        return
    here = room(module(place))
    if not here:
        yield f"{place}: not in a room of the order"
        return
    for one in imports(source):
        if not one.name.startswith("workbench."):
            continue
        there = room(one.name)
        if not there:
            yield f"{place}:{one.line}: {one.name} is not in a room of the order"
        elif ORDER.index(there) < ORDER.index(here):
            yield f"{place}:{one.line}: {here} imports {one.name}, from a room above it"


def arrows(tree: Tree, at_once: bool = False) -> dict[str, set[str]]:
    """Module -> modules of the tree that it imports, or only those that it loads at once."""
    names = {module(place) for place in tree}
    return {
        module(place): {
            target
            for one in imports(source)
            if one.at_once or not at_once
            for target in [one.name if one.name in names else one.name.rpartition(".")[0]]
            if target in names
        }
        for place, source in tree.items()
    }


def no_circles(tree: Tree) -> Iterator[str]:
    """No module imports itself by way of others, in functions either."""
    edges = arrows(tree)
    while circle := first_circle(edges):
        yield "circle: " + " <- ".join(circle)
        edges[circle[1]].discard(circle[0])


def first_circle(edges: Mapping[str, set[str]]) -> list[str]:
    """One circle, each module imported by the next and the last one the first; or nothing."""
    try:
        graphlib.TopologicalSorter(edges).prepare()
    except graphlib.CycleError as error:
        circle: list[str] = error.args[1]
        return circle
    return []


def light_modules(tree: Tree) -> dict[str, str]:
    """Module that must stay light -> the one that loads it; those of light rooms load themselves.

    Importing `a.b.c` also runs the `__init__` of `a` and of `a.b`.
    """
    edges = arrows(tree, at_once=True)
    reached = {name: name for name in edges if room(name) in LIGHT_ROOMS}
    waiting = list(reached)
    while waiting:
        name = waiting.pop()
        parts = name.split(".")
        parents = {".".join(parts[:depth]) for depth in range(1, len(parts))}
        for target in sorted((edges[name] | parents & edges.keys()) - reached.keys()):
            reached[target] = name
            waiting.append(target)
    return reached


def light_stays_light(tree: Tree) -> Iterator[str]:
    """What the command line and the settings load when imported is never heavy."""
    loaded_by = light_modules(tree)
    for place, source in tree.items():
        if module(place) not in loaded_by:
            continue
        for one in imports(source):
            if one.at_once and one.name.split(".")[0] in HEAVY:
                by = loaded_by[module(place)]
                yield f"{place}:{one.line}: imports {one.name} at once, and is loaded by {by}"


@in_each_file
def streamlit_in_the_ui_alone(place: str, source: str) -> Iterator[str]:
    """Only pages know Streamlit."""
    if place == "app.py" or place.startswith("workbench/ui/"):
        return
    for one in imports(source):
        if one.name.split(".")[0] == "streamlit":
            yield f"{place}:{one.line}: imports streamlit"


@in_each_file
def analyses_and_data_without_torch(place: str, source: str) -> Iterator[str]:
    """They are handed arrays."""
    if place.split("/")[0] in NO_TORCH:
        for one in imports(source):
            if one.name.split(".")[0] == "torch":
                yield f"{place}:{one.line}: imports {one.name}"


@in_each_file
def nothing_runs_a_file(place: str, source: str) -> Iterator[str]:
    """No pickle, eval, exec, torch.load or remote code, under whatever name."""
    for one in imports(source):
        if one.name.split(".")[0] in BANNED_MODULES or one.name in BANNED_CALLS:
            yield f"{place}:{one.line}: imports {one.name}"
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call):
            continue
        if ast.unparse(node.func) in BANNED_CALLS:
            yield f"{place}:{node.lineno}: calls {ast.unparse(node.func)}"
        for keyword in node.keywords:
            off = isinstance(keyword.value, ast.Constant) and keyword.value.value is False
            if keyword.arg in BANNED_KEYWORDS and not off:
                yield f"{place}:{node.lineno}: {keyword.arg}"


@in_each_file
def no_file_too_long(place: str, source: str) -> Iterator[str]:
    """A file beyond this length wants to be two."""
    lines = source.count("\n")
    if lines > LONGEST_FILE:
        yield f"{place}: {lines} lines"


@in_each_file
def no_misleading_name(place: str, source: str) -> Iterator[str]:
    """No module named after a library (it would shadow it, or be taken for it) or after nothing."""
    path = Path(place)
    name = path.parent.name if path.stem == "__init__" else path.stem
    inner = len(path.parts) > (2 if path.stem == "__init__" else 1)
    if name in VAGUE_NAMES:
        yield f"{place}: the name says nothing"
    elif inner and name in library_names() and place not in NAMED_BY_AGREEMENT:
        yield f"{place}: named like a library"


@functools.cache
def library_names() -> frozenset[str]:
    """Import names of the standard library and of everything installed."""
    installed = {name for name in packages_distributions() if name.isidentifier()}
    own = set(PACKAGES) | {"app", "tests", "benchmarks"}
    return frozenset((set(sys.stdlib_module_names) | installed) - own)


RULES: tuple[Rule, ...] = (
    packages_keep_apart,
    rooms_import_downwards,
    no_circles,
    light_stays_light,
    streamlit_in_the_ui_alone,
    analyses_and_data_without_torch,
    nothing_runs_a_file,
    no_file_too_long,
    no_misleading_name,
)
