"""The slider of classifier-free guidance, which pages that sample share."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from streamlit.delta_generator import DeltaGenerator

    from workbench.config.sampling import SamplingConfig

LARGEST, APART = 8.0, 0.25


def guidance_slider(place: DeltaGenerator, sampling: SamplingConfig) -> float:
    """How strongly the prompt is followed; starts at the study's own scale, and is in the address.

    Args:
        place: the column to draw in.
        sampling: of the study.
    """
    hint = "How strongly the text follows its prompt; 0 ignores it. Above 1 every step costs two."
    if sampling.internal_scale != 1:
        hint += f" Internal guidance, which costs none, stays at {sampling.internal_scale:g}."
    return float(place.slider(
        "Guidance (1 = off)", 0.0, LARGEST, float(sampling.guidance_scales[0]), APART,
        key="guidance", bind="query-params", help=hint,
    ))  # fmt: skip
