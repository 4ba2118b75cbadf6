"""The ``rocminfra`` command. Verbs are imported when they are called, so that help is instant."""

from __future__ import annotations

import io
import shlex
import signal
import sys
import traceback
from collections.abc import Sequence
from types import FrameType

import click

from rocminfra import __version__
from rocminfra.failure import Do, ExitCode, FailedError, Failure, Fault, lines
from rocminfra.runner.lazy_verbs import LazyVerbs
from rocminfra.runner.typed import again, remember

# Verb: where it is, and its line in the help.
VERBS = {
    "init": ("rocminfra.runner.verbs.init:init", "Lay the playbook out in a folder of your own."),
    "plan": ("rocminfra.runner.verbs.plan:plan", "Say what apply would change."),
    "apply": ("rocminfra.runner.verbs.apply:apply", "Make the hosts what the playbook says."),
    "status": ("rocminfra.runner.verbs.status:status", "Say how the hosts are."),
    "logs": ("rocminfra.runner.verbs.logs:logs", "Show what the services on the hosts wrote."),
    "tunnel": ("rocminfra.runner.verbs.tunnel:tunnel", "Put a host's engine on a port here."),
    "chat": ("rocminfra.runner.verbs.chat:chat", "Ask a host's engine one question."),
    "config": ("rocminfra.runner.verbs.config:config", "Say where a host's settings come from."),
    "events": ("rocminfra.runner.verbs.events:events", "Say who applied what, and when."),
    "lock": ("rocminfra.runner.verbs.lock:lock", "Say who is at work; break a lock."),
    "remove": ("rocminfra.runner.verbs.remove:remove", "Take away what apply made; never data."),
    "bench": ("rocminfra.runner.verbs.bench:bench", "Benchmark the engine, bring results back."),
    "results": (
        "rocminfra.runner.verbs.results:results",
        "List benchmark runs that are here; print a table again.",
    ),
    "capacity": (
        "rocminfra.runner.verbs.capacity:capacity",
        "Say whether a model fits a GPU, before one is rented.",
    ),
    "predict": (
        "rocminfra.runner.verbs.predict:predict",
        "Say what a benchmark would measure, before a GPU is rented.",
    ),
    "report": (
        "rocminfra.runner.verbs.report:report",
        "Say what a benchmark's results mean: verdict, price, what changed.",
    ),
    "droplet": (
        "rocminfra.runner.verbs.droplet:droplet",
        "Droplets of the cloud: create, use, destroy; what they cost.",
    ),
    "lab": ("rocminfra.lab.cli:lab", "Practice droplets on this machine, without hardware."),
    "docs": ("rocminfra.runner.verbs.docs:docs", "Show a page of the documentation."),
    "completion": (
        "rocminfra.runner.verbs.completion:completion",
        "Print what makes the Tab key complete verbs.",
    ),
}

EPILOG = """\b
rocminfra init my-hosts && cd my-hosts
rocminfra plan
rocminfra apply --bench

\b
Exit codes: 0 done, 1 unexpected, 2 plan has changes (--exit-code), 3 settings or
options invalid, 4 host unreachable, 5 refused for safety, 6 host unfit, 7 engine
not ready, 8 benchmark invalid, 9 locked by another run, 130 interrupted.
"""


class Verbs(LazyVerbs):
    """The verbs of the command; for one that is not there, the nearest."""

    verbs = VERBS

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The verb; for one that is not there the nearest, with the rest of the command."""
        verb = args[0]
        if verb in VERBS or verb.startswith("-") or ctx.resilient_parsing:
            return super().resolve_command(ctx, args)
        import difflib

        near = difflib.get_close_matches(verb, VERBS, n=1, cutoff=0.5)
        words = ["rocminfra", near[0], *args[1:]] if near else ["rocminfra", "--help"]
        hint = f" (did you mean {near[0]}?)" if near else ""
        raise FailedError(
            Fault.VERB_UNKNOWN, f"there is no verb '{verb}'{hint}", next=Do(shlex.join(words))
        )


@click.group(
    cls=Verbs,
    epilog=EPILOG,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="rocminfra", message="%(prog)s %(version)s")
def rocminfra() -> None:
    """From a bare AMD Instinct machine to a measured LLM endpoint, over SSH."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point; ends the process with the exit code of the contract."""
    signal.signal(signal.SIGTERM, _interrupted)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A host's name or a unit like GiB must not end a run where the locale has no UTF-8.
            stream.reconfigure(errors="backslashreplace")
    sys.exit(int(run(arguments)))


def run(arguments: Sequence[str] | None = None) -> int:
    """Run a verb and return its exit code.

    click ends with 2 for a wrong option, which here means that a plan has changes; so its errors
    are turned into 3.
    """
    remember(sys.argv[1:] if arguments is None else arguments)
    try:
        code = rocminfra.main(args=arguments, prog_name="rocminfra", standalone_mode=False)
    except click.exceptions.Abort:
        return _say_interrupted()
    except KeyboardInterrupt:
        return _say_interrupted()
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return ExitCode.SETTINGS
    except click.ClickException as error:
        error.show()
        return ExitCode.SETTINGS
    except FailedError as error:
        _show(error.failure)
        return error.failure.kind
    except Exception as error:  # a fault of ours; what it hit belongs into a report
        return _say_unexpected(error)
    return int(code) if isinstance(code, int) else ExitCode.DONE


def _show(failure: Failure) -> None:
    from rocminfra.settings.argument_names import SETTING_OF

    why = len(failure.why)
    for number, line in enumerate(lines(failure, again, SETTING_OF)):
        click.secho(line, fg="red" if number == why else None, err=True)


def _say_unexpected(error: Exception) -> int:
    click.echo("".join(traceback.format_exception(error)).rstrip(), err=True)
    code = Fault.UNEXPECTED.code
    click.secho(f"unexpected: {type(error).__name__}: {error} [{code}]", fg="red", err=True)
    click.echo("next: please report this with the lines above", err=True)
    return ExitCode.UNEXPECTED


def _say_interrupted() -> int:
    click.echo("interrupted", err=True)
    return ExitCode.INTERRUPTED


def _interrupted(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
