"""The command line as scripts meet it: exit codes, one line of error, one object of JSON."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from workbench.cli.main import main, one_line
from workbench.cli.verbs import VERBS

ROOT = Path(__file__).parents[3]
HEAVY = ("torch", "transformers", "sklearn", "umap", "mauve", "faiss", "pandas", "streamlit")
Command = Callable[..., tuple[int, str, str]]


@pytest.fixture(autouse=True)
def signals() -> Iterator[None]:
    """Verbs install handlers; the tests' own come back."""
    known = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in known.items():
        signal.signal(number, handler)


@pytest.fixture
def command(capsys, monkeypatch, tmp_path) -> Command:
    """Runs a verb in this process on an empty runs directory: exit code, stdout, stderr."""
    monkeypatch.setenv("WORKBENCH_RUNS", str(tmp_path / "runs"))

    def run(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = main(arguments)
        return code, *capsys.readouterr()

    return run


def refused(answer: tuple[int, str, str], *words: str) -> None:
    """Exit code 2 and one line on stderr that holds the words; nothing on stdout."""
    code, out, err = answer
    assert code == 2, answer
    assert out == ""
    assert err.endswith("\n")
    assert err.count("\n") == 1, err
    for word in words:
        assert word in err, err


def test_help_answers_without_heavy_imports():
    script = f"""
import contextlib, io, sys
from workbench.cli.main import main
from workbench.cli.verbs import VERBS
for verb in VERBS:
    text = io.StringIO()
    with contextlib.redirect_stdout(text):
        assert main([verb, "--help"]) == 0, verb
    assert "--json" in text.getvalue(), verb
    loaded = [name for name in {HEAVY!r} if name in sys.modules]
    assert not loaded, (verb, loaded)
assert main(["--help"]) == 0
"""
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert all(f"  {verb} " in done.stdout for verb in VERBS)
    planted = script.replace("for verb in VERBS:", "import torch\nfor verb in VERBS:", 1)
    found = subprocess.run(
        [sys.executable, "-c", planted], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert "['torch']" in found.stderr


def test_a_verb_without_arguments_needs_no_parser(command, monkeypatch):
    """Tyro's default values are the signature's own, so both ways answer the same."""
    by_parser = {verb: command(verb, "--quiet") for verb in ("presets", "generators", "probes")}
    monkeypatch.setattr("tyro.cli", lambda *_, **__: pytest.fail("parsed"))
    assert all(command(verb) == answer for verb, answer in by_parser.items())


def test_a_verb_that_needs_arguments_names_them(command):
    refused(command("verify"), "Missing", "a run, a study")


def test_the_module_runs():
    done = subprocess.run(
        [sys.executable, "-m", "workbench", "presets", "--json"],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert {row["name"] for row in json.loads(done.stdout)["presets"]} >= {"smoke", "demo"}


@pytest.mark.parametrize(
    "arguments",
    [
        ("runs",),
        ("presets",),
        ("probes",),
        ("generators",),
        ("doctor",),
        ("verify", "{study}"),
        ("prepare", "{study}"),
        ("train-vae", "{study}/arms/none/seed-0"),
        ("train-flow", "{study}/arms/repa/seed-0"),
        ("evaluate", "{study}/arms/repa/seed-0"),
        ("compare", "{study}/repa/0", "{study}/none/0"),
        ("report", "{study}"),
        ("sample", "{study}/repa/0", "--prompt", "the cat", "a dog", "--num-steps", "2"),
        ("study", "--preset", "smoke", "--set", "threads=1", "--out", "{study}"),
    ],
)
def test_json_is_one_object(arguments, command, copy_smoke):
    study = copy_smoke() if any("{study}" in a for a in arguments) else None
    filled = [a.format(study=study.directory) if study else a for a in arguments]
    code, out, _ = command(*filled, "--json")
    assert code == 0
    assert isinstance(json.loads(out), dict)
    assert out.count("\n") == 1
    assert "NaN" not in out


def test_text_for_people(command, smoke):
    run = f"{smoke.directory}/repa/0"
    code, out, _ = command("sample", run, "--prompt", "the cat", "--num-steps", "2", "--quiet")
    assert code == 0
    assert out.startswith("the cat ")
    assert out.count("\n") == 1
    code, out, _ = command("compare", run, f"{smoke.directory}/none/0", "--quiet")
    assert code == 0
    assert "generation.mauve[minilm]" in out


def test_prompts_from_a_file(command, smoke, tmp_path):
    file = tmp_path / "prompts.txt"
    file.write_text("the cat\n\nthe dog\n", encoding="utf-8-sig")
    run = f"{smoke.directory}/repa/0"
    options = ("--num-steps", "2", "--json")
    code, out, _ = command("sample", run, "--prompts", str(file), *options)
    assert code == 0
    assert [row["prompt"] for row in json.loads(out)["samples"]] == ["the cat", "the dog"]
    file.write_bytes(b"\xff\xfe\xff")
    refused(command("sample", run, "--prompts", str(file)), str(file), "UTF-8")
    refused(command("sample", run, "--prompts", str(tmp_path)), str(tmp_path))
    file.write_text("\n\n")
    refused(command("sample", run, "--prompts", str(file)), "nothing to continue")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("stduy",), ["no verb 'stduy'", "did you mean study?"]),
        (("zzz",), ["no verb 'zzz'", "train-vae"]),
        (("study", "--prset", "smoke"), ["--prset", "did you mean --preset?"]),
        (("study",), ["--preset or --config", "smoke"]),
        (("study", "--preset", "smoek"), ["no preset 'smoek'", "did you mean smoke?"]),
        (("sample",), ["Missing", "STUDY/ARM/SEED"]),
        (("sample", "x/none/0", "--seed", "one"), ["--seed", "one"]),
        (("sample", "nowhere/none/0", "--prompt", "a"), ["nowhere", "study.json is missing"]),
        (("verify", "nowhere"), ["nowhere"]),
        (("report", "nowhere"), ["nowhere"]),
        (("compare", "a", "b"), ["'a' names no run"]),
        (("study", "--config", "nowhere.yaml"), ["nowhere.yaml"]),
    ],
)
def test_what_is_mistyped_is_named(arguments, words, command, tmp_path):
    refused(command(*arguments), *words)
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("base.vae.widht=3", ["base.vae.widht", "did you mean 'width'"]),
        ("bose.vae.width=3", ["bose", "base"]),
        ("base.vae.width=wide", ["base.vae.width", "wide"]),
        ("base.vae.width=33", ["width must be a multiple of 2 * heads"]),
        ("base.flow_training.learning_rate=.nan", ["learning_rate"]),
        ("base.flow_training.bucket_multiple=8", ["bucket_multiple must be 0"]),
        ("base.teacher.name=minilmm", ["teacher must be one of minilm"]),
        ("base.corpus.name=storys", ["name must be one of stories"]),
        ("base.corpus.path=a.txt", ["path is read by the corpus glosses and file only"]),
        ("base.sampling.guidance_scales=[]", ["guidance_scales"]),
        ("base.sampling.sampler.num_steps=0", ["num_steps must be >= 1"]),
        ("base.device=cuda:x", ["device 'cuda:x'"]),
        ("seeds=[0, 0]", ["seeds must differ"]),
        ("arms.repa.vae_loss.repa_wieght=1", ["repa_wieght", "repa_weight"]),
        ("loggers=[wandbb]", ["no logger 'wandbb'"]),
    ],
)
def test_a_bad_setting_creates_nothing(setting, words, command, tmp_path):
    refused(command("study", "--preset", "smoke", "--set", setting, "--quiet"), *words)
    left = [path.name for path in (tmp_path / "runs").rglob("*") if path.name != ".lock"]
    assert left in ([], ["smoke"])


def test_yaml_that_is_wrong_is_named(command, tmp_path):
    file = tmp_path / "study.yaml"
    for text, word in (
        ("preset: smoke\nseeds: [0]\nseeds: [1]\n", "seeds"),
        ("preset: smoke\nbase: {vae: {widht: 3}}\n", "widht"),
        ("preset: [\n", "study.yaml"),
        ("preset: nosuch\n", "nosuch"),
    ):
        file.write_text(text)
        refused(command("study", "--config", str(file), "--quiet"), word)


def with_file(path: Path, **settings: Any) -> list[str]:
    """Options of a smoke study on a file."""
    known = {"name": "file", "path": str(path), "num_documents": "null", **settings}
    return ["study", "--preset", "smoke", "--quiet", "--set"] + [
        f"base.corpus.{key}={value}" for key, value in known.items()
    ]


def test_an_unusable_corpus_is_named(command, tmp_path):
    texts, table = tmp_path / "a.txt", tmp_path / "a.csv"
    for content in ("", "\n\n  \n"):
        texts.write_text(content)
        refused(command(*with_file(texts)), "0 documents", "a.txt")
    table.write_text("text,food\nhello there,fish\n")
    refused(command(*with_file(table, text_column="body")), "body", "text, food")
    refused(command(*with_file(table, label_columns="[area]")), "area", "text, food")
    texts.write_bytes(b"fine\nbad \xff\n")
    refused(command(*with_file(texts)), "a.txt:2")
    refused(command(*with_file(tmp_path)), str(tmp_path))
    refused(command(*with_file(tmp_path / "none.txt")), "none.txt")
    os.mkfifo(tmp_path / "pipe.txt")
    refused(command(*with_file(tmp_path / "pipe.txt")), "pipe.txt")


def test_a_corpus_too_small_to_hold_anything_out_is_named(command, tmp_path):
    texts = tmp_path / "one.txt"
    texts.write_text("only one text is here\n")
    code, _, err = command(*with_file(texts))
    assert code == 2, err
    assert err.count("\n") == 1
    assert "split" in err or "texts" in err


def test_a_bad_layer_names_the_range(command):
    answer = command(
        "study", "--preset", "smoke", "--quiet", "--set", "base.teacher.layer=9"
    )  # fmt: skip
    refused(answer, "teacher layer must be between -7 and 6", "got 9")


@pytest.mark.parametrize("between", [[], ["--set"]])
def test_every_setting_counts_however_they_are_given(between, command):
    start = ("study", "--preset", "smoke", "--quiet", "--set", "base.teacher.layer=9")
    answer = command(*start, *between, "threads=1")
    refused(answer, "teacher layer must be between -7 and 6", "got 9")


def test_a_teacher_that_is_not_there_is_named(command, tmp_path, monkeypatch):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    options = ["study", "--preset", "smoke", "--quiet", "--set"]
    refused(command(*options, "base.teacher.name=hf:nobody/nothing"), "models--nobody--nothing")
    missing = tmp_path / "teacher"
    refused(command(*options, f"base.teacher.name=hf:{missing}"), str(missing))


def test_a_directory_that_cannot_be_written_is_named(command, tmp_path):
    (tmp_path / "file").touch()
    out = ["--out", str(tmp_path / "file")]
    refused(command("study", "--preset", "smoke", "--quiet", *out), str(tmp_path / "file"))
    # Before anything else is asked for: here a device that no machine has.
    device = ["--set", "base.device=cuda:99"]
    refused(command("study", "--preset", "smoke", *device, *out), str(tmp_path / "file"))


def test_runs_not_trained_yet_are_named(command, prepared):
    run = f"{prepared.directory}/none/0"
    refused(command("sample", run, "--prompt", "a", "--quiet"), "not trained yet", "train-vae")
    refused(command("compare", run, run), "not evaluated yet", "evaluate")
    refused(command("report", str(prepared.directory)), "comparison.json")
    refused(command("sample", f"{prepared.directory}/none/0", "--prompt", "a"), "none/seed-0")


def test_damage_exits_with_three(command, copy_smoke):
    study = copy_smoke()
    weights = study.run("none", 0).vae_dir / "step-8" / "model.safetensors"
    content = weights.read_bytes()
    weights.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    assert command("verify", str(study.directory))[0] == 3
    code, _, err = command("sample", f"{study.directory}/none/0", "--prompt", "a", "--quiet")
    assert (code, err.count("\n")) == (3, 1)
    assert "model.safetensors" in err


def test_a_traceback_only_on_request(command):
    with pytest.raises(ValueError, match="no preset"):
        command("study", "--preset", "nosuch", "--debug")


def test_no_arguments_show_the_verbs(command):
    code, out, err = command()
    assert (code, out) == (2, "")
    assert all(verb in err for verb in VERBS)


def test_a_box_becomes_a_line():
    box = """╭─ Unrecognized options ──────╮
│ Unrecognized options: --a,  │
│ b                           │
│ ─────────────────────────── │
│ Perhaps you meant:          │
│     --all STR               │
╰─────────────────────────────╯
"""
    assert one_line(box) == "Unrecognized options: --a, b; did you mean --all?"
