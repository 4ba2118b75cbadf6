"""What went wrong, as data: one type for every layer, rendered where it is printed.

Planning returns a :class:`Failure`, operations record it on its host, the runner prints it and
turns its kind into the exit code. Nothing is ever parsed back out of its text.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

from rocminfra.faults import ExitCode as ExitCode
from rocminfra.faults import Fault as Fault

# The first of these that any host has is the run's. What needs a person's decision comes first
# (data at stake, then wrong settings and hardware), then what makes the rest of the report
# doubtful, then what may be better on the next try.
SEVERITY = (
    ExitCode.INTERRUPTED,
    ExitCode.REFUSED,
    ExitCode.SETTINGS,
    ExitCode.UNFIT,
    ExitCode.UNEXPECTED,
    ExitCode.UNREACHABLE,
    ExitCode.LOCKED,
    ExitCode.NOT_READY,
    ExitCode.BENCHMARK,
    ExitCode.CHANGES,
    ExitCode.DONE,
)


def most_severe(codes: Iterable[ExitCode]) -> ExitCode:
    """The code that a run with all of ``codes`` ends with; DONE when there are none."""
    return min(codes, key=SEVERITY.index, default=ExitCode.DONE)


@dataclass(frozen=True)
class Argument:
    """An argument of an operation, named in a text.

    Somebody's own deploy reads ``device=``; the playbook reads the setting that it was given for.

    + operation: module of the operation, such as ``disk``
    + name: of the argument, such as ``device``
    """

    operation: str
    name: str

    def __str__(self) -> str:
        return f"{self.name}="


# Plain text, or pieces of it with arguments between them.
Text = str | tuple[str | Argument, ...]


@dataclass(frozen=True, init=False)
class Do:
    """A next step that is the same whatever command failed.

    + text: a whole command, or an instruction, such as ``ssh root@203.0.113.7 dmesg``; pieces of
      it where arguments stand between them
    """

    text: tuple[str | Argument, ...]

    def __init__(self, *text: str | Argument) -> None:
        object.__setattr__(self, "text", text)


@dataclass(frozen=True)
class Again:
    """Run the same command again, perhaps with more.

    Whoever prints it knows that command: ``pyinfra … deploy.py --data wipe=…`` in one case,
    ``rocminfra apply … --wipe …`` in the other.

    + first: what to do before, as an instruction without a full stop; empty for nothing
    + arguments: what an argument should be instead, such as (max_model_len, "8192")
    + wipe: wipe token to pass
    + resume: benchmark run to resume
    + new_run: do not resume: this begins a new run
    + verbose: more output would help
    + attach: benchmark run that goes on, to follow to its end
    + verb: another verb with the same hosts and settings; ``apply`` is ``deploy.py``
    + files: other files of the playbook, to apply to the same hosts
    + yes: do not ask
    + limit: host or group to limit it to, instead of what was given
    + keys: settings of this run that are to be called otherwise: (given, meant)
    """

    first: Text = ""
    arguments: tuple[tuple[Argument, str], ...] = ()
    wipe: str | None = None
    resume: str | None = None
    new_run: bool = False
    verbose: bool = False
    attach: str | None = None
    verb: str = ""
    files: tuple[str, ...] = ()
    yes: bool = False
    limit: str | None = None
    keys: tuple[tuple[str, str], ...] = ()


Next = Do | Again


@dataclass(frozen=True)
class Failure:
    """Why a host's run, or a whole command, ended.

    + fault: which one of the catalogue
    + what: what is wrong, one sentence
    + why: the evidence, a line each; remote stderr included
    + next: what to do about it, or None when nothing sensible can be said
    """

    fault: Fault
    what: str
    why: tuple[str, ...] = ()
    next: Next | None = None

    @property
    def kind(self) -> ExitCode:
        """Class of the failure, which is the exit code."""
        return self.fault.kind

    def because(self, *why: str) -> Failure:
        """The same failure with more evidence."""
        return replace(self, why=(*self.why, *why))


class FailedError(Exception):
    """Carries a :class:`Failure` to whoever can print it.

    For code outside pyinfra operations only: an operation that raises ends every host's run.
    Takes what :class:`Failure` takes.
    """

    def __init__(
        self,
        fault: Fault,
        what: str,
        why: Iterable[str] = (),
        next: Next | None = None,
    ) -> None:
        self.failure = Failure(fault, what, tuple(why), next)
        super().__init__(fault, what, self.failure.why, next)

    def __str__(self) -> str:
        return self.failure.what

    @classmethod
    def of(cls, failure: Failure) -> FailedError:
        """An exception that carries ``failure``."""
        return cls(failure.fault, failure.what, failure.why, failure.next)


def in_words(text: Text, settings: Mapping[Argument, str] | None = None) -> str:
    """A text as it is printed.

    + settings: the setting that stands for an argument; without it arguments keep their names
    """
    if isinstance(text, str):
        return text
    names = settings or {}
    return "".join(
        names.get(part, str(part)) if isinstance(part, Argument) else part for part in text
    )


# Words for the command to repeat.
Repeat = Callable[[Again, Mapping[Argument, str]], str]


def next_words(step: Next, again: Repeat, settings: Mapping[Argument, str] | None = None) -> str:
    """A next step as it is printed.

    + again: the command to repeat, with what the step adds to it, and the settings below
    + settings: the setting that stands for an argument
    """
    if isinstance(step, Do):
        return in_words(step.text, settings)
    first = in_words(step.first, settings)
    command = again(step, settings or {})
    return f"{first}: {command}" if first else command


def again_words(step: Again, settings: Mapping[Argument, str]) -> str:
    """The command to repeat, for whoever does not know it: pyinfra's options are spelled out."""
    if step.new_run:
        return "the same command without bench.run"
    options = [
        f"--data {settings[argument]}={value}" if argument in settings else f"{argument}{value}"
        for argument, value in step.arguments
    ]
    if step.wipe is not None:
        options.append(f"--data wipe={shlex.quote(step.wipe)}")
    run = step.resume or step.attach
    if run is not None:
        options.append(f"--data bench.run={run}")
    options += [f"--data {meant}=… instead of {given}" for given, meant in step.keys]
    if step.limit is not None:
        options.append(f"--limit {shlex.quote(step.limit)}")
    if step.yes:
        options.append("--yes")
    if step.verbose:
        options.append("--debug")
    if step.verb:
        options.insert(0, "deploy.py as its file" if step.verb == "apply" else step.verb)
    if step.files:
        options.insert(0, f"{' '.join(step.files)} as its file")
    return f"the same command with {' '.join(options)}" if options else "the same command again"


def lines(
    failure: Failure,
    again: Repeat = again_words,
    settings: Mapping[Argument, str] | None = None,
) -> list[str]:
    """A failure as it is printed, the most important lines last."""
    text = [f"    {line}" for line in failure.why]
    text.append(f"{failure.what} [{failure.fault.code}]")
    if failure.next is not None:
        text.append(f"next: {next_words(failure.next, again, settings)}")
    return text
