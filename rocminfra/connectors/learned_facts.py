"""The learned list: the facts that a deploy read in its last runs, kept in the user's cache.

A list belongs to a deploy. It stores facts per host name; a new host starts with the facts of all
others. It contains names of fact classes and their arguments as JSON
(:class:`~rocminfra.connectors.questions.Question`), never shell text and never an answer.

A list only makes a run faster. A list that cannot be read, has another format, or is writable by
other users is ignored, and the next run replaces it.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pyinfra import logger

from rocminfra.user_cache import cache_folder, is_only_ours, replace_file

FORMAT = 1
LARGEST_LIST = 4 * 1024 * 1024  # bytes; 25 facts of a thousand hosts are about 200 kB
MOST_QUESTIONS = 1000  # for each host

# A fact that the deploy no longer reads is kept for this many complete runs, because many facts are
# read only occasionally (behind an `if`, or after a change).
RUNS_UNASKED = 3

Record = dict[str, Any]


class LearnedList:
    """The learned list of one deploy.

    + deploy: name of the deploy, such as its files' paths
    + folder: folder for lists; ``facts`` in the user's cache by default
    """

    def __init__(self, deploy: str, folder: Path | None = None) -> None:
        self.deploy = deploy
        name = hashlib.sha256(deploy.encode("utf-8", "surrogateescape")).hexdigest()[:32]
        self.path = (folder or cache_folder("facts")) / f"{name}.json"

    def for_host(self, name: str) -> list[Record]:
        """Questions for host ``name`` from its last run; those of all hosts when it is new."""
        hosts = self._read()
        if name in hosts:
            return [entry["question"] for entry in hosts[name]]
        # Hosts share the object of an equal question.
        union = {
            id(entry["question"]): entry["question"]
            for entries in hosts.values()
            for entry in entries
        }
        return list(union.values())[:MOST_QUESTIONS]

    def remember(self, name: str, asked: Iterable[Record]) -> None:
        """Record this run's questions for host ``name``. An unchanged list is not written.

        A run with fewer than half of the host's known questions was cut short, so the others stay.
        """
        hosts = self._read()
        before = {_text(entry["question"]): entry for entry in hosts.get(name, [])}
        now = {_text(record): {"question": record, "unasked": 0} for record in asked}
        if not now:
            return
        complete = 2 * len(now) >= len(before)
        for key, entry in before.items():
            unasked = entry["unasked"] + (1 if complete else 0)
            if key not in now and unasked <= RUNS_UNASKED:
                now[key] = {"question": entry["question"], "unasked": unasked}
        entries = list(now.values())[:MOST_QUESTIONS]
        if entries == hosts.get(name):
            return
        self._write({**hosts, name: entries})

    def _read(self) -> dict[str, list[Record]]:
        try:
            with open(os.open(self.path, os.O_RDONLY | os.O_NOFOLLOW), "rb") as file:
                about = os.fstat(file.fileno())
                if not is_only_ours(about):
                    logger.debug("Other users can write the learned facts in %s", self.path)
                    return {}
                # Every host of a run reads the same list.
                state = (about.st_dev, about.st_ino, about.st_size, about.st_mtime_ns)
                known = _READ.get((self.path, self.deploy))
                if known is not None and known[0] == state:
                    return known[1]
                text = file.read(LARGEST_LIST + 1)
        except OSError:
            return {}
        try:
            hosts = _hosts(json.loads(text.decode("utf-8")), self.deploy)
            _READ[self.path, self.deploy] = (state, hosts)
            return hosts
        except (
            ValueError,
            TypeError,
            KeyError,
            IndexError,
            AttributeError,
            RecursionError,
        ) as error:
            logger.debug("Learned facts in %s cannot be used: %s", self.path, error)
            return {}

    def _write(self, hosts: Mapping[str, list[Record]]) -> None:
        # Most hosts of a deploy share their questions, so each question is stored once.
        questions: dict[str, Record] = {}
        numbered: dict[str, list[list[int]]] = {}
        numbers: dict[str, int] = {}
        for name, entries in hosts.items():
            numbered[name] = []
            for entry in entries:
                key = _text(entry["question"])
                questions.setdefault(key, entry["question"])
                number = numbers.setdefault(key, len(numbers))
                numbered[name].append([number, entry["unasked"]])
        document = {
            "format": FORMAT,
            "deploy": self.deploy,
            "questions": list(questions.values()),
            "hosts": numbered,
        }
        try:
            replace_file(self.path, json.dumps(document).encode())
        except OSError as error:
            logger.debug("Learned facts cannot be written to %s: %s", self.path, error)


# Lists already read, with the state of their file: a list is always replaced as a whole.
_READ: dict[tuple[Path, str], tuple[tuple[int, ...], dict[str, list[Record]]]] = {}


def _hosts(document: Any, deploy: str) -> dict[str, list[Record]]:
    if document["format"] != FORMAT:
        raise ValueError(f"format {document['format']!r} is not {FORMAT}")
    if document["deploy"] != deploy:
        raise ValueError("it belongs to another deploy")
    questions = [dict(question) for question in document["questions"]]
    return {
        str(name): [
            {"question": questions[int(number)], "unasked": int(unasked)}
            for number, unasked in entries[:MOST_QUESTIONS]
        ]
        for name, entries in document["hosts"].items()
    }


def _text(record: Record) -> str:
    return json.dumps(record, sort_keys=True)
