"""A few of many rows come from all over them."""

import numpy as np
import pytest

from data.spread import spread_rows


@pytest.mark.parametrize("total", [1, 7, 10, 11, 999])
def test_rows_are_apart_in_order_and_as_many_as_asked_for(total):
    rows = np.arange(total) * 3
    found = spread_rows(rows, 10)
    assert len(found) == min(total, 10)
    assert set(found) <= set(rows)
    gaps = np.diff(found)
    assert (gaps > 0).all()
    assert len(gaps) == 0 or gaps.max() - gaps.min() <= 3


def test_no_class_of_a_sorted_file_is_missed():
    classes = np.repeat(np.arange(8), [900, 700, 90, 80, 70, 60, 50, 50])
    assert set(classes[spread_rows(np.arange(2000), 200)]) == set(range(8))
    assert set(classes[:200]) == {0}
