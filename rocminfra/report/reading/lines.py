"""JSON and JSON lines from files that may be cut off or damaged."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

# Parsed at once: six times as fast as line by line.
_CHUNK_LINES = 2_000


class UnreadableError(ValueError):
    """A file that holds something else than it should; the message says what."""


def read_object(path: Path) -> dict[str, Any] | None:
    """The JSON object in a file; None when there is no such file.

    Raises :class:`UnreadableError` for anything else in it.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise UnreadableError(f"{path.name} cannot be read: {error}") from None
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UnreadableError(f"{path.name} is not JSON: {error}") from None
    if not isinstance(value, dict):
        raise UnreadableError(f"{path.name} is not a JSON object")
    return value


class Lines:
    """The objects in a file of JSON lines.

    ``damaged`` counts, after the iteration, lines that are none. A missing file has no lines.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.damaged = 0

    def __iter__(self) -> Iterator[dict[str, Any]]:
        try:
            with self._path.open("rb") as stream:
                while chunk := list(islice(stream, _CHUNK_LINES)):
                    yield from self._objects(chunk)
        except FileNotFoundError:
            return
        except OSError:
            self.damaged += 1

    def _objects(self, chunk: list[bytes]) -> Iterator[dict[str, Any]]:
        try:
            found = json.loads(b"[" + b",".join(chunk) + b"]")
        except (ValueError, RecursionError):
            found = [self._one(line) for line in chunk if line.strip()]
        if len(found) > len(chunk):
            # A line with a comma at its top level: the file's lines are not what they should be.
            found = [self._one(line) for line in chunk]
        for value in found:
            if isinstance(value, dict):
                yield value
            else:
                self.damaged += 1

    @staticmethod
    def _one(line: bytes) -> Any:
        try:
            return json.loads(line)
        except (ValueError, RecursionError):
            return None


def number(value: object) -> float | None:
    """A finite number; None for anything else, such as NaN, text or a truth value."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        found = float(value)
    except OverflowError:
        return None
    return found if math.isfinite(found) else None


def part(value: object, *keys: str) -> Mapping[str, Any]:
    """The object at ``keys`` inside ``value``; empty when there is none."""
    for key in keys:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value if isinstance(value, Mapping) else {}
