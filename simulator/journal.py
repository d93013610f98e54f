"""Append-only files: a write is with the operating system before the call returns, so kill -9 loses nothing."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

Row = tuple[str, str, Any]

_CHUNK = 1 << 16


def dumps(value: Any) -> str:
    """Compact JSON with readable non-ASCII, as LivePerson writes it."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def encode(value: Any) -> bytes:
    """The same in UTF-8; a lone surrogate, which UTF-8 cannot carry, makes all non-ASCII an escape."""
    try:
        return dumps(value).encode()
    except UnicodeEncodeError:
        return json.dumps(value, separators=(",", ":")).encode()


class AppendLog:
    """One JSON value a line, found again by the offset that `append` returned."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._fd = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
        self._size = os.fstat(self._fd).st_size
        self._drop_partial_line()

    def append(self, value: Any) -> int:
        data = encode(value) + b"\n"
        offset = self._size
        written = os.write(self._fd, data)
        while written < len(data):
            written += os.write(self._fd, data[written:])
        self._size += len(data)
        return offset

    def read(self, offset: int) -> Any:
        line = b""
        while not line.endswith(b"\n"):
            chunk = os.pread(self._fd, _CHUNK, offset + len(line))
            if not chunk:
                break
            end = chunk.find(b"\n")
            line += chunk if end < 0 else chunk[: end + 1]
        return json.loads(line)

    def scan(self) -> Iterator[tuple[int, Any]]:
        offset = 0
        with self._path.open("rb") as lines:
            for line in lines:
                yield offset, json.loads(line)
                offset += len(line)

    def clear(self) -> None:
        os.ftruncate(self._fd, 0)
        self._size = 0

    def replace(self, values: Iterator[Any]) -> None:
        """Rewrite the whole file in one step: a reader finds the old content or the new, never a mixture."""
        fresh = self._path.with_suffix(".new")
        with fresh.open("wb") as out:
            for value in values:
                out.write(encode(value) + b"\n")
        os.replace(fresh, self._path)
        os.close(self._fd)
        self._fd = os.open(self._path, os.O_RDWR | os.O_APPEND)
        self._size = os.fstat(self._fd).st_size

    def _drop_partial_line(self) -> None:
        """A process killed while writing leaves half a line at the end, which nobody was told about."""
        if not self._size or os.pread(self._fd, 1, self._size - 1) == b"\n":
            return
        end = self._size
        while end > 0:
            start = max(0, end - _CHUNK)
            newline = os.pread(self._fd, end - start, start).rfind(b"\n")
            if newline >= 0:
                end = start + newline + 1
                break
            end = start
        os.ftruncate(self._fd, end)
        self._size = end


class Journal:
    """The state as rows (table, key, value); the reader knows which tables replace a value and which grow."""

    def __init__(self, path: Path) -> None:
        self._log = AppendLog(path)

    def put(self, table: str, key: str, value: Any) -> None:
        self._log.append([table, key, value])

    def rows(self) -> Iterator[Row]:
        for _, (table, key, value) in self._log.scan():
            yield table, key, value

    def compact(self, rows: Iterator[Row]) -> None:
        self._log.replace(list(row) for row in rows)

    def clear(self) -> None:
        self._log.clear()
