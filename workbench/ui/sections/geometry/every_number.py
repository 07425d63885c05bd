"""Every stored probe result of the selected arms in one table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from workbench.report.number_text import interval_text, number_text
from workbench.report.plain_words import result_words
from workbench.ui.sections.shared.stored_results import Results

if TYPE_CHECKING:
    import pandas as pd

BETTER: Mapping[bool | None, str] = {True: "higher", False: "lower"}


def every_result(results: Mapping[str, Results]) -> pd.DataFrame:
    """A row a stored result: each arm's score and interval, chance, points; or why none."""
    import pandas as pd

    names = list(dict.fromkeys(name for own in results.values() for name in own))
    rows = []
    for name in names:
        known = {arm: own[name] for arm, own in results.items() if name in own}
        first = next(iter(known.values()))
        rows.append(
            {
                "measure": result_words(name),
                **{
                    arm: interval_text({**r, "mean": r["score"]})
                    if r.get("score") is not None
                    else str(r.get("reason") or "not defined")
                    for arm, r in known.items()
                },
                "chance": number_text(first.get("chance")),
                "better": BETTER.get(first.get("higher_is_better")),
                "n": first.get("n"),
                "code name": name,
            }
        )
    return pd.DataFrame(rows)
