"""Adapters named in a study's settings or installed as a package: run where a user names them."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from short_training import new_run, short_config, train
from speller import SPELLER

from workbench.cli.main import main
from workbench.config.request import study_config
from workbench.config.settings import dump_yaml, to_dict
from workbench.errors import InputError
from workbench.study.folders import Study
from workbench.study.record import create_study
from workbench.train.adapters import code_hash, open_adapter


@pytest.fixture
def ran(tmp_path: Path) -> Path:
    return tmp_path / "ran"


@pytest.fixture
def code(ran: Path) -> str:
    """The speller, which notes that it ran."""
    return SPELLER + f"\nopen({str(ran)!r}, 'a').write('x')\n"


def study_with(folder: Path, **adapters: dict[str, str]) -> Study:
    """A study that has a corpus, made from a settings file that names adapters."""
    new_run(folder / "study")
    asked = to_dict(short_config()) | {"adapters": adapters}
    asked["base"]["language_model"] |= {"width": 32, "layers": 1, "heads": 2}
    asked["base"]["language_model_training"] |= {"num_steps": 2, "warmup_steps": 1}
    (folder / "asked.yaml").write_text(dump_yaml(asked))
    return create_study(study_config(file=str(folder / "asked.yaml")), folder / "study")


def test_a_study_names_it_and_the_command_line_runs_it(
    tmp_path, monkeypatch, code, ran, capsys
) -> None:
    (tmp_path / "speller.py").write_text(code)
    monkeypatch.chdir(tmp_path)
    study = study_with(tmp_path, ours={"source": "speller.py", "model": "none"})
    assert study.config.adapters["ours"].source == str(tmp_path / "speller.py")
    assert main(["verify", str(study.directory), "--quiet"]) == 0
    assert main(["encode", str(study.directory), "--adapter", "none", "--quiet"]) == 2
    assert "name both in the study's `adapters`" in capsys.readouterr().err
    assert not ran.exists(), "a study that names an adapter does not run it"
    assert main(["encode", str(study.directory), "--adapter", "ours", "--quiet"]) == 0
    run = study.run("ours", 0)
    probe = ["probe", f"{study.directory}/ours/0", "--only", "reconstruction", "--quiet"]
    assert main(probe) == 0
    assert ran.read_text() == "x"
    assert main([*probe, "--adapter", "ours"]) == 0
    assert ran.read_text() == "xx"
    stored = json.loads((run.probes_dir / "reconstruction.json").read_text())["results"]
    assert stored["reconstruction.token_accuracy"]["score"] == 1


def test_an_installed_package_is_known_by_all_its_files(
    tmp_path, monkeypatch, code, ran, capsys
) -> None:
    package = tmp_path / "site" / "our_models"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(f"open({str(ran)!r}, 'a').write('i')\n")
    (package / "spelling.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path / "site")
    source = "our_models.spelling:load"
    study = study_with(tmp_path, ours={"source": source, "model": "none"})
    found = code_hash(source)
    assert not ran.exists(), "hashing a package imports nothing of it"
    assert main(["encode", str(study.directory), "--adapter", "ours", "--quiet"]) == 0
    assert ran.read_text() == "ix"
    run = study.run("ours", 0)
    assert run.imported["provenance"]["adapter_sha256"] == found
    assert open_adapter(source, run).can("velocity")
    (package / "helper.py").write_text("")
    with pytest.raises(InputError, match="is not the code that encoded ours/seed-0"):
        open_adapter(source, run)


def test_adapters_may_change_after_training(tmp_path) -> None:
    run = new_run(tmp_path / "study")
    create_study(short_config(), tmp_path / "study")
    train(run)
    asked = to_dict(short_config()) | {"adapters": {"a": {"source": "json:loads", "model": "m"}}}
    (tmp_path / "asked.yaml").write_text(dump_yaml(asked))
    study = create_study(study_config(file=str(tmp_path / "asked.yaml")), run.study.directory)
    assert set(study.config.adapters) == {"a"}


@pytest.mark.parametrize(
    ("source", "wanted"),
    [
        ("no_such_package.x:Y", "no package no_such_package is installed"),
        ("json:no_such_name", r"defines no function no_such_name\(model\)"),
        ("json.no_such_module:Y", "No module named 'json.no_such_module'"),
        ("json:loads", "failed: JSONDecodeError"),
    ],
)
def test_what_is_no_package_is_refused(tmp_path, source, wanted, capsys) -> None:
    study = study_with(tmp_path)
    asked = ["--adapter", source, "--model", "m", "--arm", "guest", "--quiet"]
    assert main(["encode", str(study.directory), *asked]) == 2
    told = capsys.readouterr().err
    assert re.search(wanted, told)
    assert source in told
    assert told.count("\n") == 1


@pytest.mark.parametrize(
    ("entry", "wanted"),
    [({"source": "", "model": "m"}, "source must not be empty"), ({"source": "a.py"}, "model")],
)
def test_an_entry_that_is_not_whole_is_refused(tmp_path, entry, wanted) -> None:
    with pytest.raises(InputError, match=wanted):
        study_with(tmp_path, ours=entry)
