"""Where a kept number comes from, by kind: its fields, and how it is recomputed.

Almost all numbers are recomputed. A few that take minutes (MAUVE, probes that are not part of
every study) are read as stored and marked so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from workbench.report.findings import arms, courses, places

if TYPE_CHECKING:
    from workbench.report.findings.ground import Ground, Measured

LONGEST_TEXT, MOST_NAMES = 400, 200
ROUNDING, NETWORK_ROUNDING = 1e-6, 1e-4  # of float64 tables; of float32 networks


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """A kind of number.

    Attributes:
        fields: name -> type of each field that it needs.
        measure: computes the number from the study as it is now.
        tolerance: relative difference that another machine's rounding may cause.
    """

    fields: Mapping[str, type]
    measure: Callable[[Ground, Mapping[str, Any]], Measured]
    tolerance: float = ROUNDING


_SPACES = {"level": str, "arms": list, "seed": int}
SOURCES: Mapping[str, Source] = {
    "arm": Source(fields={"arm": str, "metric": str}, measure=arms.arm_metric),
    "contrast": Source(fields={"a": str, "b": str, "metric": str}, measure=arms.contrast),
    "text": Source(
        fields={"arm": str, "seed": int, "metric": str, "row": int}, measure=arms.text_score
    ),
    "probe": Source(fields={"arm": str, "seed": int, "result": str}, measure=arms.probe_result),
    "foretelling": Source(
        fields={"score": str, "predictor": str, "studies": list}, measure=arms.foretelling
    ),
    "rank_correlation": Source(
        fields={"score": str, "studies": list}, measure=arms.rank_correlation
    ),
    "course": Source(
        fields={"arm": str, "seed": int, "stage": str, "step": int, "measure": str},
        measure=courses.course,
    ),
    "onset": Source(fields={"a": str, "b": str, "label": str}, measure=courses.onset),
    "trust": Source(
        fields={**_SPACES, "method": str, "space": str},
        measure=places.trust,
        tolerance=NETWORK_ROUNDING,
    ),
    "displacement": Source(
        fields={**_SPACES, "row": int}, measure=places.displaced, tolerance=NETWORK_ROUNDING
    ),
    "neighbour": Source(
        fields={
            **_SPACES, "space": str, "row": int, "typed": str, "count": int, "rank": int,
            "other_words": bool, "what": str,
        },
        measure=places.neighbour,
        tolerance=NETWORK_ROUNDING,
    ),
    "playback": Source(
        fields={
            "arm": str, "seed": int, "row": int, "typed": str, "sampler": str, "num_steps": int,
            "guidance_scale": float, "noise": int, "what": str,
        },
        measure=places.playback,
        tolerance=NETWORK_ROUNDING,
    ),
}  # fmt: skip


def check_source(source: Mapping[str, Any]) -> None:
    """Refuse a source whose fields are not exactly those of its kind.

    Raises:
        ValueError: the kind is unknown, or a field is missing, unknown, or of the wrong type.
    """
    kind = source.get("kind")
    if not isinstance(kind, str) or kind not in SOURCES:
        raise ValueError(f"source.kind must be one of {', '.join(SOURCES)}, got {str(kind)[:40]!r}")
    fields = SOURCES[kind].fields
    if set(source) != {"kind", *fields}:
        raise ValueError(f"a source of kind {kind} has kind, {', '.join(fields)}")
    for name, wanted in fields.items():
        if not _fits(source[name], wanted):
            raise ValueError(f"source.{name} of kind {kind} must be a {wanted.__name__} in bounds")


def _fits(value: Any, wanted: type) -> bool:
    if wanted is str:
        return isinstance(value, str) and len(value) <= LONGEST_TEXT and value.isprintable()
    if wanted is list:
        return (
            isinstance(value, list | tuple)
            and len(value) <= MOST_NAMES
            and all(_fits(name, str) for name in value)
        )
    if wanted is bool:
        return isinstance(value, bool)
    number = isinstance(value, int | float if wanted is float else int)
    return number and not isinstance(value, bool) and abs(value) < 1e9
