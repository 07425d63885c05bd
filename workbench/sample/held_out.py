"""The sampling stage of a run: one continuation per held-out prompt, stored with its cost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.errors import InputError
from workbench.machine.context import StageContext, stage_fingerprint
from workbench.sample.continuations import continue_prompts
from workbench.sample.continued import Continuations
from workbench.sample.generator import load_generator
from workbench.sample.outside import continue_outside
from workbench.sample.prompts import Prompts, held_out_prompts
from workbench.sample.references import References, open_references
from workbench.sample.trajectories import write_trajectory
from workbench.store.atomic import publish
from workbench.store.manifest import is_complete
from workbench.train.flow import flow_fingerprint
from workbench.train.latents import latents_fingerprint

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

    from workbench.study.folders import Run
    from workbench.train.adapters import Adapter


def sampling_fingerprint(run: Run) -> str:
    """Fingerprint of the sampling stage."""
    if run.imported is not None:
        return stage_fingerprint(
            "adapter", latents_fingerprint(run), run.imported.get("provenance"),
            run.config.sampling, run.study.config.base.evaluation.encoder,
        )  # fmt: skip
    return stage_fingerprint(
        flow_fingerprint(run), run.config.sampling, run.study.config.base.evaluation.encoder
    )


def scale_name(guidance_scale: float) -> str:
    """File stem of one guidance scale: `g1`, `g2.5`."""
    return f"g{guidance_scale:g}"


def sample_run(run: Run, context: StageContext) -> str:
    """Continue the held-out prompts at every guidance scale; done once per run.

    Returns:
        The stage's fingerprint.
    """
    corpus = run.study.corpus
    print_ = sampling_fingerprint(run)
    if run.imported is not None:
        if not is_complete(run.samples_dir, print_):
            raise InputError(
                f"{run.name}: no samples; run `sample RUN --held-out --adapter FILE`, if its "
                "adapter generates"
            )
        return print_
    if is_complete(run.samples_dir, print_) and is_complete(run.trajectories_dir, print_):
        return print_
    sampling = run.config.sampling
    generator = load_generator(run, context.place)
    references = open_references(run.study.references_dir)
    prompts = held_out_prompts(
        corpus,
        references.indices,
        references.cuts,
        references.prompts,
        joint=run.config.context.joint,
    )
    traced = first_prompts(prompts, sampling.num_traces)
    with (
        publish(run.trajectories_dir, meta={"fingerprint": print_}) as traces,
        publish(run.samples_dir, meta={"fingerprint": print_}) as samples,
    ):
        for scale in sampling.guidance_scales:
            name = scale_name(scale)
            options: dict[str, Any] = {
                "sampler": sampling.sampler,
                "guidance": sampling.guidance(scale),
                "seed": run.seed,
                "batch_size": sampling.batch_size,
            }
            written = continue_prompts(
                generator, corpus, prompts, context, stage=f"sampling {name}", **options
            )
            samples_frame(written, references).to_parquet(samples / f"{name}.parquet", index=False)
            if len(traced):
                trace = continue_prompts(
                    generator, corpus, traced, context, stage=f"trace {name}", trace=True, **options
                )
                _store(traces / f"{name}.safetensors", trace, scale)
    return print_


def sample_outside(run: Run, adapter: Adapter, context: StageContext) -> None:
    """Continue the held-out prompts with the adapter's generator, and store what is written."""
    sampling, known = run.config.sampling, open_references(run.study.references_dir)
    prompts = held_out_prompts(
        run.study.corpus, known.indices, known.cuts, known.prompts, joint=False
    )
    with publish(run.samples_dir, meta={"fingerprint": sampling_fingerprint(run)}) as folder:
        for scale in sampling.guidance_scales:
            name = scale_name(scale)
            written = continue_outside(
                adapter, run, prompts, context, sampler=sampling.sampler,
                guidance=sampling.guidance(scale), seed=run.seed, batch_size=sampling.batch_size,
                stage=f"sampling {name}",
            )  # fmt: skip
            samples_frame(written, known).to_parquet(folder / f"{name}.parquet", index=False)


def _store(path: Path, traced: Continuations, scale: float) -> None:
    assert traced.trace is not None
    write_trajectory(path, traced.trace, traced.prompts, traced.texts, scale)


def first_prompts(prompts: Prompts, count: int) -> Prompts:
    """The first `count` prompts, with the same identities and so the same noise."""
    return prompts.part(slice(0, count))


def samples_frame(written: Continuations, references: References) -> pd.DataFrame:
    """One row per prompt: prompt, human and generated continuation, tokens, length, cost."""
    import pandas as pd

    return pd.DataFrame(
        {
            "index": references.indices,
            "prompt": references.prompts,
            "reference": references.continuations,
            "continuation": written.texts,
            "token_ids": [ids.tolist() for ids in written.token_ids],
            "num_tokens": [len(ids) for ids in written.token_ids],
            "ended": written.ended,
            "nfe": written.nfe,
            "seconds": written.seconds / max(1, len(written.texts)),
        }
    )


def read_samples(path: Path) -> tuple[list[str], list[np.ndarray], np.ndarray]:
    """Texts, token ids and ended flags of a samples file."""
    import pandas as pd

    frame = pd.read_parquet(path)
    tokens = [np.asarray(ids, np.int64) for ids in frame["token_ids"]]
    return frame["continuation"].tolist(), tokens, frame["ended"].to_numpy(bool)
