"""What comes back is either exactly what the host said, or nothing."""

from __future__ import annotations

import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rocminfra.connectors.answers import Answer, AnswerStream, BrokenStreamError
from rocminfra.host.sent.fact_batch import ANSWERED, END, HEADER, MAGIC, SLOW

NONCE = "0123456789abcdef"


def written(*frames: tuple[int, int, int, bytes, bytes], end: bool = True) -> bytes:
    body = b"".join(
        HEADER.pack(index, kind, status, 1500, len(out), len(err)) + out + err
        for index, kind, status, out, err in frames
    )
    if end:
        body += HEADER.pack(0, END, 0, 0, 0, 0)
    return MAGIC + NONCE.encode() + b"\n" + zlib.compress(body)


@given(
    answers=st.lists(st.tuples(st.integers(-1, 255), st.binary(), st.binary()), max_size=8),
    cuts=st.integers(1, 50),
)
def test_answers_arrive_whole_however_the_stream_is_cut(
    answers: list[tuple[int, bytes, bytes]], cuts: int
) -> None:
    data = written(
        *((index, ANSWERED, status, out, err) for index, (status, out, err) in enumerate(answers))
    )
    stream = AnswerStream(NONCE, 1_000_000)
    found: dict[int, Answer | None] = {}
    for start in range(0, len(data), cuts):
        found.update(stream.feed(data[start : start + cuts]))
    assert stream.complete
    assert found == {
        index: Answer(status, out, err, 1.5) for index, (status, out, err) in enumerate(answers)
    }


@given(length=st.integers(0, 200))
def test_a_stream_that_ends_early_is_not_complete(length: int) -> None:
    data = written((0, ANSWERED, 0, b"out", b"err"))
    stream = AnswerStream(NONCE, 1_000_000)
    stream.feed(data[: min(length, len(data) - 12)])
    assert not stream.complete


def test_a_command_without_an_answer_is_said_to_have_none() -> None:
    stream = AnswerStream(NONCE, 1000)
    assert stream.feed(written((3, SLOW, 0, b"", b""))) == {3: None}


@pytest.mark.parametrize(
    "first", [b"Welcome!\n", b"\0", MAGIC + b"another-nonce---\n", b"sh: python3: not found\n"]
)
def test_anything_else_first_is_no_answer(first: bytes) -> None:
    with pytest.raises(BrokenStreamError, match="the host first printed"):
        AnswerStream(NONCE, 1000).feed(first + written())


def test_garbage_after_the_greeting_is_no_answer() -> None:
    with pytest.raises(BrokenStreamError, match="decompressed"):
        AnswerStream(NONCE, 1000).feed(MAGIC + NONCE.encode() + b"\nnot zlib")


def test_a_stream_that_unpacks_to_too_much_is_given_up_before_it_fills_the_memory() -> None:
    bomb = written((0, ANSWERED, 0, b"\0" * 50_000_000, b""))
    assert len(bomb) < 100_000
    with pytest.raises(BrokenStreamError, match="larger than the limit"):
        AnswerStream(NONCE, 1_000_000).feed(bomb)
