"""The first held-out prompts of a study, and each arm's continuations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from workbench.sample.held_out import read_samples, scale_name
from workbench.sample.references import open_references
from workbench.study.folders import Study


@dataclass(frozen=True, kw_only=True, slots=True)
class FirstText:
    """A prompt, what a human wrote next, and arm -> what it wrote under the first seed."""

    prompt: str
    reference: str
    written: Mapping[str, str]


def first_texts(study: Study, count: int) -> list[FirstText]:
    """The first prompts in the study's order (none is selected), at the headline guidance scale."""
    config = study.config
    scale = scale_name(config.base.sampling.guidance_scales[0])
    written = {
        arm: read_samples(study.run(arm, config.seeds[0]).samples_dir / f"{scale}.parquet")[0]
        for arm in config.arms
    }
    known = open_references(study.references_dir)
    return [
        FirstText(
            prompt=known.prompts[row],
            reference=known.continuations[row],
            written={arm: texts[row] for arm, texts in written.items()},
        )
        for row in range(min(count, len(known.prompts)))
    ]
