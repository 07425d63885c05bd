"""Two processes that share a batch (gloo), against one that computes all of it.

With linear gain two take half of the time, so the peer's time is halved: 1 is linear. On one core
only processor time can be compared; its ratio bounds what a second core could give. Each process is
started once and times several blocks of steps, so both sides do not take turns.
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from benchmarks.measuring import Costs, NotRun, Row, Setting, ratio_of, ratio_of_costs
from benchmarks.processes import ROOT, environment

BLOCK, WARM_UP = 4, 2
LARGEST_LOSS_GAP = 0.1
STAGE, PEER = "two processes on one batch, DiT step", "half of one process's time"
GOAL = 0.9


def two_processes(setting: Setting) -> Iterator[Row | NotRun]:
    """Wall time where there are two cores, and processor time everywhere."""
    from benchmarks.running import available_cores

    blocks = 3 if setting.quick else 5
    (one, known), (two, found) = (_train(setting, count, blocks) for count in (1, 2))
    gap = abs(found / known - 1)
    gate = (
        f"both hold the same weights; mean loss differs by {100 * gap:.1f} % from one process, "
        f"at most {100 * LARGEST_LOSS_GAP:.0f}"
    )
    passed = gap <= LARGEST_LOSS_GAP
    if available_cores() < 2:
        reason = "needs two cores, this process may use one"
        yield NotRun(stage=STAGE, peer=PEER, goal=GOAL, reason=reason)
    else:
        halves = [(wall / 2, used) for wall, used in one]
        yield Row(
            stage=STAGE,
            peer=PEER,
            ratio=ratio_of_costs(two, halves),
            goal=GOAL,
            gate=gate,
            gate_passed=passed,
        )
    yield Row(
        stage=f"{STAGE}, processor time",
        peer="one process's processor time",
        ratio=ratio_of([used for _, used in two], [used for _, used in one]),
        goal=GOAL,
        gate=gate,
        gate_passed=passed,
        unit="CPU s",
    )


def _train(setting: Setting, world: int, blocks: int) -> tuple[Costs, float]:
    """Per block of steps the longest wall time and the sum of processor times; the mean loss.

    Raises:
        RuntimeError: a process failed, or their weights differ at the end.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    shared = {"WORLD_SIZE": str(world), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    command = [sys.executable, "-m", "benchmarks.ranks", str(setting.directory), str(blocks)]
    started = [
        subprocess.Popen(
            command,
            cwd=ROOT,
            env=environment(**shared, RANK=str(rank), LOCAL_RANK=str(rank), OMP_NUM_THREADS="1"),
            stdout=subprocess.PIPE,
            text=True,
        )
        for rank in range(world)
    ]
    answers = [process.communicate()[0] for process in started]
    if any(process.returncode for process in started):
        raise RuntimeError(f"a process of {world} ended with {[p.returncode for p in started]}")
    found = [json.loads(answer.splitlines()[-1]) for answer in answers]
    costs = [
        (max(wall for wall, _ in block), sum(used for _, used in block))
        for block in zip(*(answer["costs"] for answer in found), strict=True)
    ]
    if len({answer["weights"] for answer in found}) > 1:
        raise RuntimeError("the processes hold different weights")
    losses = [loss for answer in found for loss in answer["losses"]]
    return costs, sum(losses) / len(losses)


def main(directory: Path, blocks: int) -> None:
    """Train as one of the processes and print costs per block and the losses."""
    import torch

    from benchmarks.measuring import costs_of
    from benchmarks.training_steps import stepper
    from benchmarks.workload import open_workload
    from workbench.machine.devices import process_group
    from workbench.study.pairing import digest_tensors
    from workbench.train.flow import FlowTask

    torch.set_num_threads(1)
    workload = open_workload(directory)
    training, place, dit = workload.config.flow_training, workload.place, workload.dit()
    task = FlowTask(dit, workload.config, workload.latents(), workload.plan(training), place)
    losses: list[float] = []
    with process_group(place):
        step = stepper(task, training, workload)

        def block() -> None:
            losses.extend(float(step()) for _ in range(BLOCK))

        for _ in range(WARM_UP):
            block()
        costs = [costs_of(block) for _ in range(blocks)]
    print(
        json.dumps(
            {"costs": costs, "losses": losses, "weights": digest_tensors(dit.state_dict().items())}
        )
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
