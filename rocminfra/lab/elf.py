"""Find the shared libraries that a program needs from its ELF header, without running it."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from rocminfra.lab.rooted import link_chain

_MAGIC = b"\x7fELF\x02\x01"  # 64 bit, little endian: x86-64 and arm64
_LOAD, _DYNAMIC, _INTERPRETER = 1, 2, 3
_NEEDED, _STRING_TABLE = 1, 5


@dataclass(frozen=True)
class Links:
    """What a program is linked against.

    + interpreter: path of its loader, or None for a library
    + needed: names of its libraries
    """

    interpreter: str | None
    needed: tuple[str, ...]


def read_links(path: Path) -> Links | None:
    """What ``path`` is linked against; None if it is not a 64-bit little-endian ELF file."""
    data = path.read_bytes()
    if not data.startswith(_MAGIC):
        return None
    table, size, count = _program_table(data)
    segments = [struct.unpack_from("<IIQQQQ", data, table + index * size) for index in range(count)]
    interpreter: str | None = None
    needed: list[str] = []
    for kind, _flags, offset, _address, _physical, length in segments:
        if kind == _INTERPRETER:
            interpreter = data[offset : offset + length].split(b"\0")[0].decode()
        if kind == _DYNAMIC:
            entries = [
                struct.unpack_from("<qQ", data, position)
                for position in range(offset, offset + length, 16)
            ]
            strings = next((value for tag, value in entries if tag == _STRING_TABLE), None)
            if strings is None:
                continue
            start = _file_offset(segments, strings)
            needed += [_text(data, start + value) for tag, value in entries if tag == _NEEDED]
    return Links(interpreter, tuple(needed))


def library_closure(root: Path, files: Iterable[Path]) -> set[Path]:
    """Every library and loader that ``files`` need, directly or indirectly, inside ``root``.

    It includes both links and their targets. A library outside the root's standard folders is
    omitted: it would not be found at run time either.
    """
    index = _library_index(root)
    found: set[Path] = set()
    queue = list(files)
    seen: set[Path] = set()
    while queue:
        real = link_chain(root, queue.pop())[-1]
        if real in seen or not real.is_file():
            continue
        seen.add(real)
        links = read_links(real)
        if links is None:
            continue
        candidates = [index[name] for name in links.needed if name in index]
        if links.interpreter is not None:
            candidates.append(root / links.interpreter.lstrip("/"))
        for candidate in candidates:
            found.update(link_chain(root, candidate))
            queue.append(candidate)
    return found


def _program_table(data: bytes) -> tuple[int, int, int]:
    (table,) = struct.unpack_from("<Q", data, 32)
    size, count = struct.unpack_from("<HH", data, 54)
    return table, size, count


def _file_offset(segments: list[tuple[int, ...]], address: int) -> int:
    for kind, _flags, offset, start, _physical, length in segments:
        if kind == _LOAD and start <= address < start + length:
            return offset + address - start
    return address


def _text(data: bytes, start: int) -> str:
    return data[start : data.index(b"\0", start)].decode()


def _library_index(root: Path) -> dict[str, Path]:
    """Libraries in the loader's default folders, by name; the first folder wins."""
    index: dict[str, Path] = {}
    for folder in _library_folders(root):
        for path in sorted(folder.iterdir()):
            if ".so" in path.name:
                index.setdefault(path.name, path)
    return index


def _library_folders(root: Path) -> Iterator[Path]:
    # A root of one architecture has one multi-arch folder.
    yield from sorted((root / "usr/lib").glob("*-linux-gnu"))
    for name in ("usr/lib64", "usr/lib"):
        if (root / name).is_dir():
            yield root / name
