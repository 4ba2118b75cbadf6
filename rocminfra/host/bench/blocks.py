"""Sends an archive in blocks, deflated where the link is slower than that.

Standard library only: this file is copied to the host as it is.
"""

from __future__ import annotations

import time
import zlib
from collections.abc import Callable
from typing import IO

from rocminfra.planning.bench.blocks import BLOCK_BYTES, DEFLATED, END, HEADER, STORED, Pace


class BlockWriter:
    """Takes bytes in any pieces and sends blocks.

    + stream: takes the blocks
    + clock: seconds
    """

    def __init__(self, stream: IO[bytes], clock: Callable[[], float] = time.monotonic) -> None:
        self._stream = stream
        self._clock = clock
        self._pace = Pace()
        self._pieces: list[bytes] = []
        self._waiting = 0
        self._position = 0

    def write(self, data: bytes, /) -> int:
        """Send ``data``, together with what comes next where that is little."""
        self._pieces.append(data)
        self._waiting += len(data)
        self._position += len(data)
        if self._waiting >= BLOCK_BYTES:
            self._send()
        return len(data)

    def tell(self) -> int:
        """How many bytes have been written."""
        return self._position

    def close(self) -> None:
        """Send what is left, and the end."""
        self._send()
        self._stream.write(HEADER.pack(END, 0))
        self._stream.flush()

    def _send(self) -> None:
        data = b"".join(self._pieces)
        self._pieces, self._waiting = [], 0
        for start in range(0, len(data), BLOCK_BYTES):
            self._block(data[start : start + BLOCK_BYTES])

    def _block(self, data: bytes) -> None:
        began = self._clock()
        deflates = self._pace.deflates
        # Level 1: a report shrinks to a fifth, and higher levels gain little for their time.
        sent = zlib.compress(data, 1) if deflates else data
        ready = self._clock()
        self._stream.write(HEADER.pack(DEFLATED if deflates else STORED, len(sent)))
        self._stream.write(sent)
        self._stream.flush()
        writing = self._clock() - ready
        if deflates:
            self._pace.deflated(len(data), len(sent), ready - began, writing)
        else:
            self._pace.stored(len(data), writing)
