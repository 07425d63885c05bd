"""What the strongest probes add to each other, as text and read back from a stored scorecard."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from workbench.report.number_text import MISSING

if TYPE_CHECKING:
    from analyses.scorecard.complements import Complements
    from analyses.scorecard.row import Estimate

TOGETHER, GAIN = "all, by the sum of their ranks", "what that gains over the first"


def complement_rows(found: Complements, words: Callable[[str], str] = str) -> list[dict[str, str]]:
    """A row per measure: its Spearman alone, then given each other one; then all together.

    Empty where too few measures or arms are there for one.

    Args:
        found: what the strongest measures add to each other.
        words: how a measure is called.
    """
    if found.together.value is None:
        return []
    columns = {name: f"given {place}" for place, name in enumerate(found.predictors, 1)}
    rows = []
    for place, name in enumerate(found.predictors, 1):
        given = {
            column: _text(found.partial[name][other]) if other != name else MISSING
            for other, column in columns.items()
        }
        rows.append(
            {"measure": f"{place} {words(name)}", "alone": _text(found.alone[name])} | given
        )
    empty = dict.fromkeys(columns.values(), MISSING)
    rows.append({"measure": TOGETHER, "alone": _text(found.together)} | empty)
    rows.append({"measure": GAIN, "alone": _text(found.gain)} | empty)
    return rows


def read_complements(body: Mapping[str, Any]) -> Complements:
    """What `scorecard` stored of one score.

    Raises:
        KeyError, TypeError: it is not such an entry.
    """
    from analyses.scorecard.complements import Complements
    from analyses.scorecard.row import Estimate

    return Complements(
        score=body["score"],
        predictors=tuple(body["predictors"]),
        num_runs=body["num_runs"],
        num_arms=body["num_arms"],
        alone={name: Estimate(**value) for name, value in body["alone"].items()},
        partial={
            name: {other: Estimate(**value) for other, value in given.items()}
            for name, given in body["partial"].items()
        },
        together=Estimate(**body["together"]),
        gain=Estimate(**body["gain"]),
    )


def _text(estimate: Estimate) -> str:
    if estimate.value is None:
        return MISSING
    interval = "" if estimate.low is None else f" [{estimate.low:.2f}, {estimate.high:.2f}]"
    return f"{estimate.value:.2f}{interval}"
