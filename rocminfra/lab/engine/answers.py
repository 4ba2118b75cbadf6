"""Answers in OpenAI's format, streamed or whole. Constant parts are serialised once."""

from __future__ import annotations

import json
import time
import uuid
from dataclasses import dataclass

from rocminfra.lab.engine.prompts import Prompt, Sampling


@dataclass(frozen=True)
class AnswerKind:
    """How chats and completions differ.

    + id_prefix: prefix of an answer's id
    + whole, chunk: names of the objects
    """

    id_prefix: str
    whole: str
    chunk: str


CHAT = AnswerKind("chatcmpl-", "chat.completion", "chat.completion.chunk")
TEXT = AnswerKind("cmpl-", "text_completion", "text_completion")


class Answer:
    """One request's answer.

    + kind: chat or completion
    + model: name the client asked for
    + prompt, sampling: the request's
    + words: the answer's tokens as JSON strings without quotes
    """

    def __init__(
        self,
        kind: AnswerKind,
        model: str,
        prompt: Prompt,
        sampling: Sampling,
        words: tuple[bytes, ...],
    ) -> None:
        self.id = f"{kind.id_prefix}{uuid.uuid4().hex}"
        self.generated = 0
        self._kind = kind
        self._created = int(time.time())
        self._model = model
        self._prompt = prompt
        self._sampling = sampling
        self._words = words
        self._first = prompt.digest % len(words)
        name = json.dumps(model)
        self._head = (
            f'{{"id":"{self.id}","object":"{kind.chunk}","created":{self._created},'
            f'"model":{name},"choices":['
        ).encode()

    def opening(self) -> bytes:
        """The start of a streamed answer: a chat's role."""
        if self._kind is not CHAT:
            return b""
        choice = (
            b'{"index":0,"delta":{"role":"assistant","content":""},"logprobs":null,'
            b'"finish_reason":null}'
        )
        return self._event(choice, self._sampling.continuous_usage)

    def piece(self, count: int, finish_reason: str | None) -> bytes:
        """``count`` more tokens as one event, because vLLM merges queued tokens."""
        text = self._text(count)
        self.generated += count
        reason = b"null" if finish_reason is None else b'"%b"' % finish_reason.encode()
        if self._kind is CHAT:
            choice = (
                b'{"index":0,"delta":{"content":"%b"},"logprobs":null,"finish_reason":%b,'
                b'"token_ids":null}' % (text, reason)
            )
        else:
            choice = (
                b'{"index":0,"text":"%b","logprobs":null,"finish_reason":%b,'
                b'"stop_reason":null,"prompt_token_ids":null,"token_ids":null}' % (text, reason)
            )
        return self._event(choice, self._sampling.continuous_usage)

    def ending(self) -> bytes:
        """The end of a streamed answer: the usage if requested, and the end marker."""
        usage = self._event(b"", True) if self._sampling.include_usage else b""
        return usage + b"data: [DONE]\n\n"

    def whole(self, count: int, finish_reason: str) -> bytes:
        """The complete answer of ``count`` tokens."""
        text = json.loads(b'"%b"' % self._text(count))
        self.generated = count
        choice: dict[str, object]
        if self._kind is CHAT:
            message = {"role": "assistant", "content": text, "refusal": None, "tool_calls": []}
            choice = {"index": 0, "message": message, "logprobs": None}
        else:
            choice = {"index": 0, "text": text, "logprobs": None}
        choice |= {"finish_reason": finish_reason, "stop_reason": None, "token_ids": None}
        return json.dumps(
            {
                "id": self.id,
                "object": self._kind.whole,
                "created": self._created,
                "model": self._model,
                "choices": [choice],
                "service_tier": None,
                "system_fingerprint": None,
                "usage": json.loads(self._usage()),
                "kv_transfer_params": None,
            }
        ).encode()

    def _event(self, choice: bytes, with_usage: bool) -> bytes:
        usage = b',"usage":%b' % self._usage() if with_usage else b""
        return b"data: %b%b]%b}\n\n" % (self._head, choice, usage)

    def _usage(self) -> bytes:
        prompt = self._prompt.tokens
        return b'{"prompt_tokens":%d,"total_tokens":%d,"completion_tokens":%d}' % (
            prompt,
            prompt + self.generated,
            self.generated,
        )

    def _text(self, count: int) -> bytes:
        words = self._words
        start = self._first + self.generated
        if count == 1:
            return words[start % len(words)]
        return b"".join(words[index % len(words)] for index in range(start, start + count))
