"""``rocminfra tunnel``: the engine of a host on a port of this machine."""

from __future__ import annotations

import click

from rocminfra.failure import ExitCode
from rocminfra.runner.verbs.options import command, host_options
from rocminfra.runner.verbs.shared import patch, progress_shown


@command(
    "rocminfra tunnel",
    "rocminfra tunnel mi300x-1 --port 8001",
    "curl http://127.0.0.1:8000/v1/models   # in another terminal",
)
@click.argument("host", required=False)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=None,
    help="of this machine; 0: any that is free [default: the engine's, vllm.port]",
)
@host_options(as_json=False)
def tunnel(
    host: str | None,
    port: int | None,
    inventory: str | None,
    limit: tuple[str, ...],
    data: tuple[str, ...],
    verbose: int,
) -> ExitCode:
    """Put the engine of a host on a port of this machine, until Ctrl-C.

    The engine listens on the host's own loopback only; this is the way to it. When the connection
    drops, it is made again.
    """
    patch()
    import gevent

    from rocminfra.runner.hosts.asking import only_host, request_of, settings_of
    from rocminfra.runner.hosts.forwarding import Forward
    from rocminfra.runner.output.endpoint_text import base_url, client_lines
    from rocminfra.runner.output.terminal import message
    from rocminfra.runner.run.options import Options
    from rocminfra.runner.run.session import Session

    limits = (*limit, host) if host is not None else limit
    options = Options(inventory, limits, data, verbosity=verbose)
    with Session(request_of("tunnel", options), progress_shown(quiet=True)) as session:
        session.connect()
        target = only_host(session, "tunnel", options)
        settings = settings_of(target)
        to = (settings.vllm.asked_at, settings.vllm.port)
        wanted = settings.vllm.port if port is None else port
        with Forward(session, target, to, message, wanted) as forward:
            url = base_url(forward.port)
            print(f"base URL: {url}", f"model:    {settings.model.name}", "", sep="\n")
            print(*client_lines(url, settings.model.name), sep="\n", flush=True)
            message(f"to {target.name}:{to[1]}, until Ctrl-C")
            gevent.wait()
    return ExitCode.DONE
