"""Growing `.npy` files are ordinary ones in the end."""

import numpy as np
import pytest

from data.npy_files import NpyAppender, open_npy


@pytest.mark.parametrize("row_shape", [(), (2,)])
def test_appended_rows_are_an_ordinary_array(tmp_path, row_shape):
    path = tmp_path / "a.npy"
    appender = NpyAppender(path, np.dtype(np.int32), row_shape)
    parts = [np.arange(n * 2).reshape(-1, 2)[:, 0] for n in (3, 0, 12345)]
    parts = [np.stack([part, part], 1) if row_shape else part for part in parts]
    for part in parts:
        appender.append(part)
    appender.close()
    found = open_npy(path)
    assert found.dtype == np.int32
    assert isinstance(found, np.memmap)
    assert np.array_equal(found, np.concatenate(parts))
    assert np.array_equal(found, np.load(path))


def test_an_empty_file_is_an_empty_array(tmp_path):
    NpyAppender(tmp_path / "a.npy", np.dtype(np.uint16)).close()
    assert open_npy(tmp_path / "a.npy").shape == (0,)


def test_values_that_do_not_fit_are_caught(tmp_path):
    appender = NpyAppender(tmp_path / "a.npy", np.dtype(np.uint16))
    with pytest.raises(AssertionError, match="values do not fit uint16"):
        appender.append(np.array([1 << 16]))
    with pytest.raises(AssertionError, match="is not"):
        appender.append(np.zeros((1, 2)))


@pytest.mark.parametrize("count", [0, 1])  # none of them: no memory map, which refuses objects
def test_python_objects_are_refused(tmp_path, count):
    np.save(tmp_path / "a.npy", np.array([{}] * count, dtype=object), allow_pickle=True)
    with pytest.raises(ValueError, match=r"a\.npy is damaged"):
        open_npy(tmp_path / "a.npy")
