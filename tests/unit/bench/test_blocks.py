"""Blocks of an archive: what is written comes out again, and compression only where it pays."""

from __future__ import annotations

import io
import os
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rocminfra.bench.blocks import BlockReader, BlocksError
from rocminfra.host.bench.blocks import BlockWriter
from rocminfra.planning.bench.blocks import BLOCK_BYTES, DEFLATED, END, HEADER, MOST_BYTES, STORED

MIB = 1 << 20
COMPRESSING_S = 0.02
# Of which a little more than half is left.
TEXT = os.urandom(MIB // 2).hex().encode()


class Link:
    """Takes bytes at a rate, by a clock that it moves itself."""

    def __init__(self, bytes_a_second: float, buffered: int = 0) -> None:
        self.rate = bytes_a_second
        self.buffered = buffered
        self.now = 0.0
        self.looks = 0
        self.sent = io.BytesIO()

    def clock(self) -> float:
        # Looked at before a block, when it is ready, and when it is sent.
        if self.looks % 3 == 1:
            self.now += COMPRESSING_S
        self.looks += 1
        return self.now

    def write(self, data: bytes) -> int:
        self.now += max(0, len(data) - self.buffered) / self.rate
        self.buffered = max(0, self.buffered - len(data))
        return self.sent.write(data)

    def flush(self) -> None:
        pass


def kinds(sent: bytes) -> list[bytes]:
    """Kinds of the blocks, one after the other."""
    found, at = [], 0
    while at < len(sent):
        kind, length = HEADER.unpack_from(sent, at)
        found.append(kind)
        at += HEADER.size + length
    return found


def over(link: Link, blocks: list[bytes]) -> list[bytes]:
    writer = BlockWriter(link, link.clock)  # type: ignore[arg-type]
    for block in blocks:
        writer.write(block)
    writer.close()
    assert whole(link.sent.getvalue()) == b"".join(blocks)
    return kinds(link.sent.getvalue())


def whole(sent: bytes) -> bytes:
    reader = BlockReader(io.BytesIO(sent))
    return b"".join(iter(lambda: reader.read(100_000), b""))


@given(pieces=st.lists(st.binary(max_size=200)), size=st.integers(1, 50))
def test_every_byte_comes_out_again(pieces: list[bytes], size: int) -> None:
    sent = io.BytesIO()
    writer = BlockWriter(sent)
    for piece in pieces:
        writer.write(piece)
    assert writer.tell() == sum(map(len, pieces))
    writer.close()
    reader = BlockReader(io.BytesIO(sent.getvalue()))
    assert b"".join(iter(lambda: reader.read(size), b"")) == b"".join(pieces)


@pytest.mark.parametrize("rate", [20e6, 1e9])
def test_a_fast_link_gets_everything_as_it_is(rate: float) -> None:
    assert set(over(Link(rate), [TEXT] * 100)) == {STORED, END}


def test_a_slow_link_gets_text_compressed_after_its_buffers_are_full() -> None:
    found = over(Link(5e6, buffered=2 * MIB), [TEXT] * 60)
    assert found[:5] == [STORED] * 5
    assert found[5:-1] == [DEFLATED] * 55


def test_a_slow_link_gets_what_does_not_shrink_as_it_is() -> None:
    found = over(Link(5e6), [os.urandom(MIB)] * 60)
    assert found.count(DEFLATED) <= 3, "a trial now and then"


def test_a_link_that_becomes_fast_is_no_longer_waited_for_by_compression() -> None:
    link = Link(5e6)
    writer = BlockWriter(link, link.clock)  # type: ignore[arg-type]
    for number in range(200):
        if number == 20:
            link.rate = 1e12
        writer.write(TEXT)
    writer.close()
    found = kinds(link.sent.getvalue())
    assert found[19] == DEFLATED
    assert found[-50:-1] == [STORED] * 49


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        HEADER.pack(STORED, 5) + b"abc",
        HEADER.pack(STORED, 3) + b"abc",
        HEADER.pack(STORED, 3) + b"abc" + HEADER.pack(END, 0)[:3],
    ],
)
def test_what_is_cut_off_is_never_an_end(sent: bytes) -> None:
    with pytest.raises(EOFError):
        whole(sent)


@pytest.mark.parametrize(
    "sent",
    [
        HEADER.pack(b"X", 3) + b"abc",
        HEADER.pack(STORED, 0),
        HEADER.pack(STORED, MOST_BYTES + 1),
        HEADER.pack(END, 1) + b"a",
        HEADER.pack(DEFLATED, 3) + b"abc",
        HEADER.pack(DEFLATED, 30) + zlib.compress(bytes(range(100)))[:30],
        # What 17 MB of zeros shrink to.
        HEADER.pack(DEFLATED, len(zlib.compress(bytes(MOST_BYTES + 1))))
        + zlib.compress(bytes(MOST_BYTES + 1)),
    ],
)
def test_what_is_no_block_is_said(sent: bytes) -> None:
    with pytest.raises(BlocksError):
        whole(sent)


def test_a_large_piece_goes_in_blocks_that_the_reader_takes() -> None:
    sent = io.BytesIO()
    writer = BlockWriter(sent)
    writer.write(bytes(3 * BLOCK_BYTES + 1))
    writer.close()
    assert kinds(sent.getvalue()) == [STORED] * 4 + [END]
    assert whole(sent.getvalue()) == bytes(3 * BLOCK_BYTES + 1)
