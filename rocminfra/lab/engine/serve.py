"""``vllm serve``: parse arguments, run the server, return its exit code."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path

from rocminfra.lab.engine.arguments import ArgumentsError, ServeArguments, check_length, parse
from rocminfra.lab.engine.environ import EnvironError, unknown_message, unknown_variables
from rocminfra.lab.engine.logs import EngineLog
from rocminfra.lab.engine.modelled import CapacityError, modelled
from rocminfra.lab.engine.server import Server
from rocminfra.lab.engine.simulation import Simulation, SimulationError, simulation_from
from rocminfra.lab.engine.startup import Load, failure_report
from rocminfra.lab.engine.tokenizer import ServedTokenizer

_DEFAULT_LENGTH = 32_768


def main(argv: Sequence[str], environ: Mapping[str, str]) -> int:
    """Serve until told to stop; returns the exit code.

    + argv: arguments after ``vllm``
    + environ: the process's environment
    """
    log = EngineLog()
    try:
        arguments = parse(argv)
        simulation = simulation_from(environ)
        _check_environ(arguments, environ, log)
        load = _prepare(arguments, simulation)
        tokenizer = ServedTokenizer(Path(arguments.model))
        listener = bind(arguments)
    except CapacityError as error:
        failure_report(error, log)
        return 1
    except (ArgumentsError, SimulationError, EnvironError, OSError) as error:
        log.raw("Traceback (most recent call last):")
        log.raw(f"{_name_of(error)}: {error}")
        return 1
    interval = float(environ.get("VLLM_LOG_STATS_INTERVAL", "10"))
    keys = arguments.api_keys or tuple(filter(None, [environ.get("VLLM_API_KEY")]))
    server = Server(load, tokenizer, listener, log, keys, interval)
    return asyncio.run(server.run())


def bind(arguments: ServeArguments) -> socket.socket:
    """The server's socket, bound but not listening yet.

    It is bound before the load and with SO_REUSEPORT, as in vLLM: clients are refused until it
    listens, and two servers can share a port without an error.
    """
    if arguments.uds is not None:
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listener.bind(arguments.uds)
        return listener
    host = arguments.host or ""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    listener.bind((host, arguments.port))
    return listener


def served_length(arguments: ServeArguments) -> int:
    """Maximum tokens per request, from the flag or the model's config.json.

    Raises OSError without a config.json, and ArgumentsError if the flag exceeds its value.
    """
    path = Path(arguments.model) / "config.json"
    if not path.is_file():
        raise OSError(
            f"{arguments.model} does not appear to have a file named config.json. The simulated "
            "engine serves folders only: fetch the model first and give its path."
        )
    try:
        config = json.loads(path.read_text())
    except ValueError as error:
        raise OSError(
            f"It looks like the config file at '{path}' is not a valid JSON file: {error}"
        ) from error
    maximum = config.get("max_position_embeddings", _DEFAULT_LENGTH)
    length: int = maximum if arguments.max_model_len is None else arguments.max_model_len
    check_length(arguments, length, maximum)
    return length


def _prepare(arguments: ServeArguments, simulation: Simulation) -> Load:
    length = served_length(arguments)
    return Load(arguments, simulation, modelled(arguments, simulation, length), length)


def _check_environ(arguments: ServeArguments, environ: Mapping[str, str], log: EngineLog) -> None:
    for name in unknown_variables(environ):
        if arguments.fail_on_environ_validation:
            raise EnvironError(unknown_message(name))
        log.api("envs.py:1840", unknown_message(name), "WARNING")


def _name_of(error: Exception) -> str:
    if isinstance(error, ArgumentsError):
        return "pydantic_core._pydantic_core.ValidationError"
    return "OSError" if isinstance(error, OSError) else "ValueError"
