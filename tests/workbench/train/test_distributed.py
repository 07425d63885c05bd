"""Two gloo processes train one run together: replicated (DDP) and sharded (FSDP2)."""

from __future__ import annotations

import dataclasses
import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest
import torch
from training_tasks import bits

from models.dit import TextDiT
from models.text_vae import TextVAE
from workbench.config import settings
from workbench.config.training import TrainingConfig
from workbench.machine.devices import Placement, check_batch
from workbench.store.checkpoints import Checkpoint, load_latest
from workbench.store.json_files import read_json, write_json
from workbench.store.metrics_log import read_metrics
from workbench.study.folders import Study, open_study

ROOT = Path(__file__).parents[3]
CHILD = ROOT / "tests/support/rank_child.py"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def train_together(study: Study, *arguments: str) -> list[dict[str, Any]]:
    """What each of two ranks says after it has trained VAE and flow of the arm `none`."""
    port = free_port()
    known = {
        **os.environ,
        "PYTHONPATH": f"{ROOT}{os.pathsep}{CHILD.parent}",
        "OMP_NUM_THREADS": "1",
        "WORLD_SIZE": "2",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "FIRST_PORT": str(port),
    }
    command = [sys.executable, str(CHILD), str(study.directory), "none", *arguments]
    ranks = [
        subprocess.Popen(
            command,
            env={**known, "RANK": str(rank), "LOCAL_RANK": str(rank)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    answers = []
    for rank, process in enumerate(ranks):
        out, err = process.communicate(timeout=250)
        assert process.returncode == 0, f"rank {rank}: {err}"
        answers.append(json.loads(out.splitlines()[-1]))
    return answers


def sharded(study: Study) -> Study:
    """The same study with the parameters of both stages spread over the processes."""
    base = study.config.base
    training: dict[str, Any] = {
        name: dataclasses.replace(getattr(base, name), shard="fsdp")
        for name in ("vae_training", "flow_training")
    }
    config = dataclasses.replace(study.config, base=dataclasses.replace(base, **training))
    file = study.directory / "study.json"
    write_json(file, {**read_json(file), "config": settings.to_dict(config)})
    return open_study(study.directory)


def final(study: Study, stage: str) -> Checkpoint:
    found = load_latest(study.run("none", 0).directory / stage)
    assert found is not None
    return found


def mean_loss(study: Study, stage: str) -> float:
    records = read_metrics(study.run("none", 0).directory / "metrics.jsonl")
    return fmean(record["loss"] for record in records if record["stage"] == stage)


def distance(a: Mapping[str, torch.Tensor], b: Mapping[str, torch.Tensor]) -> float:
    """Between two sets of weights, the latents' normalisation left out."""
    assert a.keys() == b.keys()
    names = [name for name in a if not name.startswith("latent_")]
    return sum(float((a[name] - b[name]).square().sum()) for name in names) ** 0.5


@pytest.fixture(scope="module")
def replicated(smoke: Study, tmp_path_factory: pytest.TempPathFactory) -> tuple[Study, Any]:
    """The arm `none`, trained by two replicas."""
    study = _prepared(smoke, tmp_path_factory.mktemp("ddp") / "smoke")
    return study, train_together(study)


def _prepared(smoke: Study, directory: Path) -> Study:
    import shutil

    shutil.copytree(
        smoke.directory, directory, ignore=shutil.ignore_patterns("arms", ".lock", "*.jsonl")
    )
    return open_study(directory)


@pytest.mark.long
def test_replicas_end_with_equal_weights_and_one_writes(replicated: tuple[Study, Any]) -> None:
    study, (first, second) = replicated
    assert first["hashes"] == second["hashes"]
    assert set(first["hashes"]) == {"vae", "vae.sharded", "flow", "flow.sharded"}
    assert first["hashes"]["vae.sharded"] == "False"
    assert second["written"] == []
    assert any("vae" in line for line in first["written"])
    for stage in ("vae", "flow"):
        assert final(study, stage).step == 8
        assert final(study, stage).state["processes"] == 2


@pytest.mark.long
def test_replicas_learn_as_one_process_does(replicated: tuple[Study, Any], smoke: Study) -> None:
    study, _ = replicated
    # The same texts, but each rank draws its own noise, cuts and, in the flow, times, on which its
    # loss depends most.
    for stage, tolerance in (("vae", 0.05), ("flow", 0.25)):
        assert mean_loss(study, stage) == pytest.approx(mean_loss(smoke, stage), rel=tolerance)
    known = smoke.run("none", 0).describe()["pairing"]
    assert study.run("none", 0).describe()["pairing"] == known


@pytest.mark.long
def test_shards_stop_resume_and_end_as_replicas_do(
    replicated: tuple[Study, Any], smoke: Study, tmp_path: Path
) -> None:
    study = sharded(_prepared(smoke, tmp_path / "smoke"))
    first, second = train_together(study, "3")
    assert first["hashes"] == second["hashes"]
    assert first["hashes"]["vae.stopped"] == first["hashes"]["flow.stopped"] == "True"
    assert first["hashes"]["vae.sharded"] == first["hashes"]["flow.sharded"] == "True"
    assert second["written"] == []
    stages: dict[str, Any] = {"vae": TextVAE, "flow": TextDiT}
    for stage, build in stages.items():
        one, other = final(study, stage), final(replicated[0], stage)
        assert one.step == 8
        loaded = build.from_pretrained(one.path)
        assert bits(loaded.state_dict()) == bits(one.model)
        start = build(loaded.config, torch.Generator().manual_seed(0)).state_dict()
        moved = distance(start, other.model)
        assert moved > 0.1
        assert distance(one.model, other.model) < 1e-3 * moved


def test_a_batch_must_divide_among_the_processes() -> None:
    place = Placement(torch.device("cpu"), rank=0, world_size=3)
    with pytest.raises(ValueError, match="batch_size must be a multiple of the 3 processes"):
        check_batch(TrainingConfig(batch_size=8), place)
    check_batch(TrainingConfig(batch_size=9), place)


def test_alone_nothing_is_shared() -> None:
    place = Placement(torch.device("cpu"))
    values = torch.tensor([1.0, float("nan")])
    assert place.mean(values) is values
    assert place.any(True)
    assert not place.any(False)
    place.wait_for_all()
    together = Placement(torch.device("cpu"), rank=1, world_size=2)
    assert not together.is_main
    assert together.alone() == place


Copy = Callable[..., Study]
