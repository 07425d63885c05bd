"""The pages in the order of the menu; each is a file that reads like a description of itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import streamlit as st

DIRECTORY = Path(__file__).with_name("pages")
ICON = str(Path(__file__).with_name("icon.svg"))

# Section -> (file stem = address, title, icon).
MENU: dict[str, tuple[tuple[str, str, str], ...]] = {
    "The finding": (
        ("study", "Study", ":material/table_chart:"),
        ("why", "Why reconstruction misleads", ":material/psychology_alt:"),
        ("playback", "Playback", ":material/play_circle:"),
    ),
    "Latent space": (
        ("latent_map", "Latent map", ":material/scatter_plot:"),
        ("neighbours", "Neighbours", ":material/hub:"),
        ("separability", "Separability", ":material/grid_on:"),
        ("geometry", "Geometry", ":material/show_chart:"),
    ),
    "Generation": (
        ("generate", "Generate", ":material/edit_note:"),
        ("scorecard", "Scorecard", ":material/fact_check:"),
    ),
    "Work": (
        ("new_study", "New study", ":material/add_circle:"),
        ("runs", "Runs", ":material/folder_open:"),
    ),
}


def page_file(name: str) -> Path:
    """File of a page by its address."""
    return DIRECTORY / f"{name}.py"


def all_pages() -> dict[str, list[Any]]:
    """Sections of the menu for `st.navigation`; the first page is the one that opens.

    Streamlit gives that page no name in the address, so a hidden one stands at its name.
    """
    first = next(iter(MENU.values()))[0]
    pages = {
        section: [_page(entry, url_path="" if entry == first else entry[0], default=entry == first)
                  for entry in entries]
        for section, entries in MENU.items()
    }  # fmt: skip
    next(iter(pages.values())).append(_page(first, url_path=first[0], visibility="hidden"))
    return pages


def _page(entry: tuple[str, str, str], **options: Any) -> Any:
    name, title, icon = entry
    return st.Page(page_file(name), title=title, icon=icon, **options)
