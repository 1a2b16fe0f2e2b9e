"""Reads a file of lines in blocks of bytes: plain or gzip, of any size, with lines of any length."""

from __future__ import annotations

import gzip
import io
import os
import re
import stat
import zlib
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import IO, cast

from seawall.fleet.errors import InputError

BLOCK_BYTES = 1 << 18
LINE_BYTES = 1 << 16
"""A longer line is cut here. Apache and nginx take request lines of 8 KiB and headers of 8 KiB each."""
NO_LINE_BYTES = 1 << 24
"""A file that has no line end in so many bytes is not made of lines."""
_GZIP = b"\x1f\x8b"
_BYTE_ORDER_MARK = re.compile(rb"\A(?:\xef\xbb\xbf|\xff\xfe|\xfe\xff)")


def line_blocks(path: str | Path) -> Iterator[tuple[int, bytes]]:
    """Whole lines of a file, as (number of the first line from 1, bytes up to a line end).

    Only the last block may lack its line end. gzip is known by its first bytes. NUL bytes are left out: a
    log that was cut while it was written to has holes of them. Memory is bounded whatever the length of a
    line. Raises InputError if the file cannot be read, is empty, is not made of lines, or is a gzip file
    cut short.
    """
    rest, line, skipped, seen = b"", 1, 0, False
    with ExitStack() as files:
        stream = _open(path, files)
        while raw := _read(stream, path, line):
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
        raise InputError("the file is empty; give a file with recorded requests", file=path)
    if rest:
        yield line, rest


def _no_lines() -> str:
    return f"no line ends within {NO_LINE_BYTES >> 20} MiB; give a text file, one record a line"


def _open(path: str | Path, files: ExitStack) -> IO[bytes]:
    """The file's bytes, unpacked; closed with `files`."""
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
    return cast(IO[bytes], files.enter_context(gzip.GzipFile(fileobj=plain))) if packed else plain


def _reason(error: Exception) -> str:
    return error.strerror if isinstance(error, OSError) and error.strerror else str(error)


def _read(stream: IO[bytes], path: str | Path, line: int) -> bytes:
    try:
        return stream.read(BLOCK_BYTES)
    except EOFError as error:
        cut = "the gzip file is cut short here; copy it again, or unpack what is there with zcat"
        raise InputError(cut, file=path, line=line) from error
    except (gzip.BadGzipFile, zlib.error) as error:
        broken = f"the gzip file is damaged here ({error}); copy it again"
        raise InputError(broken, file=path, line=line) from error
    except OSError as error:
        raise InputError(f"cannot read the file: {_reason(error)}", file=path, line=line) from error
