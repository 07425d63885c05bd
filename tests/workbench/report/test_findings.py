"""A finding holds on the study it was made on, and says what drifted, is gone, or is hostile."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from workbench.cli.main import main
from workbench.errors import DamagedArtefactError, InputError
from workbench.pipeline.verify import verify_path
from workbench.report.findings import (
    SOURCES,
    FindingCheck,
    Number,
    View,
    check_finding,
    finding_files,
    is_finding,
    keep_finding,
    read_finding,
    selected_rows,
)
from workbench.report.findings.keep import run_prints
from workbench.report.findings.shown import (
    arm_numbers,
    contrast_numbers,
    displacement_numbers,
    neighbour_numbers,
    probe_numbers,
    text_numbers,
)
from workbench.store import read_json, write_json
from workbench.study.folders import Study

ARMS = ("none", "repa")
FIDELITY, SCALE = "generation.rouge1", "scale.log_snr"


def numbers_of(study: Study) -> list[Number]:
    """Scores, a contrast, MAUVE, one prompt's score and one probe."""
    comparison = read_json(study.directory / "comparison.json")
    mauve = next(name for name in comparison["arms"]["none"] if ".mauve[" in name)
    results = {a: read_json(study.run(a, 0).probes_dir / "scale.json")["results"] for a in ARMS}
    table = pd.read_parquet(next(study.run("repa", 0).scores_dir.glob("*.parquet")))
    return [
        *arm_numbers(comparison, ARMS, [FIDELITY, mauve, SCALE]),
        *contrast_numbers(comparison, ARMS, [FIDELITY, mauve, SCALE]),
        *text_numbers({"repa": table["rouge1"][2]}, 0, "rouge1", 2),
        *probe_numbers(results, 0, ("scale.",)),
    ]


def keep(study: Study, numbers: list[Number], **options: Any) -> Path:
    return keep_finding(
        study,
        study.directory.name,
        sentence=options.pop("sentence", "One arm says more."),
        view=View(page="study", query={"a": "none", "seed": "0"}),
        numbers=numbers,
        runs=study.runs,
        **options,
    )


@pytest.fixture
def study(copy_smoke, monkeypatch) -> Study:
    found = copy_smoke()
    monkeypatch.setenv("WORKBENCH_RUNS", str(found.directory.parent))
    return found


def verdicts(check: FindingCheck) -> dict[str, str]:
    return {drift.number: drift.verdict for drift in check.drifts}


def test_kept_numbers_are_recomputed_and_hold(study):
    numbers = numbers_of(study)
    check = check_finding(keep(study, numbers))
    assert set(verdicts(check).values()) == {"same"}
    assert check.holds
    how = {drift.number: drift.how for drift in check.drifts}
    for name, way in how.items():
        assert way == ("read as stored" if "mauve[" in name else "recomputed"), name
    assert [drift.difference for drift in check.drifts] == pytest.approx([0.0] * len(numbers))


def test_file_says_on_what_it_stands(study):
    path = keep(study, numbers_of(study))
    assert path.parent == study.directory / "findings"
    assert path.name.endswith("-one-arm-says-more.json")
    assert is_finding(path)
    finding = read_finding(path)
    assert finding.runs["repa/seed-0"] == run_prints(study.run("repa", 0))
    assert {"vae", "flow", "latents", "scores", "configuration"} <= set(finding.runs["repa/seed-0"])
    assert {"torch", "numpy", "python"} <= set(finding.versions)
    again = keep(study, numbers_of(study))
    assert again != path
    assert len(finding_files(study.directory)) == 2


def change_scores(study: Study) -> None:
    for file in study.run("repa", 0).scores_dir.glob("*.parquet"):
        frame = pd.read_parquet(file)
        frame.loc[2, "rouge1"] += 0.25
        frame.to_parquet(file, index=False)


def change_latents(study: Study) -> None:
    file = study.run("repa", 0).latents_dir / "test-mu.npy"
    mu = np.load(file)
    mu[:, :, :, 0] *= 3
    np.save(file, mu)


def test_changed_score_is_drift_in_its_numbers_alone(study):
    path = keep(study, numbers_of(study))
    change_scores(study)
    check = check_finding(path)
    drifted = {name for name, verdict in verdicts(check).items() if verdict == "drifted"}
    assert drifted == {
        f"repa: {FIDELITY}", f"repa - none: {FIDELITY}", "repa: rouge1 of prompt 3",
    }  # fmt: skip
    assert not check.holds
    assert any("scores" in line for line in check.damaged)


def test_changed_latent_is_drift_of_probes_and_neighbours(study):
    from workbench.probes.spaces import nearest_items
    from workbench.report.findings.ground import Ground

    items = Ground(study).items(ARMS, 0, "texts")
    found = {
        space: nearest_items(items, space, rows[4], 3, own=4, other_words=False)
        for space, rows in items.spaces.items()
    }
    asked = {"row": 4, "typed": "", "count": 3, "other_words": False}
    numbers = neighbour_numbers(found, arms=ARMS, seed=0, level="texts", **asked)
    results = {a: read_json(study.run(a, 0).probes_dir / "scale.json")["results"] for a in ARMS}
    path = keep(
        study, [*numbers, *probe_numbers(results, 0, ("scale.",))],
        selection=selected_rows("texts", [4], [items.hover[4]]),
    )  # fmt: skip
    assert check_finding(path).holds
    change_latents(study)
    check = check_finding(path)
    drifted = {name for name, verdict in verdicts(check).items() if verdict != "same"}
    assert "repa: scale.log_snr" in drifted
    assert any(name.startswith("repa: distance of neighbour") for name in drifted)
    assert not any(name.startswith(("none:", "teacher:")) for name in drifted)
    assert check.changed == []


def test_retrained_study_is_named_as_such(study):
    path = keep(study, numbers_of(study))
    folder = next(study.run("repa", 0).vae_dir.glob("step-*"))
    manifest = json.loads((folder / "manifest.json").read_text())
    from workbench.store.manifest import _render

    manifest["files"]["model.safetensors"]["sha256"] = "0" * 64
    manifest.pop("sha256")
    (folder / "manifest.json").write_bytes(_render(manifest))
    check = check_finding(path)
    assert len(check.changed) == 1
    assert "repa/seed-0: its autoencoder was retrained" in check.changed[0]
    assert not check.holds


def test_number_whose_arm_is_gone_is_not_defined_any_more(study):
    number = Number(name="x", source={"kind": "arm", "arm": "random", "metric": SCALE}, value=1.0)
    check = check_finding(keep(study, [number]))
    assert verdicts(check) == {"x": "not defined any more"}
    assert "no arm 'random'" in check.drifts[0].how


def test_changed_text_of_the_selection_is_named(study):
    path = keep(study, [], selection=selected_rows("prompts", [1], ["another text"]))
    assert "have changed" in check_finding(path).changed[0]
    beyond = keep(study, [], selection=selected_rows("prompts", [10**6], ["x"]))
    assert "cannot be read" in check_finding(beyond).changed[0]


def test_displacement_is_recomputed(study):
    wrong = displacement_numbers({3: 0.123}, ARMS, 0, "texts")
    assert verdicts(check_finding(keep(study, wrong))) == {"displacement of row 3": "drifted"}


def run_verb(capsys: pytest.CaptureFixture[str], path: Path, *options: str) -> tuple[int, str, str]:
    code = main(["verify", str(path), *options])
    out = capsys.readouterr()
    return code, out.out, out.err


def test_verb_prints_the_table_and_ends_with_3_on_drift(study, capsys):
    path = keep(study, numbers_of(study))
    code, out, _ = run_verb(capsys, path)
    assert code == 0
    assert "difference" in out
    change_scores(study)
    code, out, err = run_verb(capsys, path)
    assert code == 3
    assert "drifted" in out
    assert "does not hold" in err
    code, out, _ = run_verb(capsys, path, "--json")
    assert code == 3
    (found,) = json.loads(out)["findings"]
    assert found["holds"] is False
    assert {"number", "kept", "now", "difference", "verdict"} <= set(found["numbers"][0])


def test_verify_of_a_study_includes_its_findings(study):
    keep(study, numbers_of(study))
    report = verify_path(study.directory)
    assert report.sound
    assert len(report.findings) == 1
    keep(study, [replace(numbers_of(study)[0], value=0.5)])
    (study.directory / "findings" / "zz.json").write_text('{"kind": "finding", "schema": 99}')
    report = verify_path(study.directory)
    assert [check.holds for check in report.findings] == [True, False]
    assert [problem.file.name for problem in report.problems] == ["zz.json"]
    assert not report.sound


def test_downloaded_finding_finds_its_study_by_name(study, tmp_path):
    path = keep(study, numbers_of(study)[:1])
    away = Path(shutil.move(path, tmp_path / "finding.json"))
    assert check_finding(away).holds
    shutil.rmtree(study.directory)
    with pytest.raises(InputError, match="its study is not here") as caught:
        check_finding(away)
    assert "\n" not in str(caught.value)


def test_changed_file_does_not_match_its_seal(study):
    path = keep(study, numbers_of(study))
    path.write_text(path.read_text().replace("says more", "says less"))
    with pytest.raises(DamagedArtefactError, match="sha256"):
        check_finding(path)


def forge(path: Path, **changes: Any) -> Path:
    """A sealed copy with some keys replaced, as a stranger could make one."""
    write_json(path.with_name("forged.json"), {**read_json(path), **changes}, sealed=True)
    return path.with_name("forged.json")


HOSTILE = {
    "tag": ({"sentence": "look <script>alert(1)</script>"}, "tag"),
    "lines": ({"sentence": "one\ntwo"}, "one line"),
    "escape": ({"sentence": "\x1b[2J gone"}, "control"),
    "empty": ({"sentence": " "}, "empty"),
    "long": ({"sentence": "x" * 5000}, "at most"),
    "page": ({"view": {"page": "../../etc/passwd", "query": {}}}, "page"),
    "unknown key": ({"extra": 1}, "extra"),
    "type": ({"numbers": "many"}, "numbers"),
    "newer": ({"schema": 99}, "newer"),
    "kind": (
        {"numbers": [{"name": "x", "source": {"kind": "file", "path": "/etc"}, "value": 1.0}]},
        "source.kind",
    ),
    "field": (
        {"numbers": [{"name": "x", "source": {"kind": "arm", "arm": "none"}, "value": 1.0}]},
        "metric",
    ),
    "rows": (
        {"selection": {"level": "texts", "rows": [-1], "sha256": "0" * 64}},
        "selection.rows",
    ),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_document_is_refused_in_one_line(case, study, capsys):
    changes, word = HOSTILE[case]
    path = forge(keep(study, []), **changes)
    code, _, err = run_verb(capsys, path)
    assert code == 2
    assert word in err
    assert err.count("\n") == 1
    assert "\x1b" not in err


@pytest.mark.parametrize("name", ["../smoke", "/etc", "..", "a/../../x", ".hidden", "no-such"])
def test_study_is_never_looked_for_outside_the_runs(name, study):
    path = keep(study, [])
    away = study.directory.parent / "finding.json"
    shutil.move(forge(path, study=name), away)
    with pytest.raises(InputError, match="its study is not here"):
        check_finding(away)


@pytest.mark.parametrize("arm", ["../../..", "/etc", "repa/../none"])
def test_names_inside_a_finding_open_no_path(arm, study):
    sources = [
        {"kind": "arm", "arm": arm, "metric": SCALE},
        {"kind": "probe", "arm": "none", "seed": 0, "result": arm},
        {"kind": "foretelling", "score": "s", "predictor": "p", "studies": [arm]},
    ]
    numbers = [Number(name=str(i), source=s, value=1.0) for i, s in enumerate(sources)]
    check = check_finding(keep(study, numbers))
    assert set(verdicts(check).values()) == {"not defined any more"}


def test_huge_or_linked_file_is_refused(study):
    path = keep(study, [])
    huge = path.with_name("huge.json")
    huge.write_text('{"kind": "finding", "pad": "' + "x" * 5_000_000 + '"}')
    with pytest.raises(InputError, match="larger than any finding"):
        verify_path(huge)
    link = path.with_name("link.json")
    link.symlink_to(path)
    assert link not in finding_files(study.directory)
    with pytest.raises(InputError, match="link"):
        read_finding(link)


def test_every_kind_of_source_refuses_what_it_does_not_know():
    from workbench.report.findings.sources import check_source

    examples: dict[type, Any] = {str: "x", int: 1, float: 1.0, bool: True, list: ["a"]}
    for kind, source in SOURCES.items():
        good = {"kind": kind, **{name: examples[t] for name, t in source.fields.items()}}
        check_source(good)
        for name in source.fields:
            with pytest.raises(ValueError, match="bounds"):
                check_source({**good, name: {"nested": 1}})
            with pytest.raises(ValueError, match="has kind"):
                check_source({k: v for k, v in good.items() if k != name})
