"""The first held-out prompts of a study, and each arm's continuations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from workbench.sample.held_out import read_samples, scale_name
from workbench.sample.references import open_references
from workbench.study.folders import Study
from workbench.study.generators import GeneratorRun


@dataclass(frozen=True, kw_only=True, slots=True)
class FirstText:
    """A prompt, what a human wrote next, and what each arm and generator wrote, first seed."""

    prompt: str
    reference: str
    written: Mapping[str, str]


def sample_files(study: Study) -> dict[str, Path]:
    """Arm or generator -> its texts under the first seed, at the headline guidance scale."""
    config, seed = study.config, study.config.seeds[0]
    scale = scale_name(config.base.sampling.guidance_scales[0])
    files = {arm: study.run(arm, seed).samples_dir / f"{scale}.parquet" for arm in config.arms}
    for name in config.generators:
        run = GeneratorRun(study, name, seed)
        files[name] = run.samples_dir / f"{scale_name(run.config.guidance_scale)}.parquet"
    return files


def first_texts(study: Study, count: int) -> list[FirstText]:
    """The first prompts in the study's order (none is selected), at the headline guidance scale."""
    written = {name: read_samples(file)[0] for name, file in sample_files(study).items()}
    known = open_references(study.references_dir)
    return [
        FirstText(
            prompt=known.prompts[row],
            reference=known.continuations[row],
            written={arm: texts[row] for arm, texts in written.items()},
        )
        for row in range(min(count, len(known.prompts)))
    ]
