"""``rocminfra docs``: the pages of the documentation, on the terminal."""

from __future__ import annotations

import difflib
import io
import sys

import click

from rocminfra import doc_pages
from rocminfra.failure import Do, ExitCode, FailedError, Fault
from rocminfra.runner.verbs.options import command

_WIDTH = 100


@command(
    "rocminfra docs",
    "rocminfra docs storage",
    "rocminfra docs RI-501",
)
@click.argument("topic", required=False)
def docs(topic: str | None) -> ExitCode:
    """Show a page of the documentation, or what an error's code means.

    Without TOPIC it lists the pages. On a terminal pages are rendered and paged; elsewhere they
    are Markdown.
    """
    if topic is None:
        width = max(map(len, doc_pages.TOPICS))
        for name in doc_pages.TOPICS:
            print(f"{name:{width}}  {doc_pages.title(name)}")
        return ExitCode.DONE
    try:
        text = doc_pages.page(_plain(topic))
    except KeyError:
        near = difflib.get_close_matches(_plain(topic), doc_pages.TOPICS, n=1, cutoff=0.5)
        raise FailedError(
            Fault.TOPIC_UNKNOWN,
            f"there is no page '{topic}'" + (f" (did you mean {near[0]}?)" if near else ""),
            (f"pages: {', '.join(doc_pages.TOPICS)}",),
            Do(f"rocminfra docs {near[0]}" if near else "rocminfra docs"),
        ) from None
    if sys.stdout.isatty():
        click.echo_via_pager(_rendered(text))
    else:
        print(text, end="")
    return ExitCode.DONE


def _plain(topic: str) -> str:
    """A topic as people may write it: ``docs/storage.md``, ``ri-501``."""
    name = topic.rsplit("/", 1)[-1].removesuffix(".md")
    return name.upper() if name.lower().startswith("ri-") else name.lower()


def _rendered(text: str) -> str:
    from rich.console import Console
    from rich.markdown import Markdown

    from rocminfra.runner.output.terminal import has_colours, width

    out = io.StringIO()
    console = Console(
        file=out,
        width=min(width(), _WIDTH),
        force_terminal=has_colours(sys.stdout),
        legacy_windows=False,
    )
    console.print(Markdown(text))
    return out.getvalue()
