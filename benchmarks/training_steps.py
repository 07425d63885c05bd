"""A training step of the VAE and of the DiT, against the eager float32 loop and the peak.

MFU is the share of the machine's peak reached by (6 N + 12 layers width L) multiply-adds per token,
head included, as in PaLM (Chowdhery et al. 2022, appendix B). N counts the matrices that every
token passes. The peak is a large matrix product in the compute dtype, timed alternately.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import nn

from benchmarks.measuring import Row, Setting, compare
from benchmarks.peer_training import PeerLoop, dit_peer, vae_peer
from benchmarks.peers import PeerDiT, PeerVAE, with_weights_of
from benchmarks.workload import Workload, open_workload
from models.precision import has_fast_bfloat16
from workbench.config.training import TrainingConfig
from workbench.train.flow import FlowTask
from workbench.train.loop import Task, build_state, train_step
from workbench.train.vae import VAETask

STEPS_AT_ONCE = 4
GATE_STEPS, LAST_STEPS = 40, 10
PEAK_SIZE = 1024
PER_TEXT = ("projector", "t_embedder", "adaLN_modulation")  # matrices that no token passes

Step = Callable[[], torch.Tensor]


def stepper(task: Task, training: TrainingConfig, workload: Workload) -> Step:
    """A function that trains our model one step and returns the loss."""
    state, objective = build_state(task, training, workload.place)

    def step() -> torch.Tensor:
        return train_step(state, task, objective, training, workload.place)[0]["loss"]

    return step


def vae_stepper(workload: Workload) -> Step:
    """Our VAE step on a workload."""
    training = workload.config.vae_training
    plan, place = workload.plan(training), workload.place
    task = VAETask(workload.vae(), workload.config, workload.corpus, None, plan, place)
    return stepper(task, training, workload)


def dit_stepper(workload: Workload) -> Step:
    """Our DiT step on a workload's cached latents."""
    training = workload.config.flow_training
    plan, place = workload.plan(training), workload.place
    task = FlowTask(workload.dit(), workload.config, workload.latents(), plan, place)
    return stepper(task, training, workload)


def several(step: Step) -> Callable[[], None]:
    """A few steps as one unit, because a step's cost depends on its random draws."""

    def steps() -> None:
        for _ in range(STEPS_AT_ONCE):
            step()

    return steps


def vae_step(setting: Setting) -> Iterator[Row]:
    """VAE step against the eager loop, and its MFU."""
    workload = open_workload(setting.directory)
    vae = workload.vae()

    def peer(noise_seed: int = 0) -> PeerLoop:
        return vae_peer(with_weights_of(PeerVAE(vae.config), vae), workload, noise_seed)

    yield _step_row("VAE step", lambda: vae_stepper(workload), peer, 3.0, setting)
    config = vae.config
    layers = config.encoder_layers + config.decoder_layers
    flops = 6 * passed_weights(vae) + 12 * layers * config.width * workload.corpus.window
    tokens = workload.config.vae_training.batch_size * workload.corpus.window
    yield _mfu_row("VAE step", vae_stepper(workload), flops * tokens, setting)


def dit_step(setting: Setting) -> Iterator[Row]:
    """DiT step against the eager loop, and its MFU including self-conditioning passes."""
    workload = open_workload(setting.directory)
    dit = workload.dit()

    def peer(noise_seed: int = 0) -> PeerLoop:
        return dit_peer(with_weights_of(PeerDiT(dit.config), dit), workload, noise_seed)

    yield _step_row("DiT step", lambda: dit_stepper(workload), peer, 2.0, setting)
    config = dit.config
    forward = 2 * passed_weights(dit) + 4 * config.layers * config.width * workload.corpus.window
    passes = 3 + workload.config.flow.self_conditioning_prob
    tokens = workload.config.flow_training.batch_size * workload.corpus.window
    yield _mfu_row("DiT step", dit_stepper(workload), passes * forward * tokens, setting)


def passed_weights(model: nn.Module) -> int:
    """Number of weights in the matrices that every token passes."""
    return sum(
        module.weight.numel()
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear) and not any(part in name for part in PER_TEXT)
    )


def _step_row(
    stage: str,
    ours: Callable[[], Step],
    peer: Callable[..., PeerLoop],
    goal: float,
    setting: Setting,
) -> Row:
    gate, passed = _same_losses(ours(), peer().step, peer(1).step, 12 if setting.quick else None)
    ratio = compare(several(ours()), several(peer().step), repeats=setting.repeats(15))
    return Row(
        stage=f"{stage} (x{STEPS_AT_ONCE})",
        peer="eager float32 loop, whole logits, unfused AdamW",
        ratio=ratio,
        goal=goal,
        gate=gate,
        gate_passed=passed,
    )


def _same_losses(
    ours: Step, peer: Step, reseeded: Step, quick_steps: int | None
) -> tuple[str, bool]:
    """Train all three from equal weights; ours must be closer to the peer than another seed is."""
    count = quick_steps or GATE_STEPS
    losses = torch.tensor([[float(ours()), float(peer()), float(reseeded())] for _ in range(count)])
    last = losses[-LAST_STEPS:]
    gap = float((last[:, 0] - last[:, 1]).abs().mean())
    noise = float((last[:, 2] - last[:, 1]).abs().mean())
    gate = (
        f"loss gap at steps {count - LAST_STEPS} to {count}: {gap:.2g}, of another seed {noise:.2g}"
    )
    return gate, gap < noise


def _mfu_row(stage: str, step: Step, flops: float, setting: Setting) -> Row:
    dtype = torch.bfloat16 if has_fast_bfloat16("cpu") else torch.float32
    a, b = (torch.randn(PEAK_SIZE, PEAK_SIZE).to(dtype) for _ in range(2))
    count = max(1, round(flops * STEPS_AT_ONCE / (2 * PEAK_SIZE**3)))

    def peak() -> None:
        for _ in range(count):
            a @ b

    scale = flops * STEPS_AT_ONCE / (2 * PEAK_SIZE**3 * count)
    ratio = compare(several(step), peak, repeats=setting.repeats(10), scale=scale)
    rate = flops * STEPS_AT_ONCE / ratio.peers
    return Row(
        stage=f"{stage}, MFU",
        peer=f"{str(dtype).removeprefix('torch.')} matrix product, {rate / 1e9:.0f} GFLOP/s",
        ratio=ratio,
        goal=None,
        gate=f"{flops / 1e9:.1f} GFLOP per step",
        gate_passed=True,
    )
