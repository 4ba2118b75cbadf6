"""A host's answers to a batch, parsed from the output of the batch program."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

from rocminfra.host.sent.fact_batch import ANSWERED, END, HEADER, MAGIC

# Bytes that a login shell may print before the stream.
MOST_CHATTER = 1 << 16


@dataclass(frozen=True)
class Answer:
    """The output of one command, byte for byte.

    + status: exit status; -1 after a signal, as SSH reports it
    + stdout, stderr: its output
    + seconds: run time on the host
    """

    status: int
    stdout: bytes
    stderr: bytes
    seconds: float


class BrokenStreamError(Exception):
    """The stream does not have the program's format; the message says why."""


class AnswerStream:
    """Parser for the stream; feed it bytes as they arrive.

    + nonce: this batch's nonce, so that no other output is taken for its answer
    + most_bytes: limit for all answers together; a larger stream counts as broken
    """

    def __init__(self, nonce: str, most_bytes: int) -> None:
        self._greeting = MAGIC + nonce.encode("ascii") + b"\n"
        self._left = most_bytes
        self._inflate: zlib._Decompress | None = None
        self._buffer = b""
        self.complete = False

    def feed(self, data: bytes) -> dict[int, Answer | None]:
        """Newly answered commands by index; None for a command without an answer.

        What a login shell prints before the stream is passed over. Raises
        :class:`BrokenStreamError`.
        """
        if self._inflate is None:
            self._buffer += data
            chatter, greeting, rest = self._buffer.partition(self._greeting)
            if not greeting:
                if len(chatter) > MOST_CHATTER:
                    raise BrokenStreamError(f"the host printed {chatter[:80]!r} first")
                return {}
            data, self._buffer = rest, b""
            self._inflate = zlib.decompressobj()
        self._buffer += self._expand(self._inflate, data)
        return self._frames()

    def _expand(self, inflate: zlib._Decompress, data: bytes) -> bytes:
        try:
            expanded = inflate.decompress(data, self._left + 1)
        except zlib.error as error:
            raise BrokenStreamError(f"the host's answer cannot be decompressed ({error})") from None
        self._left -= len(expanded)
        if self._left < 0:
            raise BrokenStreamError("the host's answer is larger than the limit")
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
