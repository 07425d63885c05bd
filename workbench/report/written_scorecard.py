"""A scorecard as `workbench scorecard --markdown` wrote it, read back from its document.

`docs/evidence/scorecard.md` keeps the one over sixteen autoencoders, whose runs are not stored.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, cast

from workbench.report.number_text import MISSING

if TYPE_CHECKING:
    from analyses.scorecard.row import Foretelling, ScorecardRow

SIXTEEN = Path(__file__).parents[2] / "docs" / "evidence" / "scorecard.md"
_HEADING = re.compile(r"## (generation\.\S+)")
_GIVEN = r"(-?[\d.]+)"
_INTERVAL = re.compile(rf"{_GIVEN}(?: \[(\S+), (\S+)\])?")
BASELINE = " (baseline)"
UNKNOWN = (MISSING, "- [-, -]")  # the second as documents from before have it
NOTHING = (None, MISSING, "-")
_CELLS = 9


def written_rows(file: Path) -> list[ScorecardRow]:
    """Every row of the document that has numbers, to the two decimals that it keeps.

    Raises:
        ValueError: a row of a score's table has another number of cells, or is no number.
    """
    rows, score = [], ""
    for line in file.read_text(encoding="utf-8").splitlines():
        if line.startswith("#"):
            found = _HEADING.fullmatch(line.strip())
            score = found.group(1) if found else ""
        elif score and line.startswith("| ") and not line.startswith(("| predictor", "| ---")):
            cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
            if len(cells) != _CELLS:
                raise ValueError(f"{file}: {len(cells)} cells, expected {_CELLS}: {line!r}")
            if cells[1] not in UNKNOWN:
                rows.append(_row(score, cells))
    return rows


def _row(score: str, cells: list[str]) -> ScorecardRow:
    from analyses.scorecard.row import Estimate, ScorecardRow

    parts = _INTERVAL.fullmatch(cells[1])
    if parts is None:
        raise ValueError(f"{cells[0]}: not a number with its interval: {cells[1]!r}")
    value, low, high = (_number(part) for part in parts.groups())
    kendall, partial, top_k, regret = (Estimate(value=_number(cell)) for cell in cells[2:6])
    return ScorecardRow(
        predictor=cells[0].removesuffix(BASELINE),
        score=score,
        is_baseline=cells[0].endswith(BASELINE),
        num_runs=0,
        num_arms=int(cells[7]),
        spearman=Estimate(value=value, low=low, high=high),
        kendall=kendall,
        partial=partial,
        top_k_overlap=top_k,
        regret=regret,
        adjusted_p=_number(cells[6]),
        verdict=cast("Foretelling", cells[8]),
    )


def _number(text: str | None) -> float | None:
    return None if text in NOTHING else float(text)
