r"""Lines of a text file in bounded memory, parted at \n alone.

U+2028, form feeds and lone \r are characters of a text, not its ends. Only regular files are
opened, so a pipe cannot block and a device cannot go on for ever; compressed files are refused
rather than unpacked, however small they look.
"""

from __future__ import annotations

import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

MAX_LINE_BYTES = 1 << 24
_CHUNK_BYTES = 1 << 20
_BOM = b"\xef\xbb\xbf"
_FOREIGN = {
    b"\x1f\x8b": "gzip",
    b"BZh": "bzip2",
    b"\xfd7zXZ\x00": "xz",
    b"\x28\xb5\x2f\xfd": "zstandard",
    b"PK\x03\x04": "zip",
    b"PAR1": "Parquet",
    b"\xff\xfe": "UTF-16",
    b"\xfe\xff": "UTF-16",
}


@dataclass(frozen=True, slots=True)
class Line:
    r"""A line without its \n (or \r\n); `whole` is False for all but the last piece of one."""

    number: int
    text: str
    whole: bool


def check_regular_file(path: Path) -> None:
    """Refuse whatever is not a readable regular file.

    Raises:
        ValueError: for a missing file, directory, pipe, device, loop of links, or no permission.
    """
    try:
        mode = path.stat().st_mode
        if stat.S_ISREG(mode):
            path.open("rb").close()
    except (OSError, ValueError) as error:
        raise ValueError(f"{path} cannot be read: {error}") from error
    if not stat.S_ISREG(mode):
        kind = "a directory" if stat.S_ISDIR(mode) else "no regular file"
        raise ValueError(f"{path} is {kind}: path must name one file")


def read_lines(path: Path, errors: str, *, split_long: bool = False) -> Iterator[Line]:
    """Lines of a UTF-8 file, see `stream_lines`.

    Args:
        path: an uncompressed regular file.
        errors: `strict` or `replace` for bytes that are not UTF-8.
        split_long: hand over a line of more than 16 MiB in pieces instead of refusing it.

    Raises:
        ValueError: naming file and line, for bad bytes and long lines.
    """
    check_regular_file(path)
    with path.open("rb") as file:
        yield from stream_lines(file, str(path), errors, split_long=split_long)


def stream_lines(
    file: BinaryIO, name: str, errors: str, *, split_long: bool = False
) -> Iterator[Line]:
    """Lines of an open UTF-8 file, numbered from 1; a byte order mark at its start is dropped.

    Args:
        file: bytes from their start, uncompressed.
        name: the file's, for messages.
        errors: see `read_lines`.
        split_long: see `read_lines`.

    Raises:
        ValueError: see `read_lines`.
    """
    _check_start(name, file.read(8))
    file.seek(0)
    number, rest = 1, b""
    while chunk := file.read(_CHUNK_BYTES):
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            yield _decode(name, number, line, errors, whole=True)
            number += 1
        if len(rest) > MAX_LINE_BYTES:
            if not split_long:
                raise ValueError(
                    f"{name}:{number}: the line is longer than {MAX_LINE_BYTES >> 20} MiB"
                )
            cut = _character_border(rest)
            yield _decode(name, number, rest[:cut], errors, whole=False)
            rest = rest[cut:]
    if rest:
        yield _decode(name, number, rest, errors, whole=True)


def _check_start(name: str, start: bytes) -> None:
    for magic, kind in _FOREIGN.items():
        if start.startswith(magic):
            raise ValueError(f"{name} is {kind}, not UTF-8 text: convert or unpack it first")


def _character_border(data: bytes) -> int:
    """Last white space of the data, else the last place where a UTF-8 character begins."""
    space = data.rfind(b" ") + 1
    if space:
        return space
    border = len(data) - 1
    while border > 1 and data[border] & 0xC0 == 0x80:
        border -= 1
    return border


def _decode(name: str, number: int, line: bytes, errors: str, *, whole: bool) -> Line:
    if number == 1 and line.startswith(_BOM):
        line = line[len(_BOM) :]
    if whole and line.endswith(b"\r"):
        line = line[:-1]
    try:
        return Line(number, line.decode("utf-8", errors), whole)
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{name}:{number}: byte {error.start + 1} of the line, {line[error.start]:#04x}, is "
            "not UTF-8: mend the file or set errors to 'replace'"
        ) from error
