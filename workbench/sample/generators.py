"""Continuations by a generator of any family, its steps on request, and its sampling stage."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from workbench.machine.context import StageContext, stage_fingerprint
from workbench.machine.memory import halving_batches
from workbench.machine.seeds import step_generator
from workbench.sample.continuations import MOST_ALONE, cut_continuations
from workbench.sample.continued import Continuations
from workbench.sample.held_out import samples_frame, scale_name
from workbench.sample.prompts import Prompts, held_out_prompts, typed_prompts
from workbench.sample.references import open_references
from workbench.store.atomic import publish
from workbench.store.manifest import is_complete
from workbench.train.generators import generator_fingerprint, load_trained

if TYPE_CHECKING:
    from data.corpus_store import Corpus
    from models.generators.writing import WritingStep
    from workbench.study.generators import GeneratorRun


@dataclass(frozen=True, kw_only=True, slots=True)
class WritingTrace:
    """S moments of B prompts that a generator continued; the last moment holds the texts.

    Attributes:
        t: (S,) share of the way.
        nfe: (S,) network evaluations up to each moment.
        token_ids: (S, B, L) int64: what is written, and the present guess where nothing is.
        written: (S, B, L) bool, True where a token will not change any more.
        entropy: (S, B, L) float32 nats; NaN in prompts and where nothing is predicted yet.
        cuts: (B,) context tokens.
    """

    t: np.ndarray
    nfe: np.ndarray
    token_ids: np.ndarray
    written: np.ndarray
    entropy: np.ndarray
    cuts: np.ndarray


def write_texts(
    model: Any,
    corpus: Corpus,
    prompts: Prompts,
    context: StageContext,
    *,
    sampling: Any,
    seed: int,
    batch_size: int = 64,
    trace: bool = False,
    stage: str = "sampling",
    given: np.ndarray | None = None,
    end_given: bool = True,
    control: Any = None,
) -> tuple[Continuations, WritingTrace | None]:
    """Continue every prompt; but for rounding, a text does not depend on the others in its batch.

    Args:
        model: a trained network.
        corpus: its tokeniser and window are used.
        prompts: the prompts to continue.
        context: device, reporter and stop signal.
        sampling: the family's settings of writing.
        seed: of the random numbers, with each prompt's identity.
        batch_size: prompts per batch; halved when memory runs out.
        trace: keep every step.
        stage: name shown with the progress.
        given: (N, window) bool, tokens of the prompts that stay; None = those before the cuts.
        end_given: with `given`, where a text ends is given too; False = it is written.
        control: a `Control` towards a label; None = free.
    """
    start = time.monotonic()
    device, cpu = context.place.device, torch.device("cpu")

    def one(rows: slice) -> tuple[Tensor, list[WritingStep], int]:
        batch = prompts.batch(rows).to(device)
        generators = [
            step_generator(cpu, seed, "write", int(identity))
            for identity in prompts.identities[rows]
        ]
        seen, last = [], None
        options = (sampling, generators)
        if control is not None:
            steps = model.controlled(batch.token_ids, batch.cuts, *options, control)
        elif given is not None:
            stays = torch.from_numpy(given[rows]).to(device)
            steps = model.infill(batch.token_ids, stays, *options)
        else:
            steps = model.write(batch.token_ids, batch.cuts, *options)
        for last in steps:
            context.stop.check(stage)
            if trace:
                seen.append(last)
        assert last is not None
        return last.token_ids.cpu(), seen, last.nfe

    tokens, seen, nfe = [], [], 0
    for rows, (token_ids, steps, evaluations) in halving_batches(len(prompts), batch_size, one):
        tokens.append(token_ids)
        seen.append(steps)
        nfe = max(nfe, evaluations)
        context.reporter.update(stage, rows.stop, len(prompts), {})
    ids = torch.cat(tokens).numpy()
    continuations, ended = cut_continuations(ids, prompts.cuts, corpus)
    if given is not None and end_given:  # end-of-text within a gap is nothing
        behind = [row[cut:] for row, cut in zip(ids, prompts.cuts, strict=True)]
        continuations = [row[row != corpus.tokenizer.eot_id] for row in behind]
    written = Continuations(
        prompts=prompts.texts,
        texts=[corpus.tokenizer.decode(ids) for ids in continuations],
        token_ids=continuations,
        ended=ended,
        nfe=nfe,
        seconds=time.monotonic() - start,
        trace=None,
    )
    return written, _trace(seen, prompts.cuts) if trace else None


def _trace(batches: Sequence[Sequence[WritingStep]], cuts: np.ndarray) -> WritingTrace:
    """The steps of several batches; a batch that ended earlier stays as it was."""
    longest = max(batches, key=len)
    filled = [[*steps, *[steps[-1]] * (len(longest) - len(steps))] for steps in batches]

    def joined(name: str) -> np.ndarray:
        parts = [torch.stack([getattr(step, name) for step in steps]) for steps in filled]
        return torch.cat(parts, dim=1).cpu().numpy()

    return WritingTrace(
        t=np.array([step.t for step in longest]),
        nfe=np.array([step.nfe for step in longest]),
        token_ids=joined("token_ids"),
        written=joined("written"),
        entropy=joined("entropy"),
        cuts=cuts,
    )


def store_writing(path: Path, trace: WritingTrace, written: Continuations) -> None:
    """Write a trace as safetensors, its texts as JSON metadata."""
    from safetensors.numpy import save_file

    arrays = {
        "t": trace.t,
        "nfe": trace.nfe.astype(np.int64),
        "token_ids": np.ascontiguousarray(trace.token_ids, np.int32),
        "written": np.ascontiguousarray(trace.written, np.uint8),
        "entropy": np.ascontiguousarray(trace.entropy, np.float32),
        "cuts": np.asarray(trace.cuts, np.int64),
    }
    texts = {"prompts": written.prompts, "continuations": written.texts}
    save_file(arrays, path, metadata={name: json.dumps(found) for name, found in texts.items()})


def writing_fingerprint(run: GeneratorRun) -> str:
    """Fingerprint of the sampling stage."""
    base = run.study.config.base
    return stage_fingerprint(
        generator_fingerprint(run),
        run.config.sampling,
        base.sampling.num_prompts,
        base.sampling.num_traces,
        base.evaluation.encoder,
    )


def sample_generator(run: GeneratorRun, context: StageContext) -> str:
    """Continue the study's held-out prompts; done once per seed.

    Returns:
        The stage's fingerprint.
    """
    print_ = writing_fingerprint(run)
    if is_complete(run.samples_dir, print_) and is_complete(run.trajectories_dir, print_):
        return print_
    corpus, base = run.study.corpus, run.study.config.base.sampling
    model = load_trained(run, context.place)
    known = open_references(run.study.references_dir)
    prompts = held_out_prompts(corpus, known.indices, known.cuts, known.prompts, joint=False)
    count = min(base.num_traces, len(prompts))
    options: dict[str, Any] = {
        "sampling": run.config.sampling, "seed": run.seed, "batch_size": base.batch_size
    }  # fmt: skip
    name = scale_name(run.config.guidance_scale)
    with (
        publish(run.trajectories_dir, meta={"fingerprint": print_}) as traces,
        publish(run.samples_dir, meta={"fingerprint": print_}) as samples,
    ):
        parts = []
        if count:
            traced = prompts.part(slice(0, count))
            first, trace = write_texts(
                model, corpus, traced, context, trace=True, stage="trace", **options
            )
            assert trace is not None
            store_writing(traces / f"{name}.safetensors", trace, first)
            parts.append(first)
        if count < len(prompts):
            others = prompts.part(slice(count, len(prompts)))
            parts.append(write_texts(model, corpus, others, context, **options)[0])
        frame = samples_frame(_joined(parts), known)
        frame.to_parquet(samples / f"{name}.parquet", index=False)
    return print_


def _joined(parts: Sequence[Continuations]) -> Continuations:
    """Continuations of several groups of prompts, in order."""
    return Continuations(
        prompts=[text for part in parts for text in part.prompts],
        texts=[text for part in parts for text in part.texts],
        token_ids=[ids for part in parts for ids in part.token_ids],
        ended=np.concatenate([part.ended for part in parts]),
        nfe=max(part.nfe for part in parts),
        seconds=sum(part.seconds for part in parts),
        trace=None,
    )


def continue_texts(
    run: GeneratorRun,
    texts: list[str],
    context: StageContext,
    *,
    seed: int = 0,
    trace: bool = False,
    **options: Any,
) -> Continuations:
    """Continue a user's prompts with a trained generator; with `trace`, store every step.

    As with arms, up to `MOST_ALONE` prompts run one at a time, so that not even the rounding of a
    text depends on the others.

    Args:
        run: the generator.
        texts: prompts.
        context: device, reporter and stop signal.
        seed: of the random numbers.
        trace: store the steps under `traces` in the generator's folder.
        options: settings of writing by name; None takes the generator's own.

    Raises:
        ValueError: a prompt does not fit, or a setting is unknown or out of range.
        InputError: the generator is not trained yet.
    """
    sampling = run.config.writing(**options)
    corpus, references = run.study.corpus, run.study.references_dir
    asked_before = (references / "prompts.parquet").is_file()
    prompts = typed_prompts(corpus, texts, open_references(references) if asked_before else None)
    model = load_trained(run, context.place)
    written, steps = write_texts(
        model,
        corpus,
        prompts,
        context,
        sampling=sampling,
        seed=seed,
        batch_size=1 if len(texts) <= MOST_ALONE else run.study.config.base.sampling.batch_size,
        trace=trace,
    )
    if steps is not None:
        stamp = time.strftime("%Y%m%d-%H%M%S")
        directory = run.directory / "traces" / f"{stamp}-seed-{seed}"
        with publish(directory, meta={"kind": "trace"}) as folder:
            store_writing(folder / "trajectory.safetensors", steps, written)
    return written
