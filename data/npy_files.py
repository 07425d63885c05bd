"""Arrays on disk that grow: `.npy` files written row by row and read as memory maps."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.lib import format as npy_format


class NpyAppender:
    """Writes a `.npy` file of unknown length; `close` puts the final shape in the header.

    NumPy pads headers so that the first axis can grow in place; this relies on it, and checks.

    Args:
        path: file to create.
        dtype: of every row.
        row_shape: shape of one row; () for a flat array.
    """

    def __init__(self, path: Path, dtype: np.dtype, row_shape: tuple[int, ...] = ()) -> None:
        self.dtype = np.dtype(dtype)
        self.num_rows = 0
        self._row_shape = row_shape
        self._file = path.open("wb")
        self._write_header()
        self._data_start = self._file.tell()

    def append(self, rows: np.ndarray) -> None:
        """Add rows (n, *row_shape); values must fit the dtype."""
        rows = np.asarray(rows)
        converted = rows.astype(self.dtype)
        assert rows.shape[1:] == self._row_shape, f"{rows.shape} is not (n, *{self._row_shape})"
        assert np.array_equal(rows, converted), f"values do not fit {self.dtype}"
        self._file.write(converted.tobytes())
        self.num_rows += len(rows)

    def close(self) -> None:
        """Finish the file."""
        self._file.seek(0)
        self._write_header()
        assert self._file.tell() == self._data_start
        self._file.close()

    def _write_header(self) -> None:
        header = {
            "descr": npy_format.dtype_to_descr(self.dtype),
            "fortran_order": False,
            "shape": (self.num_rows, *self._row_shape),
        }
        npy_format.write_array_header_1_0(self._file, header)


def open_npy(path: Path) -> np.ndarray:
    """Read-only memory map of a `.npy` file; a plain array where it is empty.

    Raises:
        ValueError: when the file is missing, cut short or holds Python objects.
    """
    try:
        array = np.load(path, mmap_mode=None if _is_empty(path) else "r", allow_pickle=False)
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error}") from error
    except (ValueError, EOFError) as error:
        raise ValueError(f"{path} is damaged: {error}") from error
    return array


def _is_empty(path: Path) -> bool:
    """Whether the array has no elements, which no memory map can show."""
    with path.open("rb") as file:
        if npy_format.read_magic(file) != (1, 0):
            return False
        shape, _, _ = npy_format.read_array_header_1_0(file)
    return 0 in shape
