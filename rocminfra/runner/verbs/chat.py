"""``rocminfra chat``: one completion from the engine of a host."""

from __future__ import annotations

import dataclasses
import sys

import click

from rocminfra import __version__
from rocminfra.failure import Do, ExitCode, FailedError, Fault
from rocminfra.runner.verbs.options import command, host_options
from rocminfra.runner.verbs.shared import patch, progress_shown


@command(
    "rocminfra chat 'What is an MI300X?'",
    "rocminfra chat --limit mi300x-1 --max-tokens 500 'Write a haiku about HBM.'",
    "cat question.txt | rocminfra chat -",
)
@click.argument("prompt")
@click.option("--max-tokens", type=click.IntRange(1), default=256, show_default=True)
@click.option("--temperature", type=click.FloatRange(0, 2), default=0.0, show_default=True)
@host_options
def chat(
    prompt: str,
    max_tokens: int,
    temperature: float,
    inventory: str | None,
    limit: tuple[str, ...],
    data: tuple[str, ...],
    as_json: bool,
    verbose: int,
) -> ExitCode:
    """Ask the engine of a host one question, and show the answer as it comes.

    PROMPT is the question; - reads it from standard input. Exits with 7 when the engine does not
    answer.
    """
    patch()
    from rocminfra.runner.hosts.chatting import Question, Reply
    from rocminfra.runner.hosts.chatting import chat as ask
    from rocminfra.runner.output.endpoint_text import base_url
    from rocminfra.runner.output.run_json import SCHEMA_VERSION, dump, error_document
    from rocminfra.runner.output.terminal import duration, message
    from rocminfra.runner.run.options import Options

    options = Options(inventory, limit, data, verbosity=verbose)

    def asked() -> tuple[str, str, Reply]:
        from rocminfra.runner.hosts.asking import only_host, request_of, settings_of
        from rocminfra.runner.hosts.forwarding import Forward
        from rocminfra.runner.run.session import Session

        text = sys.stdin.read() if prompt == "-" else prompt
        if not text.strip():
            raise FailedError(
                Fault.OPTION_INVALID, "the question is empty", next=Do("rocminfra chat 'Hello'")
            )
        with Session(request_of("chat", options), progress_shown(quiet=True)) as session:
            session.connect()
            host = only_host(session, "chat", options, (prompt,))
            settings = settings_of(host)
            question = Question(settings.model.name, text, max_tokens, temperature)
            to = (settings.vllm.asked_at, settings.vllm.port)
            with Forward(session, host, to, message) as forward:
                reply = ask(base_url(forward.port), question, _silent if as_json else _show)
            return host.name, settings.model.name, reply

    try:
        name, model, reply = asked()
    except FailedError as error:
        if not as_json:
            raise
        empty = {"host": None, "model": None, "reply": None}
        print(dump({**error_document("chat", error), **empty}))
        return error.failure.kind
    if as_json:
        document = {
            "schema": SCHEMA_VERSION,
            "rocminfra": __version__,
            "verb": "chat",
            "code": int(ExitCode.DONE),
            "error": None,
            "host": name,
            "model": model,
            "reply": dataclasses.asdict(reply),
        }
        print(dump(document))
        return ExitCode.DONE
    print()
    tokens = "" if reply.output_tokens is None else f"{reply.output_tokens} tokens, "
    first = "" if reply.first_token_s is None else f", first after {reply.first_token_s:.2f} s"
    cut = " (cut off by --max-tokens)" if reply.finish_reason == "length" else ""
    message(f"{name}: {tokens}{duration(reply.seconds)}{first}{cut}")
    return ExitCode.DONE


def _show(text: str) -> None:
    print(text, end="", flush=True)


def _silent(_text: str) -> None:
    return
