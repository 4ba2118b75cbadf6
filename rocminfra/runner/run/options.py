"""What the command line of a verb says, and the command lines that do the same again.

Without pyinfra: importing its command line patches the standard library for gevent.
"""

from __future__ import annotations

import dataclasses
import shlex
from dataclasses import dataclass

from rocminfra.failure import Again
from rocminfra.settings.argument_names import SETTING_OF
from rocminfra.settings.secret_names import shown_item


@dataclass(frozen=True)
class Options:
    """What the command line says, the same for every verb.

    + inventory: file or names, None for the default
    + limit: host names, groups or patterns
    + data: ``key=value`` items
    + wipe: wipe tokens
    + files: files of the playbook; empty for the verb's own
    + verbosity: 0, 1 or 2
    + implied: ``key=value`` items that another option stands for; no command line shows them
    """

    inventory: str | None = None
    limit: tuple[str, ...] = ()
    data: tuple[str, ...] = ()
    wipe: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    verbosity: int = 0
    implied: tuple[str, ...] = ()

    def command(self, verb: str, host: str | None = None) -> str:
        """The command line that does ``verb`` with the same options.

        Wipe tokens are not repeated, and of data that may hold a secret only the key is.

        + host: limits it to this host
        """
        words = ["rocminfra", *verb.split()]
        if self.inventory is not None:
            words += ["-i", self.inventory]
        for limit in self.limit if host is None else (host,):
            words += ["--limit", limit]
        for item in self.data:
            words += ["--data", shown_item(item)]
        return shlex.join([*words, *self.files])

    def again(self, verb: str, host: str | None, step: Again) -> str:
        """The command line that does ``verb`` again, as a failure asks for it.

        + host: limits it to this host
        + step: what it adds; a benchmark is resumed by the verb ``bench``, whatever began it
        """
        options = self
        if step.attach is not None:
            return (
                f"{dataclasses.replace(self, data=(), files=()).command('bench attach', host)} "
                + (shlex.quote(step.attach))
            )
        if step.files:
            options, verb = dataclasses.replace(self, files=step.files), "apply"
        if step.verb:
            options, verb = dataclasses.replace(self, files=()), step.verb
        if step.resume is not None or step.new_run:
            others = [item for item in self.data if not item.startswith("bench.run=")]
            options = dataclasses.replace(self, data=tuple(others), files=())
            verb = "bench"
        # What it adds stands instead of what was given, not behind it.
        added = {SETTING_OF[argument] for argument, _ in step.arguments}
        kept = tuple(item for item in options.data if item.partition("=")[0] not in added)
        words = [dataclasses.replace(options, data=kept).command(verb, host)]
        for argument, value in step.arguments:
            words += ["--data", shlex.quote(f"{SETTING_OF[argument]}={value}")]
        if step.wipe is not None:
            words += ["--wipe", shlex.quote(step.wipe)]
        if step.resume is not None:
            words += ["--resume", step.resume]
        if step.verbose and not self.verbosity:
            words.append("-v")
        return " ".join(words)

    def of_run(self, verb: str, run: str, host: str | None = None) -> str:
        """The command line that does something with a benchmark run of these hosts.

        + verb: of ``bench``, such as ``attach``
        + run: its id
        + host: limits it to this host
        """
        bare = dataclasses.replace(self, data=(), files=())
        return f"{bare.command(f'bench {verb}', host)} {shlex.quote(run)}"

    def summary(self, verb: str) -> str:
        """What ``verb`` does, for others who find a host locked: no inventory and no data."""
        limits = [word for limit in self.limit for word in ("--limit", limit)]
        return shlex.join(["rocminfra", verb, *limits, *self.files])
