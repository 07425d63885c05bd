"""A training step of the VAE and of the DiT, against the eager float32 loop and the peak.

MFU is the share of the machine's peak reached by (6 N + 12 layers width L) multiply-adds per token,
head included, as in PaLM (Chowdhery et al. 2022, appendix B). N counts the matrices that every
token passes. The peak is a large matrix product in the compute dtype, timed alternately.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import nn

from benchmarks.measuring import Row, Setting, compare, processor_seconds
from benchmarks.peer_training import PeerLoop, dit_peer, vae_peer
from benchmarks.peers import PeerDiT, PeerVAE, with_weights_of
from benchmarks.workload import Workload, open_workload
from models.dit import TextDiT
from models.precision import has_fast_bfloat16
from models.text_vae import TextVAE
from workbench.config.training import TrainingConfig
from workbench.train.flow import FlowTask
from workbench.train.loop import Task, build_state, train_step
from workbench.train.vae import VAETask

STEPS_AT_ONCE = 4
GATE_STEPS, LAST_STEPS = 24, 8
PEAK_SIZE = 1024
LARGEST_LOSS_GAP = 1e-2
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
    """VAE step against the eager loop and the best plain one, and its MFU."""
    workload = open_workload(setting.directory)
    vae = workload.vae()
    peer = peer_of(vae, PeerVAE, vae_peer, workload)
    yield from _step_rows("VAE step", lambda: vae_stepper(workload), peer, 3.0, setting)
    config = vae.config
    layers = config.encoder_layers + config.decoder_layers
    flops = 6 * passed_weights(vae) + 12 * layers * config.width * workload.corpus.window
    tokens = workload.config.vae_training.batch_size * workload.corpus.window
    yield _mfu_row("VAE step", vae_stepper(workload), flops * tokens, setting)


def dit_step(setting: Setting) -> Iterator[Row]:
    """DiT step against both loops, and its MFU including self-conditioning passes."""
    workload = open_workload(setting.directory)
    dit = workload.dit()
    peer = peer_of(dit, PeerDiT, dit_peer, workload)
    yield from _step_rows("DiT step", lambda: dit_stepper(workload), peer, 2.0, setting)
    config = dit.config
    forward = 2 * passed_weights(dit) + 4 * config.layers * config.width * workload.corpus.window
    passes = 3 + workload.config.flow.self_conditioning_prob
    tokens = workload.config.flow_training.batch_size * workload.corpus.window
    yield _mfu_row("DiT step", dit_stepper(workload), passes * forward * tokens, setting)


def compiled_peers(setting: Setting) -> Iterator[Row]:
    """Both steps against the best plain loop with its whole model under `torch.compile`."""
    workload = open_workload(setting.directory)
    of_dit = peer_of(workload.dit(), PeerDiT, dit_peer, workload)
    of_vae = peer_of(workload.vae(), PeerVAE, vae_peer, workload)
    for stage, stepper_of, peer in (
        ("DiT step", dit_stepper, of_dit),
        ("VAE step", vae_stepper, of_vae),
    ):
        start = processor_seconds()
        compiled = peer(best=True, compiled=True)
        several(compiled.step)()
        compiling = processor_seconds() - start
        again = peer(best=True, compiled=True)
        gap = abs(float(peer(best=True).step() / again.step()) - 1)
        yield Row(
            stage=f"{stage} (x{STEPS_AT_ONCE})",
            peer=f"the best plain loop, whole-model torch.compile ({compiling:.0f} CPU s at first)",
            ratio=compare(
                several(stepper_of(workload)), several(compiled.step), repeats=setting.repeats(15)
            ),
            goal=1.0,
            gate=f"compiled and plain peer's first losses differ by {gap:.1e} < {LARGEST_LOSS_GAP}",
            gate_passed=gap < LARGEST_LOSS_GAP,
        )


def peer_of(
    ours: TextVAE | TextDiT,
    twin: Callable[[Any], nn.Module],
    loop: Callable[..., PeerLoop],
    workload: Workload,
) -> Callable[..., PeerLoop]:
    """Makes the peer's loop from our initial weights, with the options of `loop`."""

    def peer(noise_seed: int = 0, **options: bool) -> PeerLoop:
        return loop(with_weights_of(twin(ours.config), ours), workload, noise_seed, **options)

    return peer


def passed_weights(model: nn.Module) -> int:
    """Number of weights in the matrices that every token passes."""
    return sum(
        module.weight.numel()
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear) and not any(part in name for part in PER_TEXT)
    )


def _step_rows(
    stage: str,
    ours: Callable[[], Step],
    peer: Callable[..., PeerLoop],
    goal: float,
    setting: Setting,
) -> Iterator[Row]:
    gate, passed = _same_losses(ours(), peer().step, peer(1).step, 12 if setting.quick else None)
    loops = (
        ("eager float32 loop, whole logits, unfused AdamW", peer(), goal),
        ("the best plain loop: bfloat16 where it is fast, fused AdamW", peer(best=True), 1.2),
    )
    for name, loop, wanted in loops:
        yield Row(
            stage=f"{stage} (x{STEPS_AT_ONCE})",
            peer=name,
            ratio=compare(several(ours()), several(loop.step), repeats=setting.repeats(15)),
            goal=wanted,
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
