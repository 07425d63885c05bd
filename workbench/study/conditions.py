"""What a score of writing depends on beside the autoencoder; only like studies are ranked together.

A judge's nats are its own, a longer training writes better with any autoencoder, and texts of one
corpus are harder than those of another.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from data.corpus_writer import DESCRIPTION
from workbench.config import settings
from workbench.config.sampling import SamplingConfig
from workbench.store.json_files import read_json

if TYPE_CHECKING:
    from collections.abc import Collection

    from workbench.study.folders import Study

# What decides the score of a given text.
JUDGED_BY = ("corpus", "seed", "language_model", "language_model_training", "evaluation.encoder")


def writing_conditions(study: Study) -> dict[str, Any]:
    """Texts, prompts, judge, embedder, flow and sampler that a study's arms share.

    An arm may depart from them, which is then what it declares.
    """
    base = study.config.base
    sampling = replace(base.sampling, num_traces=SamplingConfig().num_traces)
    description = study.corpus_dir / DESCRIPTION
    texts = read_json(description)["content_hash"] if description.is_file() else base.corpus
    return {
        "corpus": settings.to_dict(texts),
        "seed": base.seed,
        "context": settings.to_dict(base.context),
        "dit": settings.to_dict(base.dit),
        "flow": settings.to_dict(base.flow),
        "flow_training": base.flow_training.identity,
        "sampling": settings.to_dict(sampling),
        "language_model": settings.to_dict(base.language_model),
        "language_model_training": base.language_model_training.identity,
        "evaluation.encoder": base.evaluation.encoder,
    }


def differing_conditions(
    study: Study, other: Study, only: Collection[str] | None = None
) -> list[str]:
    """Dotted keys in which the conditions of two studies differ; empty if they rank together.

    Args:
        study: one.
        other: another.
        only: parts to look at, such as `JUDGED_BY`; None is all.
    """
    mine, its = (
        {key: value for key, value in writing_conditions(one).items() if not only or key in only}
        for one in (study, other)
    )
    return [difference.key for difference in settings.differences(mine, its)]
