"""The metrics log: strict JSON, cut back at a resume, and never the end of a training."""

import errno
import json
import os
import resource
from pathlib import Path

import numpy as np
import pytest
import torch

from workbench import store
from workbench.errors import DamagedArtefactError
from workbench.store import metrics_log


def steps(path: Path) -> list[int]:
    return [record["step"] for record in store.read_metrics(path)]


def test_nan_is_null_with_its_reason(tmp_path):
    path = tmp_path / "metrics.jsonl"
    with store.MetricsLog(path) as log:
        log.append(
            {
                "step": 1,
                "loss": float("nan"),
                "norm": torch.tensor(float("inf")),
                "quartiles": [1.5, np.float32("-inf")],
                "probe": {"knn": np.float64(0.25)},
            }
        )
    text = path.read_text()
    assert "NaN" not in text
    assert "Infinity" not in text
    assert json.loads(text) == {
        "step": 1,
        "loss": None,
        "norm": None,
        "quartiles": [1.5, None],
        "probe": {"knn": 0.25},
        "not_finite": {"loss": "nan", "norm": "inf", "quartiles[1]": "-inf"},
    }


def test_a_resume_cuts_later_steps_and_broken_lines(tmp_path):
    path = tmp_path / "metrics.jsonl"
    with store.MetricsLog(path) as log:
        for step in (2, 4, 6):
            log.append({"step": step})
    with path.open("ab") as file:
        file.write(b'\0\0\0\n{"step": NaN}\n{"step": 3, "lo')
    with store.MetricsLog(path, resume_step=4) as log:
        assert log.notices == [f"{path}: 3 unreadable lines were dropped"]
        log.append({"step": 5})
    assert steps(path) == [2, 4, 5]
    store.MetricsLog(path).close()
    assert steps(path) == []


def test_stages_in_one_file_resume_each_from_its_own_step(tmp_path):
    path = tmp_path / "metrics.jsonl"
    with store.MetricsLog(path) as log:
        for stage, step in (("vae", 10), ("vae", 20), ("flow", 10), ("flow", 20)):
            log.append({"stage": stage, "step": step})
    store.MetricsLog(path, resume_step=10, stage="flow").close()
    assert [(record["stage"], record["step"]) for record in store.read_metrics(path)] == [
        ("vae", 10),
        ("vae", 20),
        ("flow", 10),
    ]


def test_a_reader_sees_whole_lines_only(tmp_path):
    path = tmp_path / "metrics.jsonl"
    assert store.read_metrics(path) == []
    path.write_bytes(b'{"step": 1}\n{"step": 2')
    assert steps(path) == [1]
    path.write_bytes(b'{"step": 1}\n[]\n{"step": 2}\n')
    with pytest.raises(DamagedArtefactError, match=r"metrics\.jsonl:2: not a metrics record"):
        store.read_metrics(path)


def test_a_record_needs_a_step_and_json_values(tmp_path):
    with store.MetricsLog(tmp_path / "metrics.jsonl") as log:
        for record in ({}, {"step": 1.0}, {"step": True}, {"step": 1, "path": tmp_path}):
            with pytest.raises(ValueError):
                log.append(record)
    with pytest.raises(ValueError, match="closed"):
        log.append({"step": 1})
    assert log.path.read_bytes() == b""


def test_a_full_disk_is_reported_once_and_spoils_no_line(tmp_path, monkeypatch):
    log = store.MetricsLog(tmp_path / "metrics.jsonl")
    assert log.append({"step": 1})
    write, left = os.write, [7]

    def full(descriptor: int, content: bytes) -> int:
        if not left:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(descriptor, content[: left.pop()])

    monkeypatch.setattr(metrics_log.os, "write", full)
    assert not log.append({"step": 2})
    assert not log.append({"step": 3})
    monkeypatch.undo()
    assert log.append({"step": 4})
    log.close()
    assert steps(log.path) == [1, 4]
    assert log.lost == 2
    assert len(log.notices) == 1
    assert "training goes on" in log.notices[0]
    assert "No space left" in log.notices[0]


def test_a_file_size_limit_ends_the_log_and_not_the_training(tmp_path):
    path = tmp_path / "metrics.jsonl"
    child = os.fork()
    if child == 0:
        code = 1
        try:
            log = store.MetricsLog(path)
            resource.setrlimit(resource.RLIMIT_FSIZE, (110, 110))  # not between two lines
            written = [log.append({"step": step, "loss": 0.5}) for step in range(20)]
            log.close()
            code = 0 if any(written) and log.lost == written.count(False) > 0 else 2
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert steps(path) == list(range(len(steps(path))))
    assert path.read_bytes().endswith(b"\n")


def test_a_full_log_device_is_reported(tmp_path):
    log = store.MetricsLog(tmp_path / "metrics.jsonl")
    full = os.open("/dev/full", os.O_WRONLY)
    os.dup2(full, log._descriptor)
    os.close(full)
    assert not log.append({"step": 1})
    log.sync()
    log.close()
    assert "No space left" in log.notices[0]
