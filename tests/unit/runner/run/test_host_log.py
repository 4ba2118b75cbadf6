"""pyinfra's log, taken apart by host."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from paramiko import Transport
from pyinfra.connectors import sshuserclient

from rocminfra.runner.run.host_log import HostLog


@pytest.fixture(autouse=True)
def _hook() -> Iterator[None]:
    before = threading.excepthook
    yield
    threading.excepthook = before


def log(verbosity: int) -> tuple[HostLog, list[str], logging.Logger]:
    shown: list[str] = []
    handler = HostLog(shown.append, verbosity)
    handler.attach()
    return handler, shown, logging.getLogger("pyinfra")


def test_errors_are_kept_by_host_and_not_shown() -> None:
    handler, shown, logger = log(0)
    logger.error("[lab-1] E: no such package")
    logger.error("[lab-2] \x1b[31mError: \x1b[0mexecuted 0 commands")
    assert handler.errors("lab-1") == ("E: no such package",)
    assert handler.errors("lab-2") == ("Error: executed 0 commands",)
    assert handler.errors("lab-3") == ()
    assert shown == []


@pytest.mark.parametrize(("verbosity", "expected"), [(0, ["w"]), (1, ["w", "i", "[a] e"])])
def test_what_is_shown(verbosity: int, expected: list[str]) -> None:
    _, shown, logger = log(verbosity)
    logger.warning("w")
    logger.info("i")
    logger.debug("d")
    logger.error("[a] e")
    assert shown == expected


@pytest.mark.parametrize("text", ["Connected", "Success", "No changes on retry 1", "Skipped"])
def test_what_an_operation_tells_is_shown_and_pyinfras_status_is_not(text: str) -> None:
    _, shown, logger = log(0)
    logger.info(f"[a] {text}")
    logger.info("[a] still loading, 3 min of 30")
    logger.debug("[a] detail")
    assert shown == ["[a] still loading, 3 min of 30"]


def test_pyinfras_padding_goes_and_an_operations_own_indentation_stays() -> None:
    handler, shown, logger = log(0)
    handler.align(["lab-1", "a-long-name"])
    logger.info("[lab-1]       format /dev/vdc")
    logger.info("[lab-1]           mount it")
    logger.info("[a-long-name] x")
    logger.info("[lab-1] nested       y")
    assert shown == [
        "[lab-1] format /dev/vdc",
        "[lab-1]     mount it",
        "[a-long-name] x",
        "[lab-1] y",
    ]


def test_the_debug_log_comes_with_the_second_v() -> None:
    _, shown, logger = log(2)
    logger.debug("d %s", 1)
    assert shown == ["d 1"]


def test_an_error_of_no_host_is_shown() -> None:
    _, shown, logger = log(0)
    logger.error("something else")
    assert shown == ["something else"]


@pytest.mark.parametrize(("verbosity", "said"), [(0, 0), (1, 1)])
def test_that_no_hosts_are_known_yet_is_nothing_to_speak_of(verbosity: int, said: int) -> None:
    """pyinfra warns of it at the first connection of every new user."""
    _, shown, logger = log(verbosity)
    path = str(Path(sshuserclient.__file__).parent / "client.py")
    text = "Failed to load host keys from %s: %s"
    record = logger.makeRecord(
        "pyinfra", logging.WARNING, path, 1, text, ("/root/.ssh/known_hosts", "no file"), None
    )
    logger.handle(record)
    assert len(shown) == said


class Stumbling(Transport):
    """A connection's thread that ends as paramiko's does when a ProxyCommand is gone."""

    def __init__(self) -> None:
        threading.Thread.__init__(self)

    def run(self) -> None:
        raise ProcessLookupError(3, "No such process")


@pytest.mark.parametrize(("verbosity", "said"), [(0, 0), (1, 0), (2, 1)])
def test_a_traceback_of_paramikos_threads_comes_with_the_second_v(
    capsys: pytest.CaptureFixture[str], verbosity: int, said: int
) -> None:
    _, shown, _ = log(verbosity)
    thread = Stumbling()
    thread.start()
    threading.Thread.join(thread)
    assert capsys.readouterr().err == ""
    assert len([line for line in shown if "No such process" in line]) == said


def test_a_traceback_of_another_thread_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    log(0)
    thread = threading.Thread(target=lambda: [][1])
    thread.start()
    thread.join()
    assert "IndexError" in capsys.readouterr().err
