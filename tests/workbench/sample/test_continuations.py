"""Sampling: what guidance 1 is, what a prompt's noise depends on, traces, and memory."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch

from data.corpus_store import Corpus
from models.configs.flow import GuidanceConfig, SamplerConfig
from models.guidance import ContextVelocity
from models.samplers import SAMPLERS
from models.time_samplers import TimeSampler, time_grid
from workbench.errors import InputError, ResourceError, StopRequested
from workbench.machine.context import StageContext
from workbench.machine.devices import autocast
from workbench.machine.memory import halving_batches
from workbench.machine.seeds import step_generator
from workbench.machine.stopping import StopSignal
from workbench.sample import continuations
from workbench.sample.branches import Branch, follow_prompt
from workbench.sample.continuations import (
    Continuations,
    continue_prompts,
    cut_continuations,
    sample_prompts,
)
from workbench.sample.generator import Generator, load_generator, sample_steps, starting_noise
from workbench.sample.held_out import first_prompts
from workbench.sample.prompts import Prompts, encode_context, held_out_prompts, typed_prompts
from workbench.sample.references import open_references
from workbench.sample.trajectories import read_trajectory
from workbench.study.folders import Study

FOUR_STEPS = SamplerConfig(num_steps=4)
CPU = torch.device("cpu")


@pytest.fixture
def generator(smoke: Study, corpus: Corpus, context: StageContext) -> Generator:
    return load_generator(smoke.run("repa", 0), context.place)


@pytest.fixture
def prompts(smoke: Study, corpus: Corpus) -> Prompts:
    known = open_references(smoke.references_dir)
    whole = held_out_prompts(corpus, known.indices, known.cuts, known.prompts, joint=False)
    return first_prompts(whole, 8)


def last_state(
    generator: Generator, prompts: Prompts, corpus: Corpus, rows: slice, scale: float = 1.0
) -> tuple[torch.Tensor, int]:
    noise = starting_noise(generator, prompts.part(rows), 0)
    guidance = GuidanceConfig(guidance_scale=scale)
    steps = list(sample_steps(generator, prompts.part(rows), noise, FOUR_STEPS, guidance, 0))
    return steps[-1].z_t, steps[-1].nfe


def test_guidance_one_is_no_guidance(
    generator: Generator, prompts: Prompts, corpus: Corpus
) -> None:
    rows = slice(0, 8)
    batch = prompts.batch(rows)
    with torch.inference_mode(), autocast(generator.place, "auto"):
        ctx = encode_context(generator.vae, batch, joint=False)
        velocity = ContextVelocity(generator.dit, ctx, batch.ctx_mask, generator.flow.prediction)
        noise = starting_noise(generator, prompts, 0)
        times = time_grid("quantile", 4, TimeSampler(generator.flow.time))
        *_, plain = SAMPLERS["euler"](velocity, noise, times, 0.0, None)
    guided, nfe = last_state(generator, prompts, corpus, rows)
    assert torch.equal(plain.z_t, guided)
    assert plain.nfe == nfe == 4
    other, doubled = last_state(generator, prompts, corpus, rows, scale=2.5)
    assert not torch.equal(other, guided)
    assert doubled == 8
    assert last_state(generator, prompts, corpus, rows, scale=0.0)[1] == 4


def test_precision_neither_fades_nor_leaks(
    generator: Generator, prompts: Prompts, corpus: Corpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every step computes in bf16 where that is asked for, and the caller never does."""
    monkeypatch.setattr(
        "workbench.sample.generator.autocast", lambda place, _: autocast(place, "bf16")
    )
    seen: list[bool] = []
    generator.dit.register_forward_hook(lambda *_: seen.append(torch.is_autocast_enabled("cpu")))
    noise = starting_noise(generator, prompts.part(slice(0, 2)), 0)
    for _ in sample_steps(
        generator, prompts.part(slice(0, 2)), noise, FOUR_STEPS, GuidanceConfig(), 0
    ):
        assert not torch.is_autocast_enabled("cpu")
    assert seen == [True] * 4


def test_noise_belongs_to_the_prompt_not_to_its_batch(
    generator: Generator, prompts: Prompts, corpus: Corpus
) -> None:
    together = starting_noise(generator, prompts, seed=5)
    alone = torch.cat(
        [starting_noise(generator, prompts.part(slice(i, i + 1)), 5) for i in range(8)]
    )
    assert torch.equal(together, alone)
    assert not torch.equal(together, starting_noise(generator, prompts, seed=6))
    shifted = dataclasses.replace(prompts, identities=prompts.identities + 1)
    assert not torch.equal(together, starting_noise(generator, shifted, 5))


def test_sampling_with_fresh_noise_is_its_formula(generator: Generator, prompts: Prompts) -> None:
    """Euler's method written out, every random number drawn by torch itself, bit for bit."""
    sampler, own = SamplerConfig(num_steps=3, churn=0.5), prompts.part(slice(0, 2))
    drawn = [
        torch.randn(generator.latent_shape, generator=step_generator(CPU, 7, "sample", int(row)))
        for row in own.identities
    ]
    z_t, churn = torch.stack(drawn), step_generator(CPU, 7, "churn")
    field, _ = generator.field(own)
    times = generator.times(sampler)
    ends = []
    for start, end in pairwise(times):
        if start > 0:
            earlier = max(start - 0.5 * (end - start), 0.0)
            size = math.sqrt((1 - earlier) ** 2 - (earlier / start * (1 - start)) ** 2)
            z_t = earlier / start * z_t + size * torch.randn(z_t.shape, generator=churn)
            start = earlier
        z_t = z_t + (end - start) * field.single(z_t, start, drop=False)
        ends.append(z_t)
    noise = starting_noise(generator, own, 7)
    steps = sample_steps(generator, own, noise, sampler, GuidanceConfig(), 7)
    assert all(torch.equal(step.z_t, z_t) for step, z_t in zip(steps, ends, strict=True))


BRANCHES = (
    None,
    Branch(step=2, kind="nudge"),
    Branch(step=2, kind="blend"),
    Branch(step=2, kind="renoise", back_to=1),
    Branch(step=2, kind="guidance", guidance_scale=3.0),
)


class WithRow:
    """A generator whose states have a row behind the text's, which moves as any other."""

    def __init__(self, generator: Generator) -> None:
        self.place, self.times, self.read = generator.place, generator.times, generator.read
        self.latent_shape, self.extra_rows = generator.latent_shape, 1
        self._generator = generator

    def field(self, prompts: Prompts) -> tuple[Any, torch.Tensor]:
        inside, ctx_mask = self._generator.field(prompts)

        class Field:
            nfe, reset = 0, inside.reset

            def single(self, z_t: torch.Tensor, t: float, *, drop: bool) -> torch.Tensor:
                assert z_t.shape[1] == ctx_mask.shape[1] + 1
                return torch.cat((inside.single(z_t[:, :-1], t, drop=drop), z_t[:, -1:]), dim=1)

            def both(self, z_t: torch.Tensor, t: float) -> tuple[torch.Tensor, ...]:
                parts = inside.both(z_t[:, :-1], t)
                return tuple(torch.cat((part, z_t[:, -1:]), dim=1) for part in parts)

        return Field(), torch.nn.functional.pad(ctx_mask, (0, 1))


@pytest.mark.parametrize("branch", BRANCHES, ids=lambda branch: branch and branch.kind)
def test_a_row_behind_the_text_leaves_it_and_its_noise_as_they_are(
    branch: Branch | None, generator: Generator, prompts: Prompts, corpus: Corpus,
    context: StageContext,
) -> None:  # fmt: skip
    """Generation and playback, with fresh noise at every step, bit for bit."""
    sampler = SamplerConfig(num_steps=4, churn=1.0, restarts=1)
    both = (generator, WithRow(generator))
    own = prompts.part(slice(0, 1))
    tracks = [follow_prompt(one, own, sampler, GuidanceConfig(), 1, branch) for one in both]
    written = [
        continue_prompts(
            one, corpus, prompts, context,
            sampler=sampler, guidance=GuidanceConfig(), seed=1, trace=True,
        ).trace
        for one in both
    ]  # fmt: skip
    assert starting_noise(both[1], own, 1).shape[1] == corpus.window + 1
    for plain, other in (tracks, written):
        for name in ("z_t", "z_hat", "token_ids", "margin"):
            np.testing.assert_array_equal(getattr(other, name), getattr(plain, name))


def test_noise_of_a_typed_prompt_belongs_to_what_it_says(smoke: Study, corpus: Corpus) -> None:
    known = open_references(smoke.references_dir)
    texts = ["the cat", known.prompts[3], "a dog"]
    typed = typed_prompts(corpus, texts, known).identities
    assert typed[1] == known.indices[3]
    assert len({*typed, *known.indices}) == len(known.indices) + 2
    assert typed_prompts(corpus, texts[2:], known).identities[0] == typed[2]
    assert typed_prompts(corpus, texts).identities[0] == typed[0]


def test_samples_hardly_depend_on_the_batch_size(
    generator: Generator, prompts: Prompts, corpus: Corpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In float32 the latents agree to rounding, whatever the batch; bf16 rounds more coarsely."""
    states = {}
    for precision in ("float32", "bf16"):
        monkeypatch.setattr(
            "workbench.sample.generator.autocast", lambda place, _, p=precision: autocast(place, p)
        )
        together = last_state(generator, prompts, corpus, slice(0, 8))[0]
        alone = [last_state(generator, prompts, corpus, slice(i, i + 1))[0] for i in range(8)]
        states[precision] = together, torch.cat(alone)
    assert torch.allclose(*states["float32"], rtol=1e-4, atol=1e-4)
    assert torch.allclose(*states["bf16"], rtol=0.1, atol=0.1)


def test_every_batch_size_continues_every_prompt(
    generator: Generator, prompts: Prompts, corpus: Corpus, context: StageContext
) -> None:
    def write(batch_size: int) -> Continuations:
        return continue_prompts(
            generator,
            corpus,
            prompts,
            context,
            sampler=FOUR_STEPS,
            guidance=GuidanceConfig(),
            seed=0,
            batch_size=batch_size,
        )

    for written in (write(1), write(3), write(8)):
        assert written.prompts == prompts.texts
        assert len(written.texts) == len(written.token_ids) == len(written.ended) == 8
        assert written.nfe == 4
        assert written.trace is None
    again = write(8)
    assert again.texts == written.texts


def test_continuations_end_at_the_first_end_of_text(corpus: Corpus) -> None:
    ids = np.array([[5, 6, 7, 0, 8], [5, 6, 7, 8, 9], [5, 0, 7, 8, 9]])
    cut, ended = cut_continuations(ids, np.array([2, 2, 1]), corpus)
    assert [list(part) for part in cut] == [[7], [7, 8, 9], []]
    assert list(ended) == [True, False, True]


def test_a_trace_is_stored_and_reads_back(
    copy_smoke: Callable[..., Study], context: StageContext
) -> None:
    run = copy_smoke().run("repa", 0)
    texts = ["the cat saw", "a red ball was"]
    result = sample_prompts(
        run, texts, context, num_steps=3, guidance_scale=1.0, sampler="heun", trace=True
    )
    (folder,) = (run.directory / "traces").iterdir()
    stored, metadata = read_trajectory(folder / "trajectory.safetensors")
    assert metadata["prompts"] == texts
    assert metadata["continuations"] == result.texts
    window, width = stored.z_t.shape[2:]
    assert stored.z_t.shape == stored.z_hat.shape == (3, 2, window, width)
    assert stored.token_ids.shape == stored.entropy.shape == (3, 2, window)
    assert stored.t[-1] == 1.0
    assert np.all(np.diff(stored.t) > 0)
    assert stored.nfe.tolist() == [2, 4, 5]
    assert np.all(stored.entropy >= 0)
    assert np.all((stored.margin >= 0) & (stored.margin <= 1))
    np.testing.assert_array_equal(stored.z_t, result.trace.z_t.astype(np.float16))
    # What was traced is what was written: the last estimate is the last state.
    last = [ids[cut:] for ids, cut in zip(stored.token_ids[-1], stored.cuts, strict=True)]
    for ids, written in zip(last, result.token_ids, strict=True):
        assert ids[: len(written)].tolist() == written.tolist()


def test_few_prompts_are_written_alone_and_many_in_batches(
    smoke: Study, context: StageContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    noise = continuations.starting_noise

    def counted(generator: Generator, prompts: Prompts, seed: int) -> torch.Tensor:
        sizes.append(len(prompts))
        return noise(generator, prompts, seed)

    monkeypatch.setattr(continuations, "starting_noise", counted)
    monkeypatch.setattr(continuations, "MOST_ALONE", 2)
    run = smoke.run("none", 0)
    sample_prompts(run, ["the cat", "a dog"], context, num_steps=1)
    assert sizes == [1, 1]
    sizes.clear()
    sample_prompts(run, ["the cat", "a dog", "she"], context, num_steps=1)
    assert sizes == [3]


def test_prompts_that_do_not_fit_are_named(corpus: Corpus) -> None:
    with pytest.raises(InputError, match="prompt 2 is empty"):
        typed_prompts(corpus, ["the cat", "  "])
    long = "the cat " * corpus.window
    with pytest.raises(InputError, match=rf"prompt 1 has {2 * corpus.window} tokens"):
        typed_prompts(corpus, [long])
    barely = typed_prompts(corpus, ["the " * (corpus.window - 1)])
    assert barely.cuts[0] == corpus.window - 1


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"num_steps": 0}, "num_steps must be >= 1"),
        ({"guidance_scale": -1.0}, r"guidance_scale must be in \[0"),
        ({"guidance_scale": float("nan")}, r"guidance_scale must be in \[0"),
        ({"sampler": "eulr"}, "euler, heun, multistep"),
    ],
)
def test_settings_out_of_range_are_named(
    options: dict[str, float], named: str, smoke: Study, context: StageContext
) -> None:
    with pytest.raises(ValueError, match=named):
        sample_prompts(smoke.run("none", 0), ["the cat"], context, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("scale", [0.0, 50.0])
def test_odd_settings_have_a_defined_result(
    scale: float, smoke: Study, context: StageContext
) -> None:
    run = smoke.run("none", 0)
    written = sample_prompts(run, ["the cat"], context, num_steps=1, guidance_scale=scale)
    assert written.nfe == (1 if scale == 0.0 else 2)
    assert len(written.texts) == 1


def test_sampling_stops_when_asked(
    generator: Generator, prompts: Prompts, corpus: Corpus, context: StageContext
) -> None:
    stop = StopSignal()
    stop._signalled = True
    options = {"sampler": FOUR_STEPS, "guidance": GuidanceConfig(), "seed": 0}
    with pytest.raises(StopRequested):
        continue_prompts(
            generator,
            corpus,
            prompts,
            dataclasses.replace(context, stop=stop),
            **options,  # type: ignore[arg-type]
        )


@pytest.mark.parametrize(
    "error", [MemoryError(), RuntimeError("CUDA out of memory"), torch.OutOfMemoryError("oom")]
)
def test_batches_halve_until_they_fit(error: Exception) -> None:
    tried: list[int] = []

    def work(rows: slice) -> int:
        tried.append(rows.stop - rows.start)
        if tried[-1] > 2:
            raise error
        return tried[-1]

    done = list(halving_batches(11, 8, work))
    assert tried[:3] == [8, 4, 2]
    assert [row for rows, _ in done for row in range(rows.start, rows.stop)] == list(range(11))
    assert max(size for _, size in done) == 2


def test_a_single_text_that_does_not_fit_ends_the_command() -> None:
    def work(rows: slice) -> None:
        raise MemoryError

    with pytest.raises(ResourceError, match="out of memory with a single text"):
        list(halving_batches(4, 4, work))
    assert ResourceError.exit_code == 4


def test_other_errors_are_not_taken_for_memory() -> None:
    def work(rows: slice) -> None:
        raise RuntimeError("shapes differ")

    with pytest.raises(RuntimeError, match="shapes differ"):
        list(halving_batches(4, 4, work))
