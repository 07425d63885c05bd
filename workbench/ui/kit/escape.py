"""Text from a corpus, a label or a file name as text: never as Markdown, HTML or a formula.

Every token shown is untrusted. `block` makes HTML for `st.html`, `inline` makes Markdown for the
few Streamlit elements that read nothing else.
"""

from __future__ import annotations

import html
import re
from collections.abc import Sequence

# Everything that Streamlit's Markdown reads: emphasis, code, links, directives (`:red[...]`),
# formulas, headings, lists, tables, entities and tags.
WAVY = 'style="text-decoration:underline wavy #d55e00;text-underline-offset:.2em"'
_MARKDOWN = re.compile(r"([\\`*_{}\[\]()#+\-.!|$<>~:&^=])")


def inline(text: object) -> str:
    """`text` in one line with every Markdown character escaped."""
    return _MARKDOWN.sub(r"\\\1", " ".join(str(text).split()))


def html_text(text: object) -> str:
    """`text` for the inside of an HTML element or a quoted attribute."""
    return html.escape(str(text), quote=True)


def block(
    text: str,
    *,
    label: str = "",
    colour: str = "",
    muted: bool = False,
    underlined: Sequence[tuple[int, int]] = (),
) -> str:
    """One paragraph of text with a label before it, as HTML.

    Args:
        text: any text; an empty one says so.
        label: name in front.
        colour: of the edge, which may be too pale for text; a CSS colour of ours, never from data.
        muted: grey, for context.
        underlined: half-open spans of characters, in order and apart.
    """
    shown = _marked(text, underlined) if text.strip() else "<i>(empty)</i>"
    style = "opacity:.65;" if muted else ""
    name = f'<span style="font-weight:600">{html_text(label)}</span> ' if label else ""
    edge = f"border-left:3px solid {colour};padding-left:.6rem;" if colour else ""
    return f'<p style="margin:.25rem 0;line-height:1.5;{edge}{style}">{name}{shown}</p>'


def _marked(text: str, spans: Sequence[tuple[int, int]]) -> str:
    """`text` for the inside of an HTML element, with some spans underlined."""
    parts, done = [], 0
    for start, end in spans:
        parts += [html_text(text[done:start]), f"<u {WAVY}>{html_text(text[start:end])}</u>"]
        done = end
    return "".join([*parts, html_text(text[done:])])


def blocks(parts: Sequence[str], *, written: bool = False) -> str:
    """Several paragraphs as one HTML element; `written` marks texts of a study, no page's words."""
    return f'<div class="{"written" if written else "said"}">{"".join(parts)}</div>'
