"""What a host answered to a batch, read from the stream that the program on the host writes."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

from rocminfra.host.sent.fact_batch import ANSWERED, END, HEADER, MAGIC


@dataclass(frozen=True)
class Answer:
    """Output of one command, byte for byte.

    + status: exit status; -1 when a signal ended it, as SSH reports it
    + stdout, stderr: what it wrote
    + seconds: how long it took on the host
    """

    status: int
    stdout: bytes
    stderr: bytes
    seconds: float


class BrokenStreamError(Exception):
    """The stream is not what the program writes; the message says how."""


class AnswerStream:
    """Parser of the stream; feed it bytes as they come.

    + nonce: what this batch's request named, so that nothing else is taken for its answer
    + most_bytes: the answers together may not be larger; a stream that is, is broken
    """

    def __init__(self, nonce: str, most_bytes: int) -> None:
        self._greeting = MAGIC + nonce.encode("ascii") + b"\n"
        self._left = most_bytes
        self._inflate: zlib._Decompress | None = None
        self._buffer = b""
        self.complete = False

    def feed(self, data: bytes) -> dict[int, Answer | None]:
        """Commands (by their index) that are answered now; None for one without an answer.

        Raises :class:`BrokenStreamError`. That includes a host whose login shell prints something
        before every command: the plain connector's outputs would have it too, ours not.
        """
        if self._inflate is None:
            self._buffer += data
            if not self._buffer.startswith(self._greeting[: len(self._buffer)]):
                raise BrokenStreamError(f"the host said {self._buffer[:80]!r} first")
            if len(self._buffer) < len(self._greeting):
                return {}
            data, self._buffer = self._buffer[len(self._greeting) :], b""
            self._inflate = zlib.decompressobj()
        self._buffer += self._expand(self._inflate, data)
        return self._frames()

    def _expand(self, inflate: zlib._Decompress, data: bytes) -> bytes:
        try:
            expanded = inflate.decompress(data, self._left + 1)
        except zlib.error as error:
            raise BrokenStreamError(f"what the host sent cannot be unpacked ({error})") from None
        self._left -= len(expanded)
        if self._left < 0:
            raise BrokenStreamError("the host sent more than it was asked for")
        return expanded

    def _frames(self) -> dict[int, Answer | None]:
        found: dict[int, Answer | None] = {}
        while len(self._buffer) >= HEADER.size and not self.complete:
            index, kind, status, milliseconds, out, err = HEADER.unpack_from(self._buffer)
            size = HEADER.size + out + err
            if len(self._buffer) < size:
                break
            body = self._buffer[HEADER.size : size]
            self._buffer = self._buffer[size:]
            if kind == END:
                self.complete = True
            elif kind == ANSWERED:
                found[index] = Answer(status, body[:out], body[out:], milliseconds / 1000)
            else:
                found[index] = None
        return found
