"""What a reader meets in a page's first view, counted in a browser."""

from __future__ import annotations

from typing import Any

MOST_WORDS = 150
# A figure that is still being loaded leaves its place, and its words, empty.
DRAWN = r"""() => !document.querySelector('[data-testid=stSkeleton]')
    && [...document.querySelectorAll('[data-testid=stPlotlyChart]')]
        .every(figure => figure.querySelector('.main-svg'))"""
# Words of two letters or more in the page's main part, seen without scrolling: text of figures
# too; not icons (which are text to a browser), cells drawn on a canvas, and texts of a study.
WORDS = r"""() => {
    const main = document.querySelector('[data-testid=stMain]');
    const walker = document.createTreeWalker(main, NodeFilter.SHOW_TEXT);
    let words = 0;
    while (walker.nextNode()) {
        const holder = walker.currentNode.parentElement;
        if (holder.closest('script, style, .written, [translate=no]')) continue;
        if (!holder.checkVisibility({checkOpacity: true, checkVisibilityCSS: true})) continue;
        const range = document.createRange();
        range.selectNodeContents(walker.currentNode);
        const box = range.getBoundingClientRect();
        if (box.width < 2 || box.height < 2 || box.top >= innerHeight || box.bottom <= 0) continue;
        words += (walker.currentNode.textContent.match(/\p{L}{2,}/gu) || []).length;
    }
    return words;
}"""


def words_in_first_view(page: Any) -> int:
    """Words that stand in the main part of the window without scrolling, once all is drawn."""
    page.wait_for_function(DRAWN)
    return int(page.evaluate(WORDS))
