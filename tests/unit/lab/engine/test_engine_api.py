"""What a client of vLLM sees, over a real socket."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx
import pytest
from engine_under_test import MODEL, Running, data_url, in_loop, jpeg, png, running

from rocminfra.lab.engine.clock import ScaledClock
from rocminfra.lab.engine.simulation import FailureMode, Simulation

HELLO = [{"role": "user", "content": "hello"}]


async def events(engine: Running, path: str, **body: Any) -> list[dict[str, Any]]:
    """A streamed answer's events; the end mark is checked and left out."""
    async with engine.client.stream("POST", path, json={**body, "stream": True}) as response:
        assert response.status_code == 200
        assert response.headers["content-type"].startswith("text/event-stream")
        lines = [line async for line in response.aiter_lines() if line]
    assert all(line.startswith("data: ") for line in lines)
    assert lines[-1] == "data: [DONE]"
    return [json.loads(line.removeprefix("data: ")) for line in lines[:-1]]


def test_models_version_health_and_the_rest_answer_as_vllm_does() -> None:
    async def scenario() -> None:
        async with running() as engine:
            models = (await engine.client.get("/v1/models")).json()
            (card,) = models["data"]
            assert card["id"] == MODEL
            assert card["max_model_len"] == 16_384
            assert (await engine.client.get("/version")).json() == {"version": "0.20.1+sim"}
            for path in ("/health", "/ping"):
                answer = await engine.client.get(path)
                assert (answer.status_code, answer.content) == (200, b"")
            assert (await engine.client.get("/load")).json() == {"server_load": 0}
            assert (await engine.client.get("/v2")).status_code == 404
            assert (await engine.client.get("/v1/completions")).status_code == 405

    in_loop(scenario)


def test_a_chat_has_the_tokens_that_were_asked_for() -> None:
    async def scenario() -> None:
        async with running() as engine:
            response = await engine.post(
                "/v1/chat/completions", model=MODEL, messages=HELLO, max_tokens=7, ignore_eos=True
            )
            answer = response.json()
            usage = answer["usage"]
            assert usage["completion_tokens"] == 7
            assert usage["total_tokens"] == usage["prompt_tokens"] + 7
            assert answer["choices"][0]["finish_reason"] == "length"
            text = answer["choices"][0]["message"]["content"]
            tokens = await engine.post("/tokenize", prompt=text)
            assert tokens.json()["count"] == 7

    in_loop(scenario)


def test_a_model_left_alone_stops_by_itself_and_always_at_the_same_place() -> None:
    async def scenario() -> None:
        async with running() as engine:
            answers = [
                (await engine.post("/v1/chat/completions", messages=HELLO)).json() for _ in range(2)
            ]
            assert [answer["choices"][0]["finish_reason"] for answer in answers] == ["stop"] * 2
            lengths = {answer["usage"]["completion_tokens"] for answer in answers}
            assert len(lengths) == 1
            assert 10 <= lengths.pop() <= 28

    in_loop(scenario)


def test_a_streamed_chat_has_a_role_its_tokens_an_end_and_the_usage() -> None:
    async def scenario() -> None:
        async with running() as engine:
            options = {"include_usage": True, "continuous_usage_stats": True}
            got = await events(
                engine,
                "/v1/chat/completions",
                messages=HELLO,
                max_completion_tokens=5,
                ignore_eos=True,
                stream_options=options,
            )
            assert got[0]["choices"][0]["delta"]["role"] == "assistant"
            assert got[-1]["choices"] == []
            assert got[-2]["choices"][0]["finish_reason"] == "length"
            counts = [event["usage"]["completion_tokens"] for event in got]
            assert counts == sorted(counts)
            assert counts[0] == 0
            assert counts[-1] == 5
            assert len({event["id"] for event in got}) == 1

    in_loop(scenario)


def test_without_options_no_event_has_a_usage() -> None:
    async def scenario() -> None:
        async with running() as engine:
            got = await events(engine, "/v1/completions", prompt="one two", max_tokens=4)
            assert not any("usage" in event for event in got)
            text = "".join(event["choices"][0]["text"] for event in got)
            assert (await engine.post("/tokenize", prompt=text)).json()["count"] == 4

    in_loop(scenario)


@pytest.mark.parametrize(
    ("image", "flags", "tokens"),
    [
        (data_url(png(1_700, 2_200)), (), 4_819),
        (data_url(jpeg(1_700, 2_200), "jpeg"), (), 4_819),
        (
            data_url(jpeg(1_700, 2_200), "jpeg"),
            ("--mm-processor-kwargs", '{"max_pixels":1003520}'),
            1_240,
        ),
    ],
    ids=["png", "jpeg", "capped"],
)
def test_an_image_counts_as_its_tokens(image: str, flags: tuple[str, ...], tokens: int) -> None:
    async def scenario() -> None:
        async with running(*flags) as engine:

            async def prompt_tokens(content: object) -> int:
                response = await engine.post(
                    "/v1/chat/completions",
                    messages=[{"role": "user", "content": content}],
                    max_tokens=1,
                )
                count: int = response.json()["usage"]["prompt_tokens"]
                return count

            text = {"type": "text", "text": "What is the total?"}
            part = {"type": "image_url", "image_url": {"url": image}}
            # The two marks around an image are tokens as well.
            assert await prompt_tokens([part, text]) - await prompt_tokens([text]) == tokens + 2

    in_loop(scenario)


@pytest.mark.parametrize(
    ("path", "body", "status", "words"),
    [
        ("/v1/chat/completions", b'{"messages"', 400, "JSON decode error"),
        ("/v1/chat/completions", b"[]", 400, "valid dictionary"),
        ("/v1/chat/completions", b"{}", 400, "Field required"),
        ("/v1/chat/completions", b'{"messages":[{"role":"x"}]}', 400, "Unknown role"),
        ("/v1/completions", b'{"model":"gpt","prompt":"a"}', 404, "The model `gpt` does not exist"),
        ("/v1/completions", b"{}", 400, "prompt"),
        ("/v1/completions", b'{"prompt":"a","max_tokens":"7"}', 400, "valid integer"),
        ("/v1/completions", b'{"prompt":"a","max_tokens":0}', 400, "at least 1"),
        ("/v1/completions", b'{"prompt":"a","n":2}', 400, "n=1"),
        ("/v1/completions", b'{"prompt":"a","max_tokens":16384}', 400, "maximum context length"),
        ("/v1/completions", b'{"prompt":"a","stream_options":{}}', 400, "stream=True"),
        ("/nothing", b"{}", 404, "Not Found"),
    ],
)
def test_a_bad_request_is_answered_with_vllms_error_object(
    path: str, body: bytes, status: int, words: str
) -> None:
    async def scenario() -> None:
        async with running() as engine:
            response = await engine.client.post(path, content=body)
            error = response.json()["error"]
            assert response.status_code == error["code"] == status
            assert words in error["message"]
            assert set(error) == {"message", "type", "param", "code"}

    in_loop(scenario)


def test_a_prompt_longer_than_the_model_says_how_long_it_is() -> None:
    async def scenario() -> None:
        async with running() as engine:
            response = await engine.post("/v1/completions", prompt=[5] * 16_384)
            assert response.status_code == 400
            assert "at least 16384 input tokens" in response.json()["error"]["message"]
            fits = await engine.post("/v1/completions", prompt=[5] * 16_380, max_tokens=4)
            assert fits.json()["usage"]["total_tokens"] == 16_384

    in_loop(scenario)


@pytest.mark.parametrize(
    "url",
    [
        "http://169.254.169.254/metadata/v1.json",
        "data:image/png,abc",
        "data:image/png;base64,AAAA",
        data_url(png(1, 5_000)),
    ],
    ids=["fetch", "not base64", "no image", "too narrow"],
)
def test_an_image_that_cannot_be_used_is_the_clients_fault(url: str) -> None:
    async def scenario() -> None:
        async with running() as engine:
            part = {"type": "image_url", "image_url": {"url": url}}
            messages = [{"role": "user", "content": [part]}]
            response = await engine.post("/v1/chat/completions", messages=messages)
            assert response.status_code == 400

    in_loop(scenario)


def test_a_key_guards_v1_and_nothing_else() -> None:
    async def scenario() -> None:
        async with running(api_keys=("one", "two")) as engine:
            assert (await engine.client.get("/v1/models")).status_code == 401
            assert (await engine.client.get("/health")).status_code == 200
            for key, status in (("two", 200), ("three", 401)):
                headers = {"Authorization": f"Bearer {key}"}
                answer = await engine.client.get("/v1/models", headers=headers)
                assert answer.status_code == status

    in_loop(scenario)


def test_metrics_count_what_was_served() -> None:
    async def scenario() -> None:
        async with running() as engine:
            before = await engine.metrics()
            body = {"prompt": [5] * 100, "max_tokens": 10, "ignore_eos": True}
            await asyncio.gather(*(engine.post("/v1/completions", **body) for _ in range(3)))
            after = await engine.metrics()
            labels = f'{{engine="0",model_name="{MODEL}"}}'
            for name, rise in (
                ("prompt_tokens_total", 300),
                ("generation_tokens_total", 30),
                ("time_to_first_token_seconds_count", 3),
                ("inter_token_latency_seconds_count", 27),
                ("e2e_request_latency_seconds_count", 3),
                ("num_preemptions_total", 0),
            ):
                key = f"vllm:{name}{labels}"
                assert after[key] - before[key] == rise, name
            finished = f'{{engine="0",model_name="{MODEL}",finished_reason="length"}}'
            assert after[f"vllm:request_success_total{finished}"] == 3
            assert after[f"vllm:kv_cache_usage_perc{labels}"] == 0
            (info,) = [name for name in after if name.startswith("vllm:cache_config_info")]
            assert 'num_gpu_blocks="6590"' in info
            assert 'block_size="16"' in info
            assert 'gpu_memory_utilization="0.92"' in info
            assert not any("gpu_cache_usage_perc" in name for name in after)
            buckets = [name for name in after if "inter_token_latency_seconds_bucket" in name]
            assert 'le="0.01"' in buckets[0]

    in_loop(scenario)


def test_a_client_that_goes_frees_its_place() -> None:
    async def scenario() -> None:
        # So slow that the answer cannot end before the client goes.
        async with running(clock=ScaledClock(0.01)) as engine:
            body = {"prompt": "a", "max_tokens": 1_000, "ignore_eos": True, "stream": True}
            async with httpx.AsyncClient(trust_env=False) as client:
                url = f"http://127.0.0.1:{engine.port}/v1/completions"
                async with client.stream("POST", url, json=body) as response:
                    assert response.status_code == 200
            aborted = f'{{engine="0",model_name="{MODEL}",finished_reason="abort"}}'
            for _ in range(500):
                if (await engine.metrics())[f"vllm:request_success_total{aborted}"]:
                    return
                await asyncio.sleep(0.01)
            raise AssertionError("the request is still there")

    in_loop(scenario)


def test_every_other_request_fails_when_half_of_them_shall() -> None:
    async def scenario() -> None:
        failing = Simulation(failure=FailureMode.ERRORS, failure_amount=0.5)
        async with running(simulation=failing) as engine:
            statuses = [
                (await engine.post("/v1/completions", prompt="a")).status_code for _ in range(4)
            ]
            assert statuses == [200, 500, 200, 500]

    in_loop(scenario)


def test_a_hung_engine_is_healthy_and_never_answers() -> None:
    async def scenario() -> None:
        async with running(simulation=Simulation(failure=FailureMode.HUNG)) as engine:
            with pytest.raises(httpx.ReadTimeout):
                await engine.client.post("/v1/completions", json={"prompt": "a"}, timeout=0.1)
            assert (await engine.client.get("/health")).status_code == 200

    in_loop(scenario)


def test_an_engine_that_dies_takes_the_server_with_it() -> None:
    async def scenario() -> None:
        dying = Simulation(failure=FailureMode.DIES_MID_RUN, failure_amount=2)
        async with running(simulation=dying) as engine:
            assert (await engine.post("/v1/completions", prompt="a")).status_code == 200
            with pytest.raises(httpx.TransportError):
                await engine.post("/v1/completions", prompt="a", max_tokens=5_000, ignore_eos=True)
            assert await engine.task == 1
            assert "EngineDeadError" in engine.log()

    in_loop(scenario)
