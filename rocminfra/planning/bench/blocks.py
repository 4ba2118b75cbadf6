"""How an archive of results travels: in blocks, each as it is or deflated, whichever is faster.

A block is a kind, a length and so many bytes. Standard library only: this module also runs on the
host.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

# A kind, and the bytes that follow.
HEADER = struct.Struct(">cI")
STORED = b"S"
DEFLATED = b"D"
# Without it, an archive that was cut off between two blocks would look whole.
END = b"E"
BLOCK_BYTES = 1 << 20
# No block of ours holds more.
MOST_BYTES = 4 * BLOCK_BYTES

# What pipes, sockets and SSH's window take at once: until then, writing says nothing of the link.
_BUFFERED = 4 * BLOCK_BYTES
# Judged again after so much; each return to compression doubles it.
_AGAIN = 32 * BLOCK_BYTES
# Bytes a second, 100 Mbit/s: a faster link has brought a run before compression gains much, and
# where processors and not the link are short of time, compression takes more of it.
_SLOW_LINK = 12.5e6
# Compression has to be so much faster, for it takes a core of the host.
_GAIN = 1.2
# Of the time, spent writing: with less, the link waits for the compression.
_WAITS_FOR_LINK = 0.1


@dataclass
class Pace:
    """Whether the link or the compression is faster, from how long writes and compression took.

    + deflates: whether the next block is to be deflated
    + on_trial: whether that is in order to see how fast it is
    """

    deflates: bool = False
    on_trial: bool = False
    _rate: float = 0.0
    _bytes: int = 0
    _compressing: float = 0.0
    _writing: float = 0.0
    _limit: int = _BUFFERED
    _patience: int = _AGAIN

    def stored(self, size: int, writing_s: float) -> None:
        """A block went as it is.

        + size: its bytes
        + writing_s: seconds until the link had taken it
        """
        self._count(size, 0.0, writing_s)
        if self._bytes < self._limit:
            return
        # The newest measure only: the first was of the buffers.
        self._rate = self._bytes / max(self._writing, 1e-9)
        if self._limit == _BUFFERED:
            self._next(BLOCK_BYTES)
        elif self._rate < _SLOW_LINK:
            self.deflates = self.on_trial = True
            self._next(0)
        else:
            self._next(_AGAIN)

    def deflated(self, size: int, sent: int, compressing_s: float, writing_s: float) -> None:
        """A block was deflated.

        + size, sent: its bytes before and after
        + compressing_s, writing_s: seconds for each
        """
        if self.on_trial:
            deflating = size / max(compressing_s, 1e-9)
            fastest = min(deflating, self._rate * size / max(sent, 1))
            self.on_trial = False
            self.deflates = fastest > self._rate * _GAIN
            self._next(self._patience)
            if self.deflates:
                self._patience *= 2
            return
        self._count(size, compressing_s, writing_s)
        if self._bytes < self._limit:
            return
        if self._writing < _WAITS_FOR_LINK * (self._compressing + self._writing):
            self.deflates = False
        self._next(self._patience if self.deflates else _BUFFERED)

    def _count(self, size: int, compressing_s: float, writing_s: float) -> None:
        self._bytes += size
        self._compressing += compressing_s
        self._writing += writing_s

    def _next(self, limit: int) -> None:
        self._bytes, self._compressing, self._writing, self._limit = 0, 0.0, 0.0, limit
