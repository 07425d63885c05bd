"""The maps of both arms and the teacher, and what is chosen in them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from analyses.figures.linked_maps import Colouring
from workbench.report.plain_words import class_words
from workbench.ui.kit.opened_finding import replayed_rows
from workbench.ui.map.component import show_map
from workbench.ui.map.view import MapView
from workbench.ui.sections.latent_map.denoising_paths import paths_of
from workbench.ui.sections.latent_map.map_choice import MOVED, TRUST
from workbench.ui.sections.shared.typical_example import typical_word

if TYPE_CHECKING:
    from workbench.ui.kit.selection import Selection
    from workbench.ui.sections.latent_map.map_choice import MapChoice
    from workbench.ui.sections.latent_map.stored_maps import Maps


CAPTION = (
    "The same words (or texts) in each arm's space and in the teacher's. *Trust*: how far "
    "neighbours on the map are neighbours in the space, 1 = all; *alike*: share of neighbours "
    "in the space, of other words, that have the same colour. Neighbours of a clicked dot are "
    "those of the space, by cosine, without the same word. Axes have no unit."
)


def show_maps(selection: Selection, choice: MapChoice, maps: Maps) -> list[int]:
    """Draw every space; returns the rows that are chosen by lasso, search or a finding."""
    items, is_words = choice.items, choice.level == "tokens"
    typical = typical_word(selection, items) if is_words else None
    view = MapView(
        key=f"{choice.key}-{choice.method}",
        items=items,
        coords=maps.coords,
        titles=_titles(choice, maps),
        colouring=_colouring(choice, maps),
        hint="find a word" if is_words else "find part of a text",
        file=f"map-{choice.level}",
        # Only a linear map places what it was not made of.
        paths=paths_of(selection, choice, maps) if is_words and choice.method == "pca" else {},
        first=typical.row if typical else 0,
        other_words=is_words,
    )
    return show_map(
        view, CAPTION, replayed=replayed_rows(selection, choice.level, len(items.names))
    )


def _colouring(choice: MapChoice, maps: Maps) -> Colouring:
    if choice.colour == TRUST:
        return Colouring(name="trustworthiness", values=maps.trust)
    if choice.colour == MOVED and choice.moved is not None:
        return Colouring(name="displacement", values=dict.fromkeys(maps.coords, choice.moved))
    codes, classes = choice.items.labels[choice.colour]
    words = [class_words(choice.colour, name) for name in classes]
    return Colouring(name=choice.colour, codes=codes, classes=words)


def _titles(choice: MapChoice, maps: Maps) -> dict[str, str]:
    """Each space with its trust, and how far its neighbours share the colour."""
    titles = {}
    for space in maps.coords:
        trust, alike = maps.mean_trust[space], choice.alike.get(space)
        known = [] if trust is None else [f"trust {trust:.2f}"]
        known += [] if alike is None else [f"alike {alike:.0%}"]
        titles[space] = ", ".join([space, *known])
    return titles
