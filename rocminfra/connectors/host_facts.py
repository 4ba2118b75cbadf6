"""One host in one run: its questions and its answers."""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Mapping
from typing import Any

from paramiko import Transport
from pyinfra import logger
from pyinfra.api import Host, State
from pyinfra.api.arguments import pop_global_arguments

from rocminfra.connectors.allowlist import Fact
from rocminfra.connectors.answers import Answer
from rocminfra.connectors.batch import Batch, Limits, command_line
from rocminfra.connectors.fact_watch import Asked, guess, rebuilt
from rocminfra.connectors.learned_facts import LearnedList, Record
from rocminfra.connectors.questions import (
    Arguments,
    Question,
    supplied_names,
    supplied_values,
    unix_command,
)

# After a change, another batch reads everything again: the first one unconditionally, later ones
# only after batches have served this many answers. In a run that changes something at every step, a
# batch serves only an answer or two, and reading facts live is faster.
SERVED_FOR_ANOTHER = 4

# A fact that took longer than this when read live is not learned: no batch should wait for it.
SLOW_SECONDS = 3.0

# The same question this many times in a row within one operation is a loop that waits.
LOOP = 3


class HostFacts:
    """Facts of one host.

    + host: pyinfra's host
    + learned: the deploy's list; None reads every fact live and learns nothing
    """

    def __init__(self, host: Host, learned: LearnedList | None, limits: Limits) -> None:
        self._host = host
        self._learned = learned
        self._limits = limits
        self._transport: Transport | None = None
        self._address = ""
        self._questions: dict[str, Question] = {}
        self._sent: set[str] = set()
        self._texts: dict[str, str] = {}
        self._supplied: dict[tuple[str, ...], Arguments] = {}
        self._batches: list[Batch] = []
        self._served = 0
        self._again = 0
        self._forgotten = False
        self._executed = 0
        self._last: tuple[object, ...] = ()
        self._repeats = 0
        self._asked: dict[str, Record] = {}

    def connected(self, transport: Transport, address: str) -> None:
        """Handle a new connection: send the list's questions, without waiting for the answers.

        + address: the machine's address; a change drops the answers of all hosts that share it
        """
        again = self._transport is not None
        self._transport = transport
        self._address = address
        _hosts_of(self._host.state).append(self)
        if again or self._learned is None:
            return
        try:
            for record in self._learned.for_host(self._host.name):
                question = Question.read(record)
                if question is not None:
                    self._questions[question.key] = question
            base, _ = pop_global_arguments(self._host.state, self._host, {})
            self._supply(dict(base))
            self._send(self._commands())
        except Exception as error:
            # The contents of a list must never stop a run.
            self._questions.clear()
            logger.debug("[%s] The learned facts cannot be used: %s", self._host.name, error)

    def answer(self, command: str, arguments: Arguments) -> Answer | None:
        """The answer to the current question, or None when it must be read live.

        + command: text of the fact's command as sent over SSH
        + arguments: the connector's arguments for it
        """
        if self._operations_ran() or self._in_callback():
            self.changed()
        if self._learned is None or self._looping(command):
            return None
        self._supply(arguments)
        for batch in self._current():
            if batch.knows(command):
                return self._served_in_time(batch, command, arguments)
        if self._forgotten and self._again > self._served // SERVED_FOR_ANOTHER:
            return None
        return self._ask_again(command, arguments)

    def answered(self, asked: Asked, command: str, arguments: Arguments, seconds: float) -> None:
        """Record that a question was answered, from a batch (0 seconds) or live."""
        if self._learned is None or seconds > SLOW_SECONDS:
            return
        question = Question.asked(asked.fact, asked.arguments, arguments)
        if question.key in self._asked:
            return
        record, fact = question.record(), question.allowed()
        if record is None or fact is None:
            return
        # Learn only questions whose exact command can be rebuilt from the list alone. Recognising a
        # fact that read no other fact has just done that.
        if not asked.nested or self._built(fact, question, arguments) == command:
            self._asked[question.key] = record
            self._questions.setdefault(question.key, question)
            self._texts.setdefault(question.key, command)
            self._sent.add(command)

    def changed(self) -> None:
        """Drop the answers: something other than a fact runs on the host."""
        for facts in _hosts_of(self._host.state):
            if facts._address == self._address:
                facts._forget()

    def disconnected(self) -> None:
        """Handle the end of the connection: drop the answers, remember the questions."""
        self._forget()
        if self._learned is not None:
            self._learned.remember(self._host.name, self._asked.values())

    def _forget(self) -> None:
        if self._batches:
            self._forgotten = True
        for batch in self._batches:
            batch.cancel()
        self._batches.clear()

    def _current(self) -> Iterable[Batch]:
        if any(batch.old for batch in self._batches):
            self._forget()
        return self._batches

    def _ask_again(self, command: str, arguments: Arguments) -> Answer | None:
        """Send this question together with other expected ones, if any.

        After a change, these are all known questions. Before one, they are those that could not be
        sent earlier, because their class or environment was not known yet.
        """
        others = [text for text in self._commands() if self._forgotten or text not in self._sent]
        if len({*others, command}) < 2:
            return None
        self._again += 1 if self._forgotten else 0
        batch = self._send([command, *others])
        return None if batch is None else self._served_in_time(batch, command, arguments)

    def _send(self, commands: Iterable[str]) -> Batch | None:
        fitting = _fitting(list(dict.fromkeys(commands)), self._limits)
        if not fitting or self._transport is None:
            return None
        logger.debug("[%s] Reading %i facts in one batch", self._host.name, len(fitting))
        batch = Batch(self._transport, fitting, self._host.name, self._limits)
        self._batches.append(batch)
        self._sent.update(fitting)
        self._forgotten = False
        return batch

    def _commands(self) -> list[str]:
        """Command of every question that can be sent now."""
        for key, question in self._questions.items():
            supplied = self._supplied.get(question.supplied)
            if key in self._texts or supplied is None:
                continue
            fact = question.allowed()
            if fact is None:
                continue
            text = self._built(fact, question, {**question.identity, **supplied})
            if text is not None:
                self._texts[key] = text
        return list(self._texts.values())

    def _built(self, fact: Fact, question: Question, arguments: Arguments) -> str | None:
        built = rebuilt(self._host, fact, question.arguments, guess)
        return unix_command(built, arguments) if built is not None else None

    def _supply(self, arguments: Mapping[str, Any]) -> None:
        names = supplied_names(arguments)
        if names not in self._supplied:
            self._supplied[names] = supplied_values(arguments)

    def _served_in_time(self, batch: Batch, command: str, arguments: Arguments) -> Answer | None:
        answer = batch.answer(command)
        timeout = arguments.get("_timeout")
        if answer is None or (timeout and answer.seconds > timeout):
            return None
        self._served += 1
        return answer

    def _looping(self, command: str) -> bool:
        host = self._host
        here = (
            command,
            host.current_op_hash,
            host.executing_op_hash,
            host.nested_executing_op_hash,
        )
        self._repeats = self._repeats + 1 if here == self._last else 1
        self._last = here
        return self._repeats >= LOOP

    def _operations_ran(self) -> bool:
        """Whether any operation has run anything since the last call, by whatever connector."""
        operations = self._host.state.ops.get(self._host, {}).values()
        executed = sum(operation.operation_meta.executed for operation in operations)
        ran, self._executed = executed > self._executed, executed
        return ran

    def _in_callback(self) -> bool:
        # pyinfra's python.call can change anything.
        host = self._host
        executing = host.executing_op_hash is not None and host.current_op_hash is not None
        return executing and not host.in_op


def _fitting(commands: list[str], limits: Limits) -> list[str]:
    """The first commands, as many as fit into one command line."""
    # Compression makes them smaller than this, so the first attempt usually fits.
    if sum(len(ascii(command)) for command in commands) < limits.most_text // 4:
        return commands
    while commands and len(command_line(commands, "0" * 16, limits)) > limits.most_text:
        commands = commands[: len(commands) * 3 // 4]
    return commands


_HOSTS: weakref.WeakKeyDictionary[State, list[HostFacts]] = weakref.WeakKeyDictionary()


def _hosts_of(state: State) -> list[HostFacts]:
    return _HOSTS.setdefault(state, [])
