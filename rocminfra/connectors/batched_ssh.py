"""``@rocminfra/NAME``: pyinfra over SSH, with a host's facts fetched in one exec.

pyinfra sends every fact in a separate SSH exec. This connector remembers which facts a deploy reads
(:mod:`.learned_facts`), sends all of them in one exec when it connects, and answers from there. It
works with every pyinfra deploy: write ``@rocminfra/NAME`` in the inventory instead of ``NAME``.
pyinfra still calls the host ``NAME``, so ``--limit`` and group data stay as they are.
:mod:`.allowlist` explains what may run before the deploy reads it, and why nothing else can;
:mod:`.fact_watch` explains how a fact is recognised.

An answer is used only for the exact text of its command, which includes arguments, environment and
user. A host's answers are dropped at the first command that does not belong to a fact, at every
file transfer and disconnect, when an operation has run anything (including a Python callback), and
after 30 seconds. When one operation reads the same fact again and again (a loop that waits), it is
read live from the third time on.
"""

from __future__ import annotations

import io
import random
import time
from collections.abc import Iterable, Iterator
from queue import Queue
from typing import IO, TYPE_CHECKING, Any, cast

from paramiko import SSHException, Transport
from paramiko.file import BufferedFile
from pyinfra import logger
from pyinfra.api import Host, State, StringCommand
from pyinfra.api.exceptions import ConnectError, InventoryError
from pyinfra.api.output import echo
from pyinfra.connectors.ssh import SSHConnector
from pyinfra.connectors.util import (
    SUDO_PASSWORD_REQUIRED_LINES,
    CommandOutput,
    OutputLine,
    extract_control_arguments,
    make_unix_command_for_host,
    read_buffer,
    read_output_buffers,
)
from pyinfra.facts.server import Command
from typing_extensions import Unpack

from rocminfra.connectors.allowlist import SHELLS
from rocminfra.connectors.answers import Answer
from rocminfra.connectors.batch import BY_INPUT, MOST_LOGGED, Limits
from rocminfra.connectors.deploy_name import deploy_name
from rocminfra.connectors.fact_watch import FactWatch, asked_now, nothing_may_run
from rocminfra.connectors.host_facts import HostFacts
from rocminfra.connectors.learned_facts import LearnedList
from rocminfra.connectors.questions import unix_command
from rocminfra.host_answers import BEGIN, answer, framed, is_framed

if TYPE_CHECKING:
    from pyinfra.api.arguments import ConnectorArguments

    _TextFile = BufferedFile[str]
else:
    _TextFile = BufferedFile

# sshd drops connections without a banner when many arrive at once (MaxStartups, from ten on), so
# such a connection is retried.
BANNER_TRIES = 6
BANNER_SLOW_SECONDS = 5.0
BANNER_WAIT_SECONDS = (0.1, 0.6)  # random between these, times the number of tries

# Their argument is shell text, which can change anything.
SHELL_TEXT_FACTS = (Command,)


class BatchedSSHConnector(SSHConnector):
    """
    SSH that fetches a host's facts in one exec; everything else is pyinfra's own connector.

    .. code:: python

        hosts = ["@rocminfra/my-host.net"]
    """

    limits = Limits()

    def __init__(self, state: State, host: Host) -> None:
        super().__init__(state, host)
        FactWatch.over(host)
        deploy = deploy_name(state)
        learned = LearnedList(deploy) if deploy is not None else None
        self.facts = HostFacts(host, learned, self.limits)

    @staticmethod
    def make_names_data(name: str) -> Iterator[tuple[str, dict[str, Any], list[str]]]:
        """One host, with its plain name."""
        if not name:
            raise InventoryError("@rocminfra needs a name: @rocminfra/my-host.net")
        yield name, {}, []

    def connect(self) -> None:
        """Connect, and send every fact that the deploy is known to read."""
        for tried in range(1, BANNER_TRIES + 1):
            started = time.monotonic()
            try:
                super().connect()
                break
            except ConnectError as error:
                # A long silence is not a busy server.
                slow = time.monotonic() - started > BANNER_SLOW_SECONDS
                if tried == BANNER_TRIES or slow or not _no_banner(error):
                    raise
                logger.debug("[%s] No SSH banner, try %i", self.host.name, tried + 1)
                time.sleep(tried * random.uniform(*BANNER_WAIT_SECONDS))
        transport = self.client.get_transport() if self.client is not None else None
        if transport is not None:
            self.facts.connected(transport, self._address(transport))

    def disconnect(self) -> None:
        """Disconnect, and record the facts that were read in the deploy's list."""
        self.facts.disconnected()
        super().disconnect()

    def run_shell_command(
        self,
        command: StringCommand,
        print_output: bool = False,
        print_input: bool = False,
        **arguments: Unpack[ConnectorArguments],
    ) -> tuple[bool, CommandOutput]:
        """Answer a fact's command from a batch, or run it. Any other command is a change."""
        nothing_may_run()
        asked = asked_now(self.host)
        if asked is None or not asked.is_command(command) or asked.fact in SHELL_TEXT_FACTS:
            self.facts.changed()
            return self._run(command, print_output, print_input, arguments)
        given = dict(arguments)
        text = self._text(command, given)
        answer = self.facts.answer(text, given) if text is not None else None
        if answer is not None and not _wants_password(answer):
            self.facts.answered(asked, text or "", given, 0.0)
            return self._replay(answer, command, print_output, print_input, arguments)
        started = time.monotonic()
        result = self._live(command, print_output, print_input, arguments)
        if text is not None:
            self.facts.answered(asked, text, given, time.monotonic() - started)
        return result

    def put_file(
        self,
        filename_or_io: str | io.IOBase,
        remote_filename: str,
        remote_temp_filename: str | None = None,
        print_output: bool = False,
        print_input: bool = False,
        **arguments: Unpack[ConnectorArguments],
    ) -> bool:
        """A transfer is a change."""
        nothing_may_run()
        self.facts.changed()
        return super().put_file(
            cast("str | IO[Any]", filename_or_io),
            remote_filename,
            remote_temp_filename,
            print_output,
            print_input,
            **arguments,
        )

    def get_file(
        self,
        remote_filename: str,
        filename_or_io: str | io.IOBase,
        remote_temp_filename: str | None = None,
        print_output: bool = False,
        print_input: bool = False,
        **arguments: Unpack[ConnectorArguments],
    ) -> bool:
        """A transfer is a change (with sudo it makes a copy on the host)."""
        nothing_may_run()
        self.facts.changed()
        return super().get_file(
            remote_filename,
            filename_or_io,
            remote_temp_filename,
            print_output,
            print_input,
            **arguments,
        )

    def rsync(
        self,
        src: str,
        dest: str,
        flags: Iterable[str],
        print_output: bool = False,
        print_input: bool = False,
        **arguments: Unpack[ConnectorArguments],
    ) -> bool:
        """A transfer is a change."""
        nothing_may_run()
        self.facts.changed()
        done = super().rsync(src, dest, flags, print_output, print_input, **arguments)
        return bool(done)

    def _text(self, command: StringCommand | str, arguments: dict[str, Any]) -> str | None:
        if arguments.get("_sudo") and self.host.connector_data.get("prompted_sudo_password"):
            return None
        return unix_command(command, arguments)

    def _live(
        self,
        command: StringCommand | str,
        print_output: bool,
        print_input: bool,
        arguments: ConnectorArguments,
    ) -> tuple[bool, CommandOutput]:
        """Ask one fact; what a login shell prints besides is in no batch's answers, nor in this."""
        script = command if isinstance(command, str) else command.get_raw_value()
        ours = is_framed(script) or arguments.get("_shell_executable") not in (None, *SHELLS)
        asked = StringCommand(script if ours else framed(script))
        success, output = self._run(asked, print_output, print_input, arguments)
        return success, output if ours else _unframed(output)

    def _run(
        self,
        command: StringCommand,
        print_output: bool,
        print_input: bool,
        arguments: ConnectorArguments,
    ) -> tuple[bool, CommandOutput]:
        """Run it; through sudo, whole programs go there on standard input (:func:`.text_of`)."""
        script = command if isinstance(command, str) else command.get_raw_value()
        is_plain = arguments.get("_shell_executable") in (None, "sh")
        taken = any(arguments.get(key) for key in ("_stdin", "_get_pty", "_su_user", "_doas"))
        if arguments.get("_sudo") and is_plain and not taken and len(script) > MOST_LOGGED:
            given: Any = {**arguments, "_stdin": script}
            shown = StringCommand(BY_INPUT)
            return super().run_shell_command(shown, print_output, print_input, **given)
        return super().run_shell_command(command, print_output, print_input, **arguments)

    def _replay(
        self,
        answer: Answer,
        command: StringCommand,
        print_output: bool,
        print_input: bool,
        arguments: ConnectorArguments,
    ) -> tuple[bool, CommandOutput]:
        """Pass an answer through pyinfra's own reader for SSH channels, including its printing."""
        control = extract_control_arguments(arguments)
        if print_input:
            shown = make_unix_command_for_host(self.state, self.host, command, **arguments)
            echo(f"{self.host.print_prefix}>>> {shown}", err=True)
        output = None if print_output else _read_at_once(answer)
        if output is None:
            output = read_output_buffers(
                _Recorded(answer.stdout),
                _Recorded(answer.stderr),
                timeout=None,
                print_output=print_output,
                print_prefix=self.host.print_prefix,
            )
        success = control.get("_success_exit_codes") or (0,)
        return answer.status in success, output

    def _address(self, transport: Transport) -> str:
        try:
            return str(transport.getpeername()[0])
        except (AttributeError, OSError, TypeError, IndexError):
            # A connection through a ProxyCommand has no peer.
            return str(self.data["ssh_hostname"] or self.host.name)


class _Recorded(_TextFile):
    """Recorded output that reads like a paramiko channel: same lines, decoding and errors."""

    def __init__(self, data: bytes) -> None:
        super().__init__()
        self._recorded = io.BytesIO(data)
        self._set_mode("r", -1)  # type: ignore[attr-defined]  # missing in paramiko's stubs

    def _read(self, size: int) -> bytes:
        return self._recorded.read(size)


def _read_at_once(answer: Answer) -> CommandOutput | None:
    """Read like pyinfra's reader, but without its two greenlets that wait for a channel.

    Returns None for output that is not UTF-8, which pyinfra's reader then handles.
    """
    lines: Queue[OutputLine] = Queue()
    try:
        read_buffer("stdout", _Recorded(answer.stdout), lines)
        read_buffer("stderr", _Recorded(answer.stderr), lines)
    except UnicodeDecodeError:
        return None
    return CommandOutput(list(lines.queue))


def _unframed(output: CommandOutput) -> CommandOutput:
    """The output without what the login shell printed besides."""
    lines = output.stdout_lines
    stdout = answer(lines)
    if stdout is None and BEGIN in lines:  # cut off by bytes that are not text
        stdout = lines[lines.index(BEGIN) + 1 :]
    if stdout is None:
        return output
    errors = [line for line in output.combined_lines if line.buffer_name != "stdout"]
    return CommandOutput([OutputLine("stdout", line) for line in stdout] + errors)


def _no_banner(error: ConnectError) -> bool:
    cause = error.__context__
    if isinstance(cause, (EOFError, ConnectionResetError)):
        return True
    return isinstance(cause, SSHException) and "protocol banner" in str(cause)


def _wants_password(answer: Answer) -> bool:
    # Only pyinfra can ask the operator for it and run the command again.
    if answer.status == 0:
        return False
    lines = (answer.stdout + b"\n" + answer.stderr).decode("utf-8", "replace").splitlines()
    return any(line.strip() in SUDO_PASSWORD_REQUIRED_LINES for line in lines)
