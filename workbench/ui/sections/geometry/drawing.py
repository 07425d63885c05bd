"""What sections of the page Geometry draw with: stored results as curves and as dots."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from analyses.figures.arm_curves import Curve, curves_figure, dots_figure
from workbench.report.plain_words import result_words
from workbench.ui.kit.exhibits import show_figure
from workbench.ui.kit.kept_figure import kept_figure
from workbench.ui.kit.selection import Selection
from workbench.ui.kit.theme import theme
from workbench.ui.sections.shared.stored_results import Results, family


@dataclass(frozen=True)
class ProbedArms:
    """The selection and each arm's stored results."""

    selection: Selection
    results: Mapping[str, Results]

    def detail(self, name: str, key: str) -> dict[str, Any]:
        """arm -> an entry of a result's detail, where it is stored."""
        found = {
            arm: own.get(name, {}).get("detail", {}).get(key) for arm, own in self.results.items()
        }
        return {arm: value for arm, value in found.items() if value is not None}

    def curves(self, curves: Mapping[str, Curve], name: str, caption: str, **options: Any) -> None:
        """Draw a curve an arm."""
        figure = kept_figure(
            curves_figure, curves, arms=self.selection.all_arms, theme=theme(), **options
        )
        show_figure(figure, name, caption=caption)

    def dots(
        self, prefixes: tuple[str, ...], name: str, x: str, caption: str, *, without: str = ""
    ) -> None:
        """Draw the scores whose names begin so, with their chance; nothing if none is stored.

        Args:
            prefixes: of the scores.
            name: of the figure.
            x: axis title with its unit.
            caption: what to look at.
            without: a score that is left out, for it has a figure of its own.
        """
        found = {
            arm: {
                result_words(n): r
                for prefix in prefixes
                for n, r in _named(own, prefix).items()
                if n != without
            }
            for arm, own in self.results.items()
        }
        known = next((own for own in found.values() if own), None)
        if known is None:
            return
        figure = kept_figure(
            dots_figure,
            found,
            arms=self.selection.all_arms,
            x=x,
            marks={"chance": {n: r.get("chance") for n, r in known.items()}},
            theme=theme(),
        )
        show_figure(figure, name, caption=caption)


def _named(results: Results, prefix: str) -> dict[str, Mapping[str, Any]]:
    return {prefix + name: result for name, result in family(results, prefix).items()}
