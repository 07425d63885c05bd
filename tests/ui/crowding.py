"""What is too crowded to read on a page: numbers of an axis that touch, what a legend covers."""

from __future__ import annotations

from typing import Any

_CROWDED = """() => {
  const found = new Set();
  const box = (text) => text.getBoundingClientRect();
  const isTurned = (text) => /rotate\\((?!0[,)])/.test(text.getAttribute('transform') ?? '');
  const ofAxis = (plot, letter) => [...plot.querySelectorAll(`g[class^="${letter}"] text`)]
    .filter((text) => text.parentNode.getAttribute('class').endsWith('tick') && !isTurned(text));
  for (const plot of document.querySelectorAll('.js-plotly-plot')) {
    const [across, down] = ['x', 'y'].map((letter) => ofAxis(plot, letter));
    for (const a of across) for (const b of across) {
      const [one, two] = [box(a), box(b)];
      const isNext = one.left < two.left && Math.abs(one.top - two.top) < 3;
      if (isNext && two.left - one.right < 2) found.add(`${a.textContent} | ${b.textContent}`);
    }
    const edge = box(plot);
    for (const text of [...across, ...down, ...plot.querySelectorAll('.xtitle, .ytitle')]) {
      const {left, right} = box(text);
      if (right > edge.right + 1 || left < edge.left - 1) found.add(`cut: ${text.textContent}`);
    }
    const legend = plot.querySelector('.legend .bg');
    const over = legend && box(legend);
    for (const mark of over ? plot.querySelectorAll('.points path') : []) {
      const {left, right, top, bottom} = box(mark);
      const isUnder = left < over.right && right > over.left && top < over.bottom - 1;
      if (isUnder && bottom > over.top + 1) found.add('the legend covers a mark');
    }
  }
  return [...found];
}"""


def crowded(page: Any) -> list[str]:
    """Pairs of numbers that touch, legends over marks, and texts that a figure cuts off."""
    return list(page.evaluate(_CROWDED))
