"""What the reader sees when something is wrong: a card with one sentence, never a traceback.

A damaged or half-written run spoils its own card and leaves the rest of the page alone.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import streamlit as st

from workbench.errors import DamagedArtefactError, NoGeneratorError, WorkbenchError
from workbench.ui.kit.escape import inline

LOG = logging.getLogger("workbench.ui")
LARGEST_MESSAGE = 400


@contextmanager
def guarded(what: str) -> Iterator[None]:
    """Show an error card in place of what fails inside; `what` names it for the reader."""
    try:
        yield
    except NoGeneratorError as error:  # nothing is wrong
        st.info(inline(str(error)), icon=":material/inventory_2:")
    except (WorkbenchError, ValueError, OSError, MemoryError) as error:
        show_error(what, error)
    except Exception as error:
        # Foreseen by nobody: the log gets the traceback, the browser one line.
        LOG.exception("%s", what)
        show_error(what, error)


def run_guarded(page: Any) -> None:
    """Run a page; whatever escapes it becomes one card."""
    with guarded("This page"):
        page.run()


def show_error(what: str, error: BaseException) -> None:
    """A card: what could not be shown, why, and what to do about it."""
    message = " ".join(str(error).split()) or type(error).__name__
    message = message if len(message) <= LARGEST_MESSAGE else message[:LARGEST_MESSAGE] + "…"
    kind = "is damaged" if isinstance(error, DamagedArtefactError) else "cannot be shown"
    st.error(f"**{inline(what)} {kind}.** {inline(message)}", icon=":material/error:")
    if isinstance(error, DamagedArtefactError):
        st.caption("Other runs are not affected. `python -m workbench verify` lists every damage.")
