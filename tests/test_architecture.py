"""The rules of the house hold, and each is seen to fail for a violation planted in every folder."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import house_rules
import pytest
from house_rules import (
    HEAVY,
    LIGHT_ROOMS,
    MAY_IMPORT,
    NO_TORCH,
    ORDER,
    PACKAGES,
    ROOT,
    RULES,
    Rule,
    module,
    room,
)

TREE = house_rules.product()
FOLDERS = house_rules.folders(TREE)
LIGHT = sorted(house_rules.light_modules(TREE))


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_tree_keeps_the_rule(rule):
    assert len(TREE) > 100
    assert len(FOLDERS) > 20
    assert list(rule(TREE)) == []


def planted(folder: str) -> Iterator[tuple[Rule, dict[str, str]]]:
    """Every rule that can be broken in `folder`, with a tree of new files that breaks it once."""
    place, name = f"{folder}/planted.py", f"{folder}/planted".replace("/", ".")
    package = folder.split("/")[0]
    for banned in {*PACKAGES} - MAY_IMPORT[package]:
        for source in everywhere(f"import {banned}.x") + everywhere(f"from {banned} import x"):
            yield house_rules.packages_keep_apart, {place: source}
    yield house_rules.packages_keep_apart, {place: "from . import x"}
    if package == "workbench":
        for above in ORDER[: ORDER.index(room(name))] if room(name) else ():
            for source in everywhere(f"from workbench.{above} import x"):
                yield house_rules.rooms_import_downwards, {place: source}
    for source in everywhere(f"from {folder.replace('/', '.')} import planted_too"):
        yield (
            house_rules.no_circles,
            {place: source, f"{folder}/planted_too.py": f"def f():\n    import {name}"},
        )
    for heavy in HEAVY:
        yield (
            house_rules.light_stays_light,
            {place: f"import {heavy}.x", "workbench/cli/planted.py": f"import {name}"}
            if folder != "workbench/cli"
            else {place: f"from {heavy} import x"},
        )
    if not folder.startswith("workbench/ui"):
        for source in everywhere("from streamlit import cache_data"):
            yield house_rules.streamlit_in_the_ui_alone, {place: source}
    if package in NO_TORCH:
        for source in everywhere("import torch.nn"):
            yield house_rules.analyses_and_data_without_torch, {place: source}
    for source in RUNS_A_FILE:
        yield house_rules.nothing_runs_a_file, {place: source}
    yield house_rules.no_file_too_long, {place: "x = 1\n" * 401}
    for misleading in ("umap", "random", "utils", "tokenizers/__init__"):
        yield house_rules.no_misleading_name, {f"{folder}/{misleading}.py": ""}


def everywhere(statement: str) -> list[str]:
    """A statement at the top of a module, in a function and under TYPE_CHECKING."""
    return [statement, f"def f():\n    {statement}", f"if TYPE_CHECKING:\n    {statement}"]


RUNS_A_FILE = (
    "import pickle",
    "from joblib import load",
    "x = eval(text)",
    "def f():\n    exec(text)",
    "torch.load(p, weights_only=True)",
    "from torch import load",
    "np.load(p, allow_pickle=True)",
    "np.load(p, allow_pickle=flag)",
    "M.from_pretrained(n, trust_remote_code=True)",
)


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_planted_violation_is_found(folder):
    seen = set()
    for rule, files in planted(folder):
        assert len(list(rule(files))) == 1, (rule.__name__, files)
        seen.add(rule)
    spared = {rule for rule in RULES if not may_be_broken(rule, folder)}
    assert seen == set(RULES) - spared


def may_be_broken(rule: Rule, folder: str) -> bool:
    """Whether the rule forbids anything in this folder."""
    if rule is house_rules.rooms_import_downwards:
        return folder.startswith("workbench/")
    if rule is house_rules.streamlit_in_the_ui_alone:
        return not folder.startswith("workbench/ui")
    if rule is house_rules.analyses_and_data_without_torch:
        return folder.split("/")[0] in NO_TORCH
    return True


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_circle_planted_in_the_tree_is_found(folder):
    """A module that stands there, and a new one that each imports, among all the others."""
    tree = dict(TREE)
    here = [place for place in tree if place.rpartition("/")[0] == folder]
    place = here[-1]
    tree[f"{folder}/planted.py"] = f"import {module(place)}"
    tree[place] += f"\ndef planted():\n    import {folder.replace('/', '.')}.planted\n"
    (complaint,) = house_rules.no_circles(tree)
    assert "planted" in complaint


@pytest.mark.parametrize("name", LIGHT)
def test_a_heavy_import_planted_in_a_light_module_is_found(name):
    (place,) = [place for place in TREE if module(place) == name]
    tree = {**TREE, place: TREE[place] + "\nimport torch\n"}
    (complaint,) = house_rules.light_stays_light(tree)
    assert complaint.startswith(f"{place}:")


@pytest.mark.parametrize(
    ("rule", "place", "source"),
    [
        (house_rules.rooms_import_downwards, "workbench/newroom/x.py", ""),
        (house_rules.rooms_import_downwards, "workbench/cli/x.py", "import workbench.newroom.x"),
        (house_rules.rooms_import_downwards, "workbench/errors.py", "import workbench.config"),
        (house_rules.packages_keep_apart, "app.py", "import models.dit"),
    ],
)
def test_other_violations_are_found(rule, place, source):
    assert len(list(rule({place: source}))) == 1


@pytest.mark.parametrize("above", ORDER)
def test_every_room_below_may_be_imported(above):
    below = ORDER[ORDER.index(above) :]
    source = "\n".join(f"import workbench.{name}.x" for name in below)
    place = f"workbench/{above.replace('.', '/')}/x.py"
    assert list(house_rules.rooms_import_downwards({place: source})) == []


FINE = [
    (house_rules.packages_keep_apart, "workbench/x.py", "import models.x, analyses.x, data.x"),
    (house_rules.streamlit_in_the_ui_alone, "workbench/ui/pages/x.py", "import streamlit"),
    (house_rules.nothing_runs_a_file, "models/x.py", "model.eval()\nre.compile(x)\nnp.load(p)"),
    (house_rules.nothing_runs_a_file, "models/x.py", "np.load(p, allow_pickle=False)"),
    (house_rules.no_file_too_long, "workbench/x.py", "x = 1\n" * 400),
    (house_rules.no_misleading_name, "models/samplers.py", ""),
    (house_rules.no_misleading_name, "data/__init__.py", ""),
    (house_rules.light_stays_light, "workbench/cli/x.py", "def f():\n    import torch"),
    (house_rules.light_stays_light, "workbench/cli/x.py", "if TYPE_CHECKING:\n    import torch"),
]


@pytest.mark.parametrize(("rule", "place", "source"), FINE)
def test_what_is_allowed_passes(rule, place, source):
    assert list(rule({place: source})) == []


def heavy_loaded(root: Path) -> dict[str, list[str]]:
    """Light module -> heavy packages that are really loaded once it is imported, from `root`."""
    names = [name for name in LIGHT if room(name) in LIGHT_ROOMS and "__main__" not in name]
    script = (
        "import importlib, sys\n"
        f"for name in {names!r}:\n"
        "    importlib.import_module(name)\n"
        "    print(name, *sorted({m.split('.')[0] for m in sys.modules}))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=root, capture_output=True, text=True, check=True
    )
    lines = [line.split() for line in done.stdout.splitlines()]
    assert len(lines) == len(names) > 10
    return {name: sorted(HEAVY & set(loaded)) for name, *loaded in lines if HEAVY & set(loaded)}


def test_light_modules_load_nothing_heavy():
    """Whatever the sources say, what is loaded counts."""
    assert heavy_loaded(ROOT) == {}


@pytest.mark.parametrize("verb", ["--help", "presets", "presets demo", "generators", "probes"])
def test_listings_answer_without_torch(verb):
    script = f"""
import sys
from workbench.cli.main import main
assert main({verb.split()!r}) == 0
print(*sorted({{name.split(".")[0] for name in sys.modules}}))
"""
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    loaded = set(done.stdout.splitlines()[-1].split())
    assert "workbench" in loaded
    assert loaded & HEAVY <= {"numpy"}


def test_one_process_loads_no_sharding():
    """Torch's sharding brings a second's worth of symbolic algebra."""
    script = (
        "import sys, workbench.probes.inputs.run_inputs\n"
        "import workbench.train.loop, workbench.train.muon\n"
        "print({'sympy', 'torch.distributed.tensor'} & {*sys.modules})"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "set()"


def test_what_is_loaded_behind_the_sources_back_is_seen(tmp_path):
    """An import that no reading of the source finds; an empty module stands in for torch."""
    for package in PACKAGES:
        shutil.copytree(
            ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__")
        )
    (tmp_path / "torch.py").touch()
    with (tmp_path / "workbench/errors.py").open("a") as file:
        file.write("\n__import__('tor' + 'ch')\n")
    assert {tuple(heavy) for heavy in heavy_loaded(tmp_path).values()} == {("torch",)}
