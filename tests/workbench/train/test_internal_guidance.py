"""Internal guidance through a study: logged, used by whatever samples, moved along a frontier."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

from workbench.machine.context import StageContext
from workbench.pipeline.run_stage import run_stage
from workbench.sample.continuations import sample_prompts
from workbench.sample.held_out import sampling_fingerprint
from workbench.score.frontier import measure_frontier
from workbench.store.metrics_log import read_metrics
from workbench.study.folders import Run, Study
from workbench.train.flow import flow_fingerprint, train_flow
from workbench.train.vae import train_vae

HEAD = {"dit.layers": 2, "dit.internal_depth": 0.5, "flow.internal_weight": 0.5}
# Untrained heads return nearly 0; only a large scale shows in the texts.
ARMS = {"plain": {"dit.layers": 2}, "off": HEAD, "on": {**HEAD, "sampling.internal_scale": 900.0}}


def test_a_study_samples_by_internal_guidance(prepared: Study, context: StageContext) -> None:
    study = Study(
        prepared.directory,
        dataclasses.replace(prepared.config, arms={**prepared.config.arms, **ARMS}),
    )
    plain, off, on = (study.run(arm, 0) for arm in ARMS)
    assert flow_fingerprint(off) == flow_fingerprint(on) != flow_fingerprint(plain)
    assert sampling_fingerprint(off) != sampling_fingerprint(on)
    for run in (plain, off, on):
        train_vae(run, context)
        train_flow(run, context)
    record, other = last_flow_record(on), last_flow_record(plain)
    assert set(record) - set(other) == {"internal_loss"}
    assert math.isfinite(record["internal_loss"])
    quartiles = [record[f"loss_q{i}"] for i in (1, 2, 3, 4) if record[f"loss_q{i}"] is not None]
    assert min(quartiles) <= record["loss"] <= max(quartiles), "the final head's part alone"

    prompts = ["one day anna", "the fox"]
    texts = [sample_prompts(run, prompts, context).token_ids for run in (off, on)]
    assert not np.array_equal(*texts)
    rows = measure_frontier(on, "internal_scale", [1.0, 900.0], 8, context)
    assert rows[0]["nfe"] == rows[1]["nfe"], "no evaluation more"
    nats = [row["metrics"]["nats_per_token"]["mean"] for row in rows]
    assert nats[0] != nats[1]
    with pytest.raises(ValueError, match=r"needs dit\.internal_depth"):
        measure_frontier(plain, "internal_scale", [2.0], 8, context)
    run_stage(on, "probes", context, ("flow_excess",))
    assert (on.probes_dir / "flow_excess.json").is_file()


def last_flow_record(run: Run) -> dict[str, float]:
    found = read_metrics(run.directory / "metrics.jsonl")
    return [record for record in found if record["stage"] == "flow"][-1]
