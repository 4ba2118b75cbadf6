"""One completion, as the engine streams it."""

from __future__ import annotations

import json
from collections.abc import Callable

import httpx
import pytest

from rocminfra.failure import ExitCode, FailedError
from rocminfra.runner.hosts.chatting import Question, Reply, chat

QUESTION = Question("org/model", "Hello", 10)


def piece(text: str | None = None, finish: str | None = None) -> str:
    delta = {} if text is None else {"content": text}
    return "data: " + json.dumps({"choices": [{"delta": delta, "finish_reason": finish}]})


USAGE = 'data: {"choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": 2}}'
DONE = "data: [DONE]"


def ask(
    answer: Callable[[httpx.Request], httpx.Response],
) -> tuple[Reply, list[str], list[httpx.Request]]:
    shown: list[str] = []
    requests: list[httpx.Request] = []
    seconds = iter(range(100))

    def handle(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        return answer(request)

    reply = chat(
        "http://127.0.0.1:1/v1",
        QUESTION,
        shown.append,
        clock=lambda: float(next(seconds)),
        transport=httpx.MockTransport(handle),
    )
    return reply, shown, requests


def streaming(*lines: str, status: int = 200) -> Callable[[httpx.Request], httpx.Response]:
    return lambda _request: httpx.Response(status, text="\n\n".join(lines) + "\n\n")


def test_pieces_are_shown_as_they_come_and_counted_as_the_engine_says() -> None:
    reply, shown, (request,) = ask(
        streaming(piece("Hel"), piece("lo"), piece(finish="stop"), USAGE, DONE)
    )
    assert shown == ["Hel", "lo"]
    assert reply == Reply("Hello", "stop", 7, 2, first_token_s=1.0, seconds=2.0)
    body = json.loads(request.content)
    assert body["model"] == "org/model"
    assert body["messages"] == [{"role": "user", "content": "Hello"}]
    assert body["max_tokens"] == 10


def test_an_engine_that_does_not_count_is_not_counted_for() -> None:
    reply, _, _ = ask(streaming(piece("a", "length"), DONE))
    assert (reply.prompt_tokens, reply.output_tokens, reply.finish_reason) == (None, None, "length")


@pytest.mark.parametrize(
    ("answer", "kind", "words"),
    [
        (
            streaming('{"error": {"message": "no such model"}}', status=404),
            ExitCode.SETTINGS,
            "no such model",
        ),
        (streaming('{"message": "top level"}', status=400), ExitCode.SETTINGS, "top level"),
        (streaming("<html>", status=502), ExitCode.NOT_READY, "<html>"),
        (streaming('"text"', status=503), ExitCode.NOT_READY, '"text"'),
    ],
)
def test_a_refusal_shows_the_engines_own_words(
    answer: Callable[[httpx.Request], httpx.Response], kind: ExitCode, words: str
) -> None:
    with pytest.raises(FailedError) as caught:
        ask(answer)
    assert caught.value.failure.kind is kind
    assert words in caught.value.failure.why


@pytest.mark.parametrize(
    ("lines", "what"),
    [
        ((piece("a"),), "the answer broke off"),
        ((piece("a"), "data: {half"), "the answer broke off"),
        ((), "the engine does not answer"),
    ],
)
def test_a_stream_without_its_end_is_no_answer(lines: tuple[str, ...], what: str) -> None:
    with pytest.raises(FailedError) as caught:
        ask(streaming(*lines))
    assert caught.value.failure.kind is ExitCode.NOT_READY
    assert caught.value.failure.what == what


def test_no_connection_is_no_answer() -> None:
    def refuse(_request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("Connection refused")

    with pytest.raises(FailedError) as caught:
        ask(refuse)
    assert (caught.value.failure.kind, caught.value.failure.what) == (
        ExitCode.NOT_READY,
        "the engine does not answer",
    )
