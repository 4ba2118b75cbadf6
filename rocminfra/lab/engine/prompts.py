"""Reduce a request's JSON body to the counts that the engine needs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from rocminfra.lab.engine.errors import ApiError, bad_request, invalid_body, unknown_model
from rocminfra.lab.engine.images import image_size
from rocminfra.planning.engine.model_shape import VisionShape, image_grid
from rocminfra.planning.engine.request import ImageSpan

_ROLES = ("system", "developer", "user", "assistant", "tool")
_DEFAULT_SYSTEM = "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n"


@dataclass(frozen=True)
class Prompt:
    """A prompt as counts.

    + tokens: all of them, images included
    + images: positions of its images
    + digest: digest of the text, which determines the length of an answer without a limit
    """

    tokens: int
    images: tuple[ImageSpan, ...]
    digest: int


@dataclass(frozen=True)
class Sampling:
    """Options of an answer.

    + max_tokens: tokens after which it ends
    + is_limited: whether the client set that number
    + ignore_eos: always continue to ``max_tokens``
    """

    max_tokens: int
    is_limited: bool
    ignore_eos: bool
    stream: bool
    include_usage: bool
    continuous_usage: bool


@dataclass(frozen=True)
class ServedModel:
    """The served model, against which prompts are checked.

    + names: the model's, as clients may ask for it
    + max_model_len: tokens of prompt and answer together
    + vision: how images become tokens
    + max_pixels: cap of an image's pixels, or None
    + count: counts the tokens of a text
    """

    names: tuple[str, ...]
    max_model_len: int
    vision: VisionShape
    max_pixels: int | None
    count: Callable[[str], int]


def load_body(body: bytes) -> dict[str, Any]:
    """The JSON object in ``body``; raises ApiError (400) like vLLM for anything else."""
    try:
        value = json.loads(body)
    except UnicodeDecodeError as error:
        raise ApiError(400, f"There was an error parsing the body: {error}") from error
    except ValueError as error:
        position = error.pos if isinstance(error, json.JSONDecodeError) else 0
        reason = error.msg if isinstance(error, json.JSONDecodeError) else str(error)
        raise invalid_body(
            "json_invalid",
            ["body", position],
            "JSON decode error",
            f", 'input': {{}}, 'ctx': {{'error': {reason!r}}}",
        ) from error
    if not isinstance(value, dict):
        raise invalid_body(
            "model_attributes_type",
            ["body"],
            "Input should be a valid dictionary or object to extract fields from",
        )
    return value


def check_model(body: dict[str, Any], model: ServedModel) -> str:
    """The name under which the client asks, or the first one; ApiError (404) for another."""
    name = body.get("model")
    if name is None or name == "":
        return model.names[0]
    if name not in model.names:
        raise unknown_model(str(name))
    return str(name)


def chat_prompt(body: dict[str, Any], model: ServedModel) -> Prompt:
    """The prompt of ``/v1/chat/completions``, with Qwen's chat template around it."""
    messages = body.get("messages")
    if messages is None:
        raise invalid_body("missing", ["body", "messages"], "Field required")
    if not isinstance(messages, list) or not messages:
        raise bad_request("messages must be a list with at least one message", "messages")
    builder = _Builder(model)
    if not any(isinstance(item, dict) and item.get("role") == "system" for item in messages[:1]):
        builder.text(_DEFAULT_SYSTEM)
    for message in messages:
        if not isinstance(message, dict) or message.get("role") not in _ROLES:
            raise bad_request(f"Unknown role in message: {message!r:.100}", "messages")
        builder.text(f"<|im_start|>{message['role']}\n")
        builder.content(message.get("content"))
        builder.text("<|im_end|>\n")
    builder.text("<|im_start|>assistant\n")
    return builder.done()


def text_prompt(body: dict[str, Any], model: ServedModel) -> Prompt:
    """The prompt of ``/v1/completions``: a text, or a list of token ids."""
    prompt = body.get("prompt")
    if isinstance(prompt, list) and len(prompt) == 1 and not isinstance(prompt[0], int):
        prompt = prompt[0]
    if prompt is None:
        raise bad_request("Either prompt or prompt_embeds must be provided and non-empty.")
    builder = _Builder(model)
    if isinstance(prompt, str):
        builder.text(prompt)
    elif isinstance(prompt, list) and prompt and all(isinstance(item, int) for item in prompt):
        builder.ids(prompt)
    else:
        raise bad_request("The simulated engine takes one prompt a request", "prompt")
    return builder.done()


def sampling(body: dict[str, Any], prompt: Prompt, model: ServedModel, default: int) -> Sampling:
    """The answer's length limit and options.

    + default: tokens if the request sets no limit; 16 for completions, the rest of the model's
      length for chats
    """
    if _integer(body, "n", 1) != 1:
        raise bad_request("The simulated engine gives one answer a request (n=1)", "n")
    if prompt.tokens < 1:
        raise bad_request("The decoder prompt cannot be empty")
    limit = _integer(body, "max_completion_tokens", _integer(body, "max_tokens", None))
    if limit is not None and limit < 1:
        raise bad_request(f"max_tokens must be at least 1, got {limit}.", "max_tokens")
    left = model.max_model_len - prompt.tokens
    if left < 1 or (limit is not None and limit > left):
        wanted = 1 if limit is None else limit
        raise bad_request(
            f"This model's maximum context length is {model.max_model_len} tokens. However, you "
            f"requested {wanted} output tokens and your prompt contains at least {prompt.tokens} "
            f"input tokens, for a total of at least {prompt.tokens + wanted} tokens. Please "
            "reduce the length of the input prompt or the number of requested output tokens. "
            f"(parameter=input_tokens, value={prompt.tokens})",
            "input_tokens",
        )
    options = body.get("stream_options")
    stream = body.get("stream") is True
    if options is not None and not stream:
        raise bad_request("Stream options can only be defined when `stream=True`.")
    usage = options if isinstance(options, dict) else {}
    include = usage.get("include_usage") is True
    return Sampling(
        max_tokens=min(left, default) if limit is None else limit,
        is_limited=limit is not None,
        ignore_eos=body.get("ignore_eos") is True,
        stream=stream,
        include_usage=include,
        continuous_usage=include and usage.get("continuous_usage_stats") is True,
    )


def answer_length(prompt: Prompt, how: Sampling, median: int) -> tuple[int, str]:
    """Tokens of the answer, and its finish reason: ``length`` or ``stop``.

    A model without a limit stops on its own; this one stops after half to one and a half times
    ``median`` tokens, always the same for the same prompt.
    """
    if how.ignore_eos:
        return how.max_tokens, "length"
    spread = max(1, median // 2)
    own = max(1, median - spread + prompt.digest % (2 * spread + 1))
    return (own, "stop") if own <= how.max_tokens else (how.max_tokens, "length")


class _Builder:
    """Accumulates a prompt's counts, piece by piece."""

    def __init__(self, model: ServedModel) -> None:
        self._model = model
        self._tokens = 0
        self._images: list[ImageSpan] = []
        self._hash = hashlib.blake2b(digest_size=8)

    def text(self, text: str) -> None:
        self._hash.update(text.encode(errors="surrogatepass"))
        self._tokens += self._model.count(text)

    def ids(self, ids: list[int]) -> None:
        self._hash.update(json.dumps(ids).encode())
        self._tokens += len(ids)

    def content(self, content: object) -> None:
        if content is None:
            return
        if isinstance(content, str):
            self.text(content)
            return
        if not isinstance(content, list):
            raise bad_request("content must be a text or a list of parts", "messages")
        for part in content:
            self._part(part)

    def _part(self, part: object) -> None:
        kind = part.get("type") if isinstance(part, dict) else None
        if isinstance(part, str):
            self.text(part)
        elif isinstance(part, dict) and kind == "text" and isinstance(part.get("text"), str):
            self.text(part["text"])
        elif isinstance(part, dict) and kind == "image_url":
            url = part.get("image_url")
            self._image(url.get("url") if isinstance(url, dict) else url)
        else:
            raise bad_request(f"Unknown part type: {kind}", "messages")

    def _image(self, url: object) -> None:
        if not isinstance(url, str):
            raise bad_request("Missing 'url' of an image_url part", "messages")
        self._hash.update(hashlib.blake2b(url.encode(errors="surrogatepass")).digest())
        width, height = image_size(url)
        try:
            grid = image_grid(width, height, self._model.vision, self._model.max_pixels)
        except ValueError as error:
            raise bad_request(str(error)) from error
        self.text("<|vision_start|>")
        self._images.append(ImageSpan(self._tokens, grid.tokens, grid.patches))
        self._tokens += grid.tokens
        self.text("<|vision_end|>")

    def done(self) -> Prompt:
        digest = int.from_bytes(self._hash.digest(), "big")
        return Prompt(self._tokens, tuple(self._images), digest)


def _integer(body: dict[str, Any], name: str, default: Any) -> Any:
    value = body.get(name)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int):
        raise invalid_body(
            "int_type", ["body", name], "Input should be a valid integer", f", 'input': {value!r}"
        )
    return value
