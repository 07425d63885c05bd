"""One of several processes that train a run together; torchrun's variables are set.

    rank_child.py STUDY ARM [STOP_AFTER]

Trains VAE and flow of the run, stopping and resuming each once after STOP_AFTER steps when given.
Prints one JSON line: the hash of the trained weights on this rank, and what it wrote in the study.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

CHANGES = ("os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.truncate", "shutil.rmtree")


def watch(directory: Path, written: list[str]) -> None:
    """Note every change below `directory` that this process makes from now on."""

    def note(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open":
            path, _, flags = arguments
            opened_to_write = bool(flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))
            if opened_to_write and str(path).startswith(str(directory)):
                written.append(f"{event} {path}")
        elif event in CHANGES and str(arguments[0]).startswith(str(directory)):
            written.append(f"{event} {arguments[0]}")

    sys.addaudithook(note)


def main(directory: str, arm: str, stop_after: str = "0") -> None:
    import torch
    from short_training import StopAfter
    from torch.distributed.tensor import DTensor

    from workbench.errors import StopRequested
    from workbench.machine.context import StageContext
    from workbench.machine.devices import find_placement
    from workbench.pipeline.run_stage import run_stage
    from workbench.study.folders import open_study
    from workbench.study.pairing import digest_tensors
    from workbench.train import flow as train_flow
    from workbench.train import loop as training
    from workbench.train import vae as train_vae

    torch.set_num_threads(1)
    place = find_placement("cpu")

    def is_shard(value: Any) -> bool:
        return isinstance(value, DTensor)

    hashes: dict[str, str] = {}
    written: list[str] = []
    stopping = False

    def fit_and_hash(task: Any, config: Any, *arguments: Any, **options: Any) -> Any:
        if stopping:  # here alone, so that both ranks count the same looks
            options["stop"] = StopAfter(int(stop_after))
        for record in training.fit(task, config, *arguments, **options):
            if record.step == config.num_steps:
                weights = dict(task.model.named_parameters())
                sharded = {k: v.full_tensor() for k, v in weights.items() if is_shard(v)}
                hashes[task.name] = digest_tensors(sorted({**weights, **sharded}.items()))
                hashes[f"{task.name}.sharded"] = str(bool(sharded))
            yield record

    train_vae.fit = train_flow.fit = fit_and_hash
    run = open_study(Path(directory)).run(arm, 0)
    watch(Path(directory), written)
    for number, stage in enumerate(("vae", "flow")):
        os.environ["MASTER_PORT"] = str(int(os.environ["FIRST_PORT"]) + 2 * number)
        if int(stop_after):
            stopping = True
            try:
                run_stage(run, stage, StageContext(place))
            except StopRequested:
                hashes[f"{stage}.stopped"] = "True"
            stopping = False
            os.environ["MASTER_PORT"] = str(int(os.environ["MASTER_PORT"]) + 1)
        run_stage(run, stage, StageContext(place))
    print(json.dumps({"hashes": hashes, "written": written}), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
