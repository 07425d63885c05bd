"""A training in a process of its own, which a test may signal.

train_child.py train STUDY CHECKPOINTS STEPS PAUSE   trains; at step PAUSE waits for a signal
train_child.py deaf                                  notes a signal and goes on regardless
"""

from __future__ import annotations

import sys
import time
from pathlib import Path


def train(study_directory: str, checkpoints: str, num_steps: str, pause: str) -> int:
    import torch
    from training_tasks import PLACE, build_task, small_training

    from data.corpus_store import open_corpus
    from workbench.errors import StopRequested
    from workbench.machine.stopping import StopSignal
    from workbench.study.folders import open_study
    from workbench.train.loop import fit

    torch.set_num_threads(1)
    study = open_study(Path(study_directory))
    task = build_task("language_model", study, open_corpus(study.corpus_dir))
    stop = StopSignal().listen()
    config = small_training(num_steps=int(num_steps))
    try:
        for record in fit(task, config, Path(checkpoints), PLACE, fingerprint="print", stop=stop):
            print(f"step {record.step}", flush=True)
            while record.step == int(pause) and not stop.requested:
                time.sleep(0.01)
    except StopRequested as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


def deaf() -> int:
    from workbench.machine.stopping import StopSignal

    stop = StopSignal().listen()
    print("ready", flush=True)
    while not stop.requested:
        time.sleep(0.01)
    print("asked", flush=True)
    time.sleep(600)
    return 0


if __name__ == "__main__":
    sys.exit(train(*sys.argv[2:]) if sys.argv[1] == "train" else deaf())
