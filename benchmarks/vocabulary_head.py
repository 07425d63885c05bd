"""Vocabulary head and cross entropy, forward and backward: time and peak memory by vocabulary."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.measuring import Row, Setting, compare, ratio_of
from models.chunked_cross_entropy import chunked_cross_entropy
from models.precision import bfloat16_autocast

POSITIONS, WIDTH = 2240, 128  # a batch of the demo
VOCABULARIES = (1256, 8000, 30522)
LARGEST_ERROR = 5e-3


class Head:
    """States, weights and targets, with one function per way of computing the loss."""

    def __init__(self, vocab_size: int) -> None:
        generator = torch.Generator().manual_seed(0)
        self.hidden = torch.randn(POSITIONS, WIDTH, generator=generator).requires_grad_()
        self.weight = (0.05 * torch.randn(vocab_size, WIDTH, generator=generator)).requires_grad_()
        self.bias = torch.zeros(vocab_size, requires_grad=True)
        self.targets = torch.randint(vocab_size, (POSITIONS,), generator=generator)
        self.weights = torch.ones(POSITIONS)

    def ours(self) -> list[Tensor]:
        """Gradients in chunks, under autocast as in training."""
        with bfloat16_autocast("cpu"):
            loss = chunked_cross_entropy(
                self.hidden, self.weight, self.bias, self.targets, self.weights
            ).loss
        return self._gradients(loss)

    def peer(self) -> list[Tensor]:
        """Gradients through whole float32 logits."""
        logits = self.hidden @ self.weight.T + self.bias
        return self._gradients(F.cross_entropy(logits, self.targets))

    def _gradients(self, loss: Tensor) -> list[Tensor]:
        return list(torch.autograd.grad(loss, (self.hidden, self.weight, self.bias)))


def vocabulary_head(setting: Setting) -> Iterator[Row]:
    """Time and memory at each vocabulary."""
    for vocab_size in VOCABULARIES[:1] if setting.quick else VOCABULARIES:
        head = Head(vocab_size)
        error = gradient_error(head.ours(), head.peer())
        gate = f"gradient error {error:.1e} < {LARGEST_ERROR}"
        yield Row(
            stage=f"vocabulary head + cross entropy, V = {vocab_size}",
            peer="F.cross_entropy(h @ W.T), float32",
            ratio=compare(head.ours, head.peer, repeats=setting.repeats(15)),
            goal=3.5,
            gate=gate,
            gate_passed=error < LARGEST_ERROR,
        )
        yield Row(
            stage=f"the same, peak memory, V = {vocab_size}",
            peer="F.cross_entropy(h @ W.T), float32",
            ratio=ratio_of([peak_megabytes(head.ours)], [peak_megabytes(head.peer)]),
            goal=20.0,
            gate=gate,
            gate_passed=error < LARGEST_ERROR,
            unit="MB",
        )


def gradient_error(found: list[Tensor], exact: list[Tensor]) -> float:
    """Largest relative Frobenius error among the gradients."""
    return max(float((a - b).norm() / b.norm()) for a, b in zip(found, exact, strict=True))


def peak_megabytes(work: Callable[[], object]) -> float:
    """Peak memory that torch's allocator added during `work`, in megabytes."""
    from torch.profiler import ProfilerActivity, profile

    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        kept = work()
    del kept
    events = [e for e in profiler.profiler.kineto_results.events() if e.name() == "[memory]"]
    held = peak = 0
    for event in sorted(events, key=lambda event: event.start_ns()):
        held += event.nbytes()
        peak = max(peak, held)
    return peak / 1e6
