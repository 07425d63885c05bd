"""A durable, hashed checkpoint against plain safetensors, which neither syncs nor hashes.

Every save is a new step, as in training: ours also reads the new checkpoint back and removes the
old one. A second peer syncs its files, which separates the disk's cost from that of hashing and
reading. Trainings write in the background: how long they wait for a copy in memory is a row of its
own, in which the write itself is not counted.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import nn

from benchmarks.measuring import Row, Setting, compare
from benchmarks.workload import open_workload
from workbench.errors import DamagedArtefactError
from workbench.store.background import BackgroundWrites
from workbench.store.checkpoints import MODEL, load_latest
from workbench.store.new_checkpoint import hold_checkpoint, save_checkpoint

LARGE_WIDTH = 2048  # three square matrices of this width and their moments: 150 MB


def durable_saves(setting: Setting) -> Iterator[Row]:
    """The demo's DiT with its optimiser, and a model a hundred times as large."""
    models: dict[str, nn.Module] = {"demo DiT": open_workload(setting.directory).dit()}
    if not setting.quick:
        large = (nn.Linear(LARGE_WIDTH, LARGE_WIDTH) for _ in range(3))
        models["large model"] = nn.Sequential(*large)
    for name, model in models.items():
        optimizer = _trained_once(model)
        for sync in (False, True):
            yield _row(name, model, optimizer, setting, sync=sync)
        yield _row(name, model, optimizer, setting, sync=True, background=True)


def _row(
    name: str,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    setting: Setting,
    *,
    sync: bool,
    background: bool = False,
) -> Row:
    from safetensors.torch import save_file

    steps, files = itertools.count(1), itertools.count()
    moments = {
        f"{row}.{key}": value
        for row, state in enumerate(optimizer.state.values())
        for key, value in state.items()
    }
    with TemporaryDirectory(prefix="benchmark-") as folder, BackgroundWrites() as writes:
        ours, plain = Path(folder) / "ours", Path(folder) / "plain"
        plain.mkdir()

        def durable() -> None:
            save_checkpoint(ours, next(steps), model.state_dict(), optimizer, {})

        def held() -> None:
            new = hold_checkpoint(next(steps), model.state_dict(), optimizer, {})
            writes.start(partial(new.write, ours))

        def bare() -> None:
            number = next(files)
            save_file(model.state_dict(), plain / f"model-{number}.safetensors")
            save_file(moments, plain / f"optimizer-{number}.safetensors")
            if sync:
                _sync(*plain.glob(f"*-{number}.safetensors"), plain)
            for old in plain.glob(f"*-{number - 1}.safetensors"):
                old.unlink()

        work = held if background else durable
        ratio = compare(work, bare, repeats=setting.repeats(15), settle=writes.wait)
        gate, passed = _comes_back(ours, model)
    size = sum(t.nbytes for t in (*model.state_dict().values(), *moments.values()))
    what = "wait of a training for a save" if background else "durable, hashed save"
    return Row(
        stage=f"{what}, {name}, {size / 1e6:.0f} MB",
        peer=f"safetensors save_file, {'synced' if sync else 'no sync'}, no hash, no reading back",
        ratio=ratio,
        goal=1 / 1.2,
        gate=gate,
        gate_passed=passed,
    )


def _sync(*paths: Path) -> None:
    """Wait until files and directories are on the disk."""
    for path in paths:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _trained_once(model: nn.Module) -> torch.optim.Optimizer:
    """AdamW after one step, so that its moments exist."""
    optimizer = torch.optim.AdamW(model.parameters(), fused=True)
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return optimizer


def _comes_back(directory: Path, model: nn.Module) -> tuple[str, bool]:
    """Whether the newest checkpoint holds the exact bits, and is refused after one bit changes."""
    checkpoint = load_latest(directory)
    if checkpoint is None:
        return "nothing was saved", False
    same = all(torch.equal(checkpoint.model[k], v) for k, v in model.state_dict().items())
    path = checkpoint.path / MODEL
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.chmod(0o600)
    path.write_bytes(content)
    try:
        load_latest(directory)
        refused = False
    except DamagedArtefactError:
        refused = True
    return "read back bit for bit; a flipped bit is refused", same and refused
