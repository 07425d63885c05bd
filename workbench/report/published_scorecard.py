"""The scorecard that ships with the documentation, for whoever has too few runs for one.

`docs/evidence/scorecard.json` is what `workbench scorecard` wrote; docs/evidence/scorecard.md reads
it, and `scorecard_runs.parquet` beside it holds every number of the runs behind it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.report.complement_rows import read_complements
from workbench.store.json_files import read_json

if TYPE_CHECKING:
    from analyses.scorecard.complements import Complements
    from analyses.scorecard.row import ScorecardRow

PUBLISHED = Path(__file__).parents[2] / "docs" / "evidence" / "scorecard.json"


@dataclass(frozen=True, slots=True)
class PublishedScorecard:
    """Rows by score, what probes add to each other, over how many autoencoders, runs and seeds."""

    rows: Sequence[ScorecardRow]
    num_arms: int
    num_runs: int
    num_seeds: int
    complements: Mapping[str, Complements]

    def of(self, score: str) -> list[ScorecardRow]:
        """The rows of one score."""
        return [row for row in self.rows if row.score == score]


def read_scorecard(file: Path) -> PublishedScorecard:
    """Read what `scorecard` wrote.

    Raises:
        KeyError, TypeError: it is not such a file.
        InputError: it is missing or no JSON.
    """
    document = read_json(file)
    return PublishedScorecard(
        [_row(body) for body in document["rows"]],
        num_arms=len(document["arms"]),
        num_runs=int(document["runs"]),
        num_seeds=len(document["seeds"]),
        complements={body["score"]: read_complements(body) for body in document["complements"]},
    )


def _row(body: Mapping[str, Any]) -> ScorecardRow:
    from analyses.scorecard.row import Estimate, ScorecardRow

    estimates = {f.name for f in fields(ScorecardRow) if isinstance(f.default, Estimate)}
    values: dict[str, Any] = {
        key: Estimate(**value) if key in estimates else value for key, value in body.items()
    }
    return ScorecardRow(**values)
