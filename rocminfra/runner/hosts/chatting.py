"""One completion from the engine of a host."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx

from rocminfra.failure import Do, FailedError, Fault

# The first token of a long prompt on a busy engine may take a while; silence longer is trouble.
TIMEOUT = httpx.Timeout(10, read=300)


@dataclass(frozen=True)
class Question:
    """What is asked.

    + model: as the engine calls it
    + prompt: the user's message
    + max_tokens: of the answer at most
    + temperature: 0 gives the likeliest answer
    """

    model: str
    prompt: str
    max_tokens: int
    temperature: float = 0.0

    @property
    def body(self) -> dict[str, Any]:
        """The request, in OpenAI's form."""
        return {
            "model": self.model,
            "messages": [{"role": "user", "content": self.prompt}],
            "max_tokens": self.max_tokens,
            "temperature": self.temperature,
            "stream": True,
            "stream_options": {"include_usage": True},
        }


@dataclass(frozen=True)
class Reply:
    """What was answered.

    + text: the whole answer
    + finish_reason: why it ended: ``stop``, or ``length`` when max_tokens were used up
    + prompt_tokens, output_tokens: as the engine counted; None when it does not say
    + first_token_s: seconds until the first piece of text came; None when none did
    + seconds: until the end
    """

    text: str
    finish_reason: str | None
    prompt_tokens: int | None
    output_tokens: int | None
    first_token_s: float | None
    seconds: float


def chat(
    base_url: str,
    question: Question,
    show: Callable[[str], None],
    clock: Callable[[], float] = time.monotonic,
    transport: httpx.BaseTransport | None = None,
) -> Reply:
    """Ask, and show pieces of the answer as they come.

    + base_url: such as ``http://127.0.0.1:8000/v1``
    + show: takes pieces of text
    + transport: of the requests; for tests

    Raises :class:`FailedError` (NOT_READY) when there is no answer, or it breaks off.
    """
    began = clock()
    pieces: list[str] = []
    first: float | None = None
    finish: str | None = None
    usage: dict[str, Any] = {}
    done = False
    try:
        with (
            httpx.Client(timeout=TIMEOUT, transport=transport, trust_env=False) as client,
            client.stream("POST", f"{base_url}/chat/completions", json=question.body) as response,
        ):
            if response.status_code != httpx.codes.OK:
                raise _refused(response)
            for line in response.iter_lines():
                if not line.startswith("data:"):
                    continue
                data = line.removeprefix("data:").strip()
                if data == "[DONE]":
                    done = True
                    break
                piece = json.loads(data)
                usage = piece.get("usage") or usage
                for choice in piece.get("choices", ()):
                    finish = choice.get("finish_reason") or finish
                    text = choice.get("delta", {}).get("content")
                    if text:
                        first = clock() - began if first is None else first
                        pieces.append(text)
                        show(text)
    except (httpx.HTTPError, ValueError) as error:
        raise _no_answer(error, bool(pieces)) from error
    if not done:
        raise _no_answer(EOFError("the stream ended before its end mark"), bool(pieces))
    return Reply(
        "".join(pieces),
        finish,
        usage.get("prompt_tokens"),
        usage.get("completion_tokens"),
        first,
        clock() - began,
    )


def _refused(response: httpx.Response) -> FailedError:
    said = response.read().decode("utf-8", "replace").strip()
    try:
        document = json.loads(said)
        said = str(document.get("error", document).get("message", said))
    except (ValueError, AttributeError):
        pass
    why = tuple(said.splitlines()[:5])
    is_ours = 400 <= response.status_code < 500
    return FailedError(
        Fault.QUESTION_REFUSED if is_ours else Fault.ENGINE_NOT_READY,
        f"the engine refused the question (HTTP {response.status_code})",
        why,
        None if is_ours else Do("rocminfra status"),
    )


def _no_answer(error: Exception, begun: bool) -> FailedError:
    words = str(error) or type(error).__name__
    what = "the answer broke off" if begun else "the engine does not answer"
    return FailedError(Fault.ENGINE_NOT_READY, what, (words,), Do("rocminfra status"))
