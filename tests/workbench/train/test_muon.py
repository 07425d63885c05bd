"""Muon: parity with torch's on plain matrices, joined maps one by one, AdamW for all the rest."""

from __future__ import annotations

import copy

import pytest
import torch
from training_tasks import build_task, small_training

from data.corpus_store import Corpus
from models.configs.flow import TextDiTConfig
from models.dit import TextDiT
from workbench.store.tensors import count_bytes
from workbench.study.folders import Study
from workbench.train.muon import Muon, block_matrices, newton_schulz, orthogonalised
from workbench.train.state import TrainState, build_optimizer, checkpoint_bytes


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("shape", [(3, 32, 64), (2, 16, 64), (2, 64, 16)])
def test_singular_values_come_near_one(shape: tuple[int, ...]) -> None:
    rows = torch.logspace(0, -1, shape[1]).unsqueeze(1)
    stack = torch.randn(shape, generator=seeded()) * rows
    before, after = torch.linalg.svdvals(stack), torch.linalg.svdvals(newton_schulz(stack))
    assert before.max() > 4 * before.min()
    assert after.min() > 0.5
    assert after.max() < 1.3


def test_a_gradient_of_zero_moves_nothing() -> None:
    assert newton_schulz(torch.zeros(1, 8, 8)).abs().max() == 0


def test_joined_maps_are_made_orthogonal_one_by_one() -> None:
    maps = [torch.randn(16, 16, generator=seeded(part)) * 10**part for part in range(3)]
    (joined,) = orthogonalised([torch.cat(maps)], parts=3)
    alone = torch.cat(orthogonalised(maps))
    torch.testing.assert_close(joined, alone)
    (as_one,) = orthogonalised([torch.cat(maps)])
    assert (as_one - alone).abs().max() > 0.1


def test_plain_matrices_step_as_torchs_muon() -> None:
    ours, theirs = (torch.nn.Parameter(torch.randn(24, 40, generator=seeded())) for _ in range(2))
    settings = {"lr": 1e-2, "weight_decay": 0.1}
    mine = Muon([{"params": [ours], "parts": 1}], **settings)
    reference = torch.optim.Muon([theirs], adjust_lr_fn="match_rms_adamw", **settings)
    start = ours.detach().clone()
    for step in range(4):
        gradient = torch.randn(24, 40, generator=seeded(step + 1))
        ours.grad, theirs.grad = gradient.clone(), gradient.clone()
        mine.step()
        reference.step()
    # Theirs multiplies in bfloat16 whatever the hardware.
    assert (ours - theirs).norm() < 0.02 * (ours - start).norm()


def test_what_is_no_block_matrix_steps_as_adamw(smoke: Study, corpus: Corpus) -> None:
    model = build_task("flow", smoke, corpus).model
    other = copy.deepcopy(model)
    matrices = block_matrices(model)
    assert sorted(set(matrices.values())) == [1, 3, 6]
    optimizers = [
        build_optimizer(m, small_training(optimizer=name))
        for m, name in ((model, "muon"), (other, "adamw"))
    ]
    for m, optimizer in zip((model, other), optimizers, strict=True):
        for number, p in enumerate(m.parameters()):
            p.grad = torch.randn(p.shape, generator=seeded(number))
        optimizer.step()
    for (name, p), q in zip(model.named_parameters(), other.parameters(), strict=True):
        assert torch.equal(p, q) == (p not in matrices), name


def test_a_checkpoint_has_one_moment_for_matrices_and_two_for_the_rest() -> None:
    dit = TextDiT(TextDiTConfig(width=32, layers=1, heads=2, latent_width=4, window=8), seeded())
    optimizer = build_optimizer(dit, small_training(optimizer="muon"))
    for p in dit.parameters():
        p.grad = torch.ones_like(p)
    optimizer.step()
    held = [x for state in optimizer.state.values() for x in state.values() if x.ndim]
    state = TrainState(dit, optimizer, average=None)
    assert checkpoint_bytes(state) == count_bytes([*dit.state_dict().values(), *held])
