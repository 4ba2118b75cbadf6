"""Reads the blocks in which an archive comes from a host."""

from __future__ import annotations

import zlib

from rocminfra.bench.remote import Readable
from rocminfra.planning.bench.blocks import DEFLATED, END, HEADER, MOST_BYTES, STORED

_CUT_OFF = "it ends in the middle of a block"


class BlocksError(Exception):
    """What came is no block of ours."""


class BlockReader:
    """The bytes of all blocks, one after the other.

    + source: where the blocks come from; nothing in it is trusted
    """

    def __init__(self, source: Readable) -> None:
        self._source = source
        # Bytes to come of a stored block; an inflated one, and how far it is read.
        self._stored = 0
        self._block = b""
        self._at = 0
        self._has_ended = False

    def read(self, size: int, /) -> bytes:
        """At most ``size`` bytes; none at the end.

        Raises :class:`BlocksError` for anything that is no block, EOFError when it is cut off.
        """
        if self._stored == 0 and self._at == len(self._block) and not self._has_ended:
            self._begin()
        if self._stored > 0:
            # At once, for a file that is whole is kept when the connection breaks after it.
            part = self._source.read(min(size, self._stored))
            if not part:
                raise EOFError(_CUT_OFF)
            self._stored -= len(part)
            return part
        part = self._block[self._at : self._at + size]
        self._at += len(part)
        return part

    def _begin(self) -> None:
        kind, length = HEADER.unpack(self._exactly(HEADER.size))
        if kind == END and length == 0:
            self._has_ended = True
            # How the command ended is known only now, and reading says so.
            self._source.read(1)
            return
        if kind not in (STORED, DEFLATED) or not 0 < length <= MOST_BYTES:
            raise BlocksError(f"no block begins with {HEADER.pack(kind, length)!r}")
        if kind == STORED:
            self._stored = length
        else:
            self._block, self._at = _inflated(self._exactly(length)), 0

    def _exactly(self, size: int) -> bytes:
        pieces: list[bytes] = []
        while size > 0:
            piece = self._source.read(size)
            if not piece:
                raise EOFError(_CUT_OFF)
            pieces.append(piece)
            size -= len(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def _inflated(data: bytes) -> bytes:
    inflating = zlib.decompressobj()
    try:
        plain = inflating.decompress(data, MOST_BYTES)
    except zlib.error as error:
        raise BlocksError(str(error)) from None
    if not inflating.eof or not plain:
        raise BlocksError("a block is cut off, or larger than it may be")
    return plain
