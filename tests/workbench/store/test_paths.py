"""Names of runs from outside find what the scan finds and nothing else."""

from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from workbench import store
from workbench.errors import InputError


@pytest.fixture
def root(tmp_path) -> Path:
    """Runs directory with a study, two runs in it and traps."""
    runs = tmp_path / "runs"
    for name in ("demo", "demo/arms/none/seed-0", "demo/arms/repa/seed-0"):
        (runs / name).mkdir(parents=True)
    (runs / "demo" / "study.json").write_text("{}")
    (runs / "demo/arms/none/seed-0/run.json").write_text("{")  # damaged, listed all the same
    (runs / "demo/arms/repa/seed-0/run.json").write_text("{}")
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "study.json").write_text("{}")
    (runs / "out").symlink_to(tmp_path / "secret")
    (runs / "loop").symlink_to(runs)
    (runs / "self").symlink_to(runs / "self")
    (runs / ".tmp-demo-01234567").mkdir()
    (runs / ".tmp-demo-01234567" / "study.json").write_text("{}")
    (runs / "notes").mkdir()
    (runs / "file").write_text("")
    (runs / "demo\\..\\..").mkdir()
    return runs


def test_the_scan_lists_studies_and_runs_and_follows_no_link(root):
    assert [(entry.name, entry.kind) for entry in store.list_runs(root)] == [
        ("demo", "study"),
        ("demo/arms/none/seed-0", "run"),
        ("demo/arms/repa/seed-0", "run"),
    ]
    assert store.list_runs(root / "absent") == []


def test_what_the_scan_lists_resolves(root):
    for entry in store.list_runs(root):
        assert store.resolve_run(entry.name, root) == entry.path


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        "../secret",
        "demo/../../secret",
        "demo/..",
        "/etc",
        "//etc",
        "out",
        "out/more",
        "self",
        "file",
        "absent",
        "a\0b",
        "a\nb",
        "demo\\..\\..",
        ".tmp-demo-01234567",
        "x" * 5000,
    ],
)
def test_names_that_lead_elsewhere_are_refused(root, name):
    with pytest.raises(InputError) as caught:
        store.resolve_run(name, root)
    assert "\n" not in str(caught.value)


def test_a_path_is_no_name_even_within_the_runs_directory(root):
    with pytest.raises(InputError, match="not the name of a run"):
        store.resolve_run(str(root / "demo"), root)


@example(name="ab")
@given(name=st.text(alphabet="./\\~ab\0 é", max_size=12))
def test_no_name_leads_out(tmp_path_factory, name):
    root = tmp_path_factory.getbasetemp() / "names"
    if not root.is_dir():
        (root / "a" / "b").mkdir(parents=True)
        (root / "ab").symlink_to(root.parent)
    try:
        path = store.resolve_run(name, root)
    except InputError:
        return
    assert path.resolve().is_relative_to(root.resolve())
    assert path.is_dir()


def test_the_variable_moves_the_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert store.runs_directory({}) == tmp_path / "runs"
    assert store.runs_directory({"WORKBENCH_RUNS": " "}) == tmp_path / "runs"
    assert store.runs_directory({"WORKBENCH_RUNS": "else/where"}) == tmp_path / "else/where"
    monkeypatch.setenv("WORKBENCH_RUNS", str(tmp_path / "there"))
    assert store.runs_directory() == tmp_path / "there"
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="not a directory"):
        store.runs_directory({"WORKBENCH_RUNS": "file"})


def test_the_probe_for_writing_leaves_nothing(tmp_path):
    store.check_writable(tmp_path / "new" / "run")
    assert list((tmp_path / "new" / "run").iterdir()) == []
