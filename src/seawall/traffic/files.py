"""Opens recordings, plain or gzip, one file or many, and reads them in blocks: of lines of any length, or of bytes."""

from __future__ import annotations

import glob
import gzip
import io
import os
import re
import stat
import zlib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import cast

from seawall.fleet.errors import InputError

BLOCK_BYTES = 1 << 18
LINE_BYTES = 1 << 16
"""A longer line is cut here. Apache and nginx take request lines of 8 KiB and headers of 8 KiB each."""
NO_LINE_BYTES = 1 << 24
"""A file that has no line end in so many bytes is not made of lines."""
LARGEST_DOCUMENT = 1 << 30
"""A file that has to be read as a whole may be so large, unpacked."""
_AT_HAND = 1 << 13
_GZIP = b"\x1f\x8b"
_BYTE_ORDER_MARK = re.compile(rb"\A(?:\xef\xbb\xbf|\xff\xfe|\xfe\xff)")

Paths = str | Path | Sequence[str | Path]
"""A file, a folder, a pattern such as `logs/*.gz`, or several of them."""


def recorded_files(paths: Paths) -> list[str | Path]:
    """The files that are meant: of a folder all (those within its folders too), of a pattern those that match.

    Folders and patterns give their files by name, in order; hidden ones are left out. Raises InputError for a
    folder or pattern without any.
    """
    files: list[str | Path] = []
    for path in [paths] if isinstance(paths, str | Path) else paths:
        try:
            is_folder, is_there = os.path.isdir(path), os.path.lexists(path)
        except ValueError as error:
            raise InputError(f"cannot read the file: {error}", file=path) from error
        if is_folder:
            found = sorted(p for p in Path(path).rglob("*") if p.is_file() and not _is_hidden(p, Path(path)))
            if not found:
                raise InputError("this folder has no files in it; name one that has", file=path)
            files += found
        elif not is_there and glob.has_magic(str(path)):
            matches = sorted(p for p in glob.glob(str(path), recursive=True) if os.path.isfile(p))
            if not matches:
                raise InputError("no file matches this pattern; write for example logs/*.gz", file=path)
            files += matches
        else:
            files.append(path)
    if not files:
        raise InputError("no file is named; give one with recorded requests")
    return files


def _is_hidden(path: Path, folder: Path) -> bool:
    return any(part.startswith(".") for part in path.relative_to(folder).parts)


def line_blocks(path: str | Path) -> Iterator[tuple[int, bytes]]:
    """Whole lines of a file, as (number of the first line from 1, bytes up to a line end); see `blocks_of_lines`.

    Raises InputError if the file cannot be read, is empty, is not made of lines, or is a gzip file cut short.
    """
    with opened(path) as stream:
        yield from blocks_of_lines(stream, path)


def blocks_of_lines(stream: Stream, path: str | Path) -> Iterator[tuple[int, bytes]]:
    """Whole lines of what was opened, as (number of the first line from 1, bytes up to a line end).

    Only the last block may lack its line end. NUL bytes are left out: a log that was cut while it was written
    to has holes of them. Memory is bounded whatever the length of a line.
    """
    rest, line, skipped, seen = b"", 1, 0, False
    while raw := read_block(stream, path, line):
        raw = raw.replace(b"\0", b"") if b"\0" in raw else raw
        if not seen:
            seen, raw = True, _BYTE_ORDER_MARK.sub(b"", raw)
        if skipped:
            end = raw.find(b"\n")
            skipped += len(raw)
            if end < 0:
                if skipped > NO_LINE_BYTES:
                    raise InputError(_no_lines(), file=path, line=line)
                continue
            raw, skipped = raw[end:], 0
        data = rest + raw
        end = data.rfind(b"\n") + 1
        block, rest = data[:end], data[end:]
        if block:
            yield line, block
            line += block.count(b"\n")
        if len(rest) > LINE_BYTES:
            rest, skipped = rest[:LINE_BYTES], len(rest)
    if not seen:
        raise InputError(EMPTY, file=path)
    if rest:
        yield line, rest


EMPTY = "the file is empty; give a file with recorded requests"


def _no_lines() -> str:
    return f"no line ends within {NO_LINE_BYTES >> 20} MiB; give a text file, one record a line"


Stream = io.BufferedReader | gzip.GzipFile
"""The bytes of an opened file, unpacked."""


@contextmanager
def opened(path: str | Path) -> Iterator[Stream]:
    """A file's bytes, unpacked where its first bytes say that it is gzip. Raises InputError if it cannot be opened."""
    with ExitStack() as files:
        yield _open(path, files)


def _open(path: str | Path, files: ExitStack) -> Stream:
    try:
        # A device may never end, a folder or a socket has no lines. Pipes are fine: <(zcat a.gz b.gz)
        mode = os.stat(path).st_mode
        if stat.S_ISDIR(mode):
            raise InputError("this is a folder; name a file in it", file=path)
        if not (stat.S_ISREG(mode) or stat.S_ISFIFO(mode)):
            raise InputError("this is neither a file nor a pipe; name a file", file=path)
        plain = files.enter_context(io.BufferedReader(io.FileIO(path), BLOCK_BYTES))
        packed = plain.peek(2)[:2] == _GZIP
    except (OSError, ValueError) as error:
        raise InputError(f"cannot read the file: {_reason(error)}", file=path) from error
    return files.enter_context(gzip.GzipFile(fileobj=plain)) if packed else cast(Stream, plain)


def _reason(error: Exception) -> str:
    return error.strerror if isinstance(error, OSError) and error.strerror else str(error)


def first_bytes(stream: Stream, path: str | Path) -> bytes:
    """What an opened file begins with, as much as is at hand; it is read again later."""
    try:
        return stream.peek(_AT_HAND)
    except (EOFError, OSError, zlib.error) as error:
        raise _unreadable(error, path, 1) from error


def read_block(stream: Stream, path: str | Path, line: int = 1) -> bytes:
    """The next bytes, none at the end. Raises InputError, with the line, where they cannot be read."""
    try:
        return stream.read(BLOCK_BYTES)
    except (EOFError, OSError, zlib.error) as error:
        raise _unreadable(error, path, line) from error


def read_whole(stream: Stream, path: str | Path) -> bytes:
    """All bytes. Raises InputError if there are none, or too many."""
    blocks, size = [], 0
    while block := read_block(stream, path):
        blocks.append(block)
        size += len(block)
        if size > LARGEST_DOCUMENT:
            raise InputError(
                f"this document is over {LARGEST_DOCUMENT >> 30} GiB; give a shorter recording", file=path
            )
    if not blocks:
        raise InputError(EMPTY, file=path)
    return b"".join(blocks)


def _unreadable(error: Exception, path: str | Path, line: int) -> InputError:
    if isinstance(error, EOFError):
        cut = "the gzip file is cut short here; copy it again, or unpack what is there with zcat"
        return InputError(cut, file=path, line=line)
    if isinstance(error, gzip.BadGzipFile | zlib.error):
        return InputError(f"the gzip file is damaged here ({error}); copy it again", file=path, line=line)
    return InputError(f"cannot read the file: {_reason(error)}", file=path, line=line)
