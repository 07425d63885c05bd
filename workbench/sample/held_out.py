"""The sampling stage of a run: one continuation per held-out prompt, stored with its cost."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.errors import InputError
from workbench.machine.context import StageContext, stage_fingerprint
from workbench.sample.continuations import continue_prompts
from workbench.sample.continued import Continuations
from workbench.sample.outside import open_generator
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


def sample_run(run: Run, context: StageContext, adapter: Adapter | None = None) -> str:
    """Continue the held-out prompts at every guidance scale; done once per run.

    Args:
        run: a trained run, or an arm that an adapter encoded.
        context: device, reporter and stop signal.
        adapter: the arm's own. Nothing is traced then: its latents are not those of the map.

    Returns:
        The stage's fingerprint.

    Raises:
        InputError: the run is not trained, or its adapter is missing or cannot generate.
    """
    corpus = run.study.corpus
    print_ = sampling_fingerprint(run)
    folders = [run.samples_dir] if run.imported else [run.samples_dir, run.trajectories_dir]
    if all(is_complete(folder, print_) for folder in folders):
        return print_
    if run.imported is not None and adapter is None:
        raise InputError(
            f"{run.name}: no samples; run `sample RUN --held-out --adapter FILE`, if its "
            "adapter generates"
        )
    sampling = run.config.sampling
    generator = open_generator(run, context.place, adapter)
    references = open_references(run.study.references_dir)
    prompts = held_out_prompts(
        corpus,
        references.indices,
        references.cuts,
        references.prompts,
        joint=run.config.context.joint,
    )
    traced = first_prompts(prompts, sampling.num_traces)
    with ExitStack() as stack:
        *traces, samples = (
            stack.enter_context(publish(folder, meta={"fingerprint": print_}))
            for folder in reversed(folders)
        )
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
            for folder in traces if len(traced) else ():
                trace = continue_prompts(
                    generator, corpus, traced, context, stage=f"trace {name}", trace=True, **options
                )
                _store(folder / f"{name}.safetensors", trace, scale)
    return print_


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
