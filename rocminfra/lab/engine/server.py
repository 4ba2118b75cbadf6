"""The server: loads the model, listens, and stops on request."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import time
from dataclasses import dataclass
from http import HTTPStatus

from rocminfra.lab.engine.app import App
from rocminfra.lab.engine.clock import Clock, ScaledClock
from rocminfra.lab.engine.engine_loop import EngineLoop
from rocminfra.lab.engine.failures import RequestFailures
from rocminfra.lab.engine.http_server import Connection, Exchange
from rocminfra.lab.engine.logs import EngineLog
from rocminfra.lab.engine.metrics import EngineMetrics
from rocminfra.lab.engine.modelled import Modelled
from rocminfra.lab.engine.prompts import ServedModel
from rocminfra.lab.engine.simulation import SimulationError
from rocminfra.lab.engine.startup import Load, LoadFailure, announce, failure_report, load_model
from rocminfra.lab.engine.stats import StatsLog
from rocminfra.lab.engine.tokenizer import ServedTokenizer
from rocminfra.planning.engine.core import EngineCore

# Real seconds for clients to receive the last bytes of their answers.
_FLUSH_S = 2.0


@dataclass(frozen=True)
class _Parts:
    """The server's parts once the model is loaded."""

    app: App
    engine: EngineLoop
    metrics: EngineMetrics


class Server:
    """Loads, listens, and stops.

    + load: what is served
    + tokenizer: the model's
    + listener: bound socket
    + log: where lines go
    + api_keys: keys of which a request needs one
    + stats_interval: real seconds between lines of statistics
    + clock: paces the engine; the real one, scaled, by default
    """

    def __init__(
        self,
        load: Load,
        tokenizer: ServedTokenizer,
        listener: socket.socket,
        log: EngineLog,
        api_keys: tuple[str, ...] = (),
        stats_interval: float = 10.0,
        clock: Clock | None = None,
    ) -> None:
        self._load = load
        self._tokenizer = tokenizer
        self._listener = listener
        self._log = log
        self._api_keys = api_keys
        self._stats_interval = stats_interval
        self._clock = ScaledClock(load.simulation.time_scale) if clock is None else clock
        self._stopping: asyncio.Event = asyncio.Event()
        self._is_dead = False
        self.ready: asyncio.Event = asyncio.Event()

    async def run(self) -> int:
        """Serve until a signal arrives or the engine dies. Returns the exit code."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop)
        announce(self._load, self._log)
        loading = asyncio.create_task(load_model(self._load, self._log))
        stopping = asyncio.create_task(self._stopping.wait())
        await asyncio.wait({loading, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if not loading.done():
            loading.cancel()
            return 128 + signal.SIGTERM
        try:
            loading.result()
        except LoadFailure as error:
            stopping.cancel()
            failure_report(error, self._log)
            return 1
        return await self._serve(self._parts())

    def stop(self) -> None:
        """Stop as after SIGTERM."""
        self._stopping.set()

    def _parts(self) -> _Parts:
        load = self._load
        arguments = load.arguments
        metrics = EngineMetrics(
            arguments.served_model_names[0], load.max_model_len, _cache_config(load.modelled, load)
        )
        core = EngineCore(load.modelled.scheduler, load.modelled.latency)
        engine = EngineLoop(core, self._clock, metrics)
        vision = load.modelled.model.vision
        if vision is None:
            raise SimulationError("the modelled engine has no vision encoder")
        model = ServedModel(
            names=arguments.served_model_names,
            max_model_len=load.max_model_len,
            vision=vision,
            max_pixels=arguments.max_pixels,
            count=self._tokenizer.count,
        )
        app = App(
            model=model,
            root=arguments.model,
            tokenizer=self._tokenizer,
            engine=engine,
            metrics=metrics,
            failures=RequestFailures(load.simulation, self._die),
            api_keys=self._api_keys,
            output_tokens=load.simulation.output_tokens,
            tracks_load=arguments.server_load_tracking,
        )
        return _Parts(app, engine, metrics)

    async def _serve(self, parts: _Parts) -> int:
        arguments = self._load.arguments
        stats = StatsLog(parts.engine, self._log, self._stats_interval)
        tasks = [asyncio.create_task(parts.engine.run()), asyncio.create_task(stats.run())]
        connections: set[Connection] = set()

        def connect() -> Connection:
            connection = Connection(parts.app.handle, self._access_log, connections.discard)
            connections.add(connection)
            return connection

        loop = asyncio.get_running_loop()
        if arguments.uds is None:
            server = await loop.create_server(connect, sock=self._listener, backlog=2048)
        else:
            server = await loop.create_unix_server(connect, sock=self._listener)
        self._say_ready()
        self.ready.set()
        await self._stopping.wait()
        server.close()
        if self._is_dead:
            parts.app.is_dead = True
            parts.engine.abort_all()
            self._say_dead()
        else:
            await self._drain(parts.engine)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for connection in list(connections):
            connection.close()
        # Written data is still being sent; the loop must run until it is out.
        deadline = time.monotonic() + _FLUSH_S
        while connections and time.monotonic() < deadline:
            await asyncio.sleep(0.005)
        if self._is_dead:
            return 1
        self._log.uvicorn("Waiting for application shutdown.")
        self._log.uvicorn("Application shutdown complete.")
        return 0

    async def _drain(self, engine: EngineLoop) -> None:
        """Wait for requests in flight, up to ``--shutdown-timeout``."""
        self._log.uvicorn("Shutting down")
        deadline = time.monotonic() + self._load.arguments.shutdown_timeout
        while engine.in_flight and time.monotonic() < deadline:
            await asyncio.sleep(0.02)
        engine.abort_all()

    def _die(self) -> None:
        self._is_dead = True
        self._stopping.set()

    def _say_ready(self) -> None:
        arguments = self._load.arguments
        where = f"http://{arguments.host or '0.0.0.0'}:{arguments.port}"
        if arguments.uds is not None:
            where = f"unix:{arguments.uds}"
        self._log.api("api_server.py:602", f"Starting vLLM server on {where}")
        self._log.uvicorn(f"Started server process [{os.getpid()}]")
        self._log.uvicorn("Waiting for application startup.")
        self._log.uvicorn("Application startup complete.")

    def _say_dead(self) -> None:
        self._log.api("async_llm.py:700", "AsyncLLM output_handler failed.", "ERROR")
        self._log.raw("Traceback (most recent call last):")
        self._log.raw(
            "vllm.v1.engine.exceptions.EngineDeadError: EngineCore encountered an issue. See "
            "stack trace (above) for the root cause."
        )

    def _access_log(self, exchange: Exchange) -> None:
        if self._load.arguments.disable_uvicorn_access_log or not exchange.status:
            return
        request = exchange.request
        self._log.uvicorn(
            f'{request.peer} - "{request.method} {request.path} HTTP/1.1" '
            f"{exchange.status} {HTTPStatus(exchange.status).phrase}"
        )


def _cache_config(modelled_engine: Modelled, load: Load) -> dict[str, str]:
    """Labels of ``vllm:cache_config_info``, as vLLM writes its CacheConfig."""
    return {
        "block_size": str(modelled_engine.scheduler.block_size),
        "cache_dtype": load.arguments.kv_cache_dtype,
        "calculate_kv_scales": "False",
        "cpu_kvcache_space_bytes": "None",
        "enable_prefix_caching": "True",
        "gpu_memory_utilization": str(load.arguments.gpu_memory_utilization),
        "is_attention_free": "False",
        "kv_cache_memory_bytes": "None",
        "kv_offloading_backend": "native",
        "kv_offloading_size": "None",
        "kv_sharing_fast_prefill": "False",
        "mamba_block_size": "None",
        "mamba_cache_dtype": "auto",
        "mamba_cache_mode": "none",
        "mamba_page_size_padded": "None",
        "mamba_ssm_cache_dtype": "auto",
        "num_cpu_blocks": "None",
        "num_gpu_blocks": str(modelled_engine.scheduler.num_gpu_blocks),
        "num_gpu_blocks_override": str(load.arguments.num_gpu_blocks_override),
        "prefix_caching_hash_algo": "sha256",
        "sliding_window": "None",
        "user_specified_block_size": "False",
    }
