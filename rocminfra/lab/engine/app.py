"""The HTTP API: a handler per path."""

from __future__ import annotations

import asyncio
import hmac
import json
import time
from collections.abc import Awaitable, Callable

from rocminfra.lab.engine.answers import CHAT, TEXT, Answer, AnswerKind
from rocminfra.lab.engine.arguments import VERSION
from rocminfra.lab.engine.engine_loop import EngineLoop
from rocminfra.lab.engine.errors import ApiError, bad_request, internal_error
from rocminfra.lab.engine.failures import RequestFailures, Verdict
from rocminfra.lab.engine.http_server import Exchange
from rocminfra.lab.engine.metrics import EngineMetrics
from rocminfra.lab.engine.prompts import (
    Prompt,
    ServedModel,
    answer_length,
    chat_prompt,
    check_model,
    load_body,
    sampling,
    text_prompt,
)
from rocminfra.lab.engine.tokenizer import ServedTokenizer
from rocminfra.planning.engine.request import Request

# Tokens of a completion without a limit (the default of OpenAI and vLLM).
_COMPLETION_TOKENS = 16


class App:
    """Answers requests.

    + model: the served model
    + root: ``root`` of ``/v1/models``, the argument of ``vllm serve``
    + tokenizer: the model's
    + engine: the modelled engine
    + metrics: metrics for ``/metrics``
    + failures: which requests fail on purpose
    + api_keys: keys, one of which a request to ``/v1`` must have; empty means no key is needed
    + output_tokens: median length of an answer without a limit
    + tracks_load: whether ``/load`` counts
    """

    def __init__(
        self,
        model: ServedModel,
        root: str,
        tokenizer: ServedTokenizer,
        engine: EngineLoop,
        metrics: EngineMetrics,
        failures: RequestFailures,
        api_keys: tuple[str, ...] = (),
        output_tokens: int = 19,
        tracks_load: bool = False,
    ) -> None:
        self._model = model
        self._root = root
        self._tokenizer = tokenizer
        self._engine = engine
        self._metrics = metrics
        self._failures = failures
        self._api_keys = tuple(f"Bearer {key}".encode() for key in api_keys)
        self._output_tokens = output_tokens
        self._tracks_load = tracks_load
        self._created = int(time.time())
        self._load = 0
        self.is_dead = False
        self._routes: dict[tuple[str, str], Callable[[Exchange], Awaitable[None]]] = {
            ("GET", "/health"): self._health,
            ("GET", "/ping"): self._health,
            ("POST", "/ping"): self._health,
            ("GET", "/load"): self._server_load,
            ("GET", "/version"): self._version,
            ("GET", "/metrics"): self._show_metrics,
            ("GET", "/v1/models"): self._models,
            ("POST", "/v1/chat/completions"): self._chat,
            ("POST", "/v1/completions"): self._completion,
            ("POST", "/tokenize"): self._tokenize,
            ("POST", "/detokenize"): self._detokenize,
        }

    async def handle(self, exchange: Exchange) -> None:
        """Answer one request. The caller turns ApiError into an answer."""
        request = exchange.request
        method = "GET" if request.method == "HEAD" else request.method
        if self._api_keys and request.path.startswith("/v1") and method != "OPTIONS":
            given = request.headers.get("authorization", "").encode()
            if not any(hmac.compare_digest(given, key) for key in self._api_keys):
                exchange.send(401, b'{"error":"Unauthorized"}')
                return
        route = self._routes.get((method, request.path))
        if route is not None:
            await route(exchange)
            return
        if any(path == request.path for _, path in self._routes):
            raise ApiError(405, "Method Not Allowed")
        raise ApiError(404, "Not Found")

    async def _health(self, exchange: Exchange) -> None:
        exchange.send(503 if self.is_dead else 200)

    async def _server_load(self, exchange: Exchange) -> None:
        _send_json(exchange, {"server_load": self._load if self._tracks_load else 0})

    async def _version(self, exchange: Exchange) -> None:
        _send_json(exchange, {"version": VERSION})

    async def _show_metrics(self, exchange: Exchange) -> None:
        exchange.send(200, self._metrics.render(), "text/plain; version=1.0.0; charset=utf-8")

    async def _models(self, exchange: Exchange) -> None:
        cards: list[dict[str, object]] = [
            {
                "id": name,
                "object": "model",
                "created": self._created,
                "owned_by": "vllm",
                "root": self._root,
                "parent": None,
                "max_model_len": self._model.max_model_len,
                "permission": [],
            }
            for name in self._model.names
        ]
        _send_json(exchange, {"object": "list", "data": cards})

    async def _chat(self, exchange: Exchange) -> None:
        body = load_body(exchange.request.body)
        name = check_model(body, self._model)
        await self._generate(exchange, CHAT, name, body, chat_prompt(body, self._model))

    async def _completion(self, exchange: Exchange) -> None:
        body = load_body(exchange.request.body)
        name = check_model(body, self._model)
        await self._generate(exchange, TEXT, name, body, text_prompt(body, self._model))

    async def _generate(
        self,
        exchange: Exchange,
        kind: AnswerKind,
        name: str,
        body: dict[str, object],
        prompt: Prompt,
    ) -> None:
        default = self._model.max_model_len if kind is CHAT else _COMPLETION_TOKENS
        how = sampling(body, prompt, self._model, default)
        verdict = self._failures.next_request()
        if verdict is Verdict.ERROR:
            raise internal_error()
        if verdict is Verdict.HANG:
            await _until_gone(exchange)
            return
        length, reason = answer_length(prompt, how, self._output_tokens)
        answer = Answer(kind, name, prompt, how, self._tokenizer.json_words)
        request = Request(answer.id, prompt.tokens, length, prompt.images)
        if how.is_limited:
            self._metrics.request_max_tokens.observe(how.max_tokens)
        self._load += 1
        try:
            reply = _Stream if how.stream else _Whole
            await reply(exchange, answer).run(self._engine, request, reason)
        finally:
            self._load -= 1

    async def _tokenize(self, exchange: Exchange) -> None:
        body = load_body(exchange.request.body)
        check_model(body, self._model)
        prompt = body.get("prompt")
        ids: list[int] = []
        if isinstance(prompt, str):
            ids = self._tokenizer.encode(prompt)
            count = len(ids)
        elif "messages" in body:
            count = chat_prompt(body, self._model).tokens
        else:
            raise bad_request("Either prompt or messages must be provided.")
        answer = {"count": count, "max_model_len": self._model.max_model_len, "tokens": ids}
        _send_json(exchange, {**answer, "token_strs": None})

    async def _detokenize(self, exchange: Exchange) -> None:
        tokens = load_body(exchange.request.body).get("tokens")
        if not isinstance(tokens, list) or not all(isinstance(item, int) for item in tokens):
            raise bad_request("tokens must be a list of integers", "tokens")
        _send_json(exchange, {"prompt": self._tokenizer.decode(tokens)})


class _Reply:
    """Waits for a request to end and sends its tokens."""

    def __init__(self, exchange: Exchange, answer: Answer) -> None:
        self.exchange = exchange
        self.answer = answer
        self._ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def run(self, engine: EngineLoop, request: Request, reason: str) -> None:
        try:
            engine.submit(request, reason, self._tokens)
        except ValueError as error:
            raise bad_request(str(error)) from error
        self.begin()
        self.exchange.on_disconnect = lambda: engine.abort(request.id)
        if self.exchange.closed:
            engine.abort(request.id)
        await self._ended

    def begin(self) -> None:
        """Send what comes before the first token."""

    def _tokens(self, count: int, finish_reason: str | None) -> None:
        if finish_reason == "abort":
            if not self.exchange.closed:
                self.exchange.cut()
        else:
            self.give(count, finish_reason)
        if finish_reason is not None and not self._ended.done():
            self._ended.set_result(None)

    def give(self, count: int, finish_reason: str | None) -> None:
        raise NotImplementedError


class _Stream(_Reply):
    """Sends events as tokens arrive."""

    def begin(self) -> None:
        self.exchange.start_stream()

    def give(self, count: int, finish_reason: str | None) -> None:
        data = b"" if self.answer.generated else self.answer.opening()
        data += self.answer.piece(count, finish_reason)
        if finish_reason is None:
            self.exchange.write(data)
            return
        self.exchange.write(data + self.answer.ending())
        self.exchange.end_stream()


class _Whole(_Reply):
    """Sends the answer when it is complete."""

    def __init__(self, exchange: Exchange, answer: Answer) -> None:
        super().__init__(exchange, answer)
        self._count = 0

    def give(self, count: int, finish_reason: str | None) -> None:
        self._count += count
        if finish_reason is not None:
            self.exchange.send(200, self.answer.whole(self._count, finish_reason))


async def _until_gone(exchange: Exchange) -> None:
    """Never answer; return when the client has disconnected."""
    gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def tell() -> None:
        if not gone.done():
            gone.set_result(None)

    exchange.on_disconnect = tell
    await gone


def _send_json(exchange: Exchange, value: object) -> None:
    exchange.send(200, json.dumps(value).encode())
