"""A simulated engine inside the test's own event loop, on a port of its own."""

from __future__ import annotations

import asyncio
import base64
import dataclasses
import io
import struct
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import httpx

from rocminfra.lab import toy_model
from rocminfra.lab.engine.arguments import ServeArguments, parse
from rocminfra.lab.engine.clock import Clock, InstantClock
from rocminfra.lab.engine.logs import EngineLog
from rocminfra.lab.engine.modelled import modelled
from rocminfra.lab.engine.serve import bind, served_length
from rocminfra.lab.engine.server import Server
from rocminfra.lab.engine.simulation import Simulation
from rocminfra.lab.engine.startup import Load
from rocminfra.lab.engine.tokenizer import ServedTokenizer

MODEL = "Qwen/Qwen2-VL-72B-Instruct"
REFERENCE_FLAGS = (
    *("--served-model-name", MODEL, "--host", "127.0.0.1", "--port", "0"),
    *("--dtype", "bfloat16", "--gpu-memory-utilization", "0.92", "--max-model-len", "16384"),
    *("--max-num-seqs", "64", "--max-num-batched-tokens", "8192", "--enable-chunked-prefill"),
)


@lru_cache(maxsize=1)
def toy_folder() -> Path:
    """The toy model, made once a test run, in pytest's temporary folder."""
    return toy_model.build(Path(mkdtemp(prefix="toy-model-")) / "toy")


@dataclass
class Running:
    """A server that answers."""

    server: Server
    client: httpx.AsyncClient
    port: int
    output: io.StringIO
    task: asyncio.Task[int]

    def log(self) -> str:
        return self.output.getvalue()

    async def post(self, path: str, **body: Any) -> httpx.Response:
        return await self.client.post(path, json=body)

    async def metrics(self) -> dict[str, float]:
        """Values of ``/metrics`` by name and labels."""
        text = (await self.client.get("/metrics")).text
        lines = [line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#")]
        return {name: float(value) for name, value in lines}


def arguments(*flags: str) -> ServeArguments:
    return parse(["serve", str(toy_folder()), *REFERENCE_FLAGS, *flags])


@asynccontextmanager
async def running(
    *flags: str,
    simulation: Simulation | None = None,
    clock: Clock | None = None,
    api_keys: tuple[str, ...] = (),
) -> AsyncIterator[Running]:
    """A server with the reference run's flags and ``flags``, ready, and stopped afterwards."""
    parsed = arguments(*flags)
    simulated = dataclasses.replace(simulation or Simulation(), load_seconds=0.0)
    length = served_length(parsed)
    load = Load(parsed, simulated, modelled(parsed, simulated, length), length)
    listener = bind(parsed)
    port: int = listener.getsockname()[1]
    output = io.StringIO()
    server = Server(
        load,
        ServedTokenizer(toy_folder()),
        listener,
        EngineLog(output),
        api_keys,
        clock=clock or InstantClock(),
    )
    task = asyncio.create_task(server.run())
    ready = asyncio.create_task(server.ready.wait())
    await asyncio.wait({task, ready}, return_when=asyncio.FIRST_COMPLETED)
    ready.cancel()
    try:
        async with httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{port}", timeout=20, trust_env=False
        ) as client:
            yield Running(server, client, port, output, task)
    finally:
        server.stop()
        await task


def in_loop(scenario: Callable[[], Awaitable[None]]) -> None:
    """Run an asynchronous test, with a deadline."""

    async def bounded() -> None:
        await asyncio.wait_for(asyncio.ensure_future(scenario()), timeout=30)

    asyncio.run(bounded())


def png(width: int, height: int) -> bytes:
    """The smallest PNG that has a size; its pixels do not matter here."""
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    chunk = struct.pack(">I", len(header)) + b"IHDR" + header
    return b"\x89PNG\r\n\x1a\n" + chunk + struct.pack(">I", zlib.crc32(b"IHDR" + header))


def jpeg(width: int, height: int) -> bytes:
    """The start of a JPEG as cameras and PIL write it: APP0, a table, then the frame."""
    app0 = b"\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00"
    table = b"\xff\xc4\x00\x04\x00\x00"
    frame = b"\xff\xc2\x00\x11\x08" + struct.pack(">HH", height, width) + b"\x03" + bytes(9)
    return b"\xff\xd8" + app0 + table + frame


def data_url(image: bytes, kind: str = "png") -> str:
    return f"data:image/{kind};base64,{base64.b64encode(image).decode()}"
