"""Pages on the terminal, and the Tab key."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from click.testing import CliRunner

from rocminfra.failure import FailedError, Fault
from rocminfra.runner.verbs.completion import completion
from rocminfra.runner.verbs.docs import docs


def shown(*words: str) -> str:
    result = CliRunner().invoke(docs, words, standalone_mode=False)
    if result.exception is not None:
        raise result.exception
    return result.output


@pytest.mark.parametrize("topic", ["storage", "docs/storage.md", "STORAGE"])
def test_a_page_is_found_as_people_write_it(topic: str) -> None:
    assert shown(topic).startswith("# ")


def test_without_a_topic_all_are_listed_with_their_titles() -> None:
    lines = shown().splitlines()
    assert any(line.split(maxsplit=1) == ["undo", "Undoing a deploy"] for line in lines)


def test_an_error_is_looked_up_by_its_code() -> None:
    assert shown("ri-501").startswith("### RI-501 ")


def test_an_unknown_page_names_the_nearest() -> None:
    with pytest.raises(FailedError) as caught:
        shown("storrage")
    assert caught.value.failure.fault is Fault.TOPIC_UNKNOWN
    assert "did you mean storage?" in caught.value.failure.what


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_prints_a_script_that_calls_the_command(shell: str) -> None:
    result = CliRunner().invoke(completion, [shell], standalone_mode=False)
    assert result.exception is None
    assert "_ROCMINFRA_COMPLETE" in result.output


@pytest.mark.parametrize(
    ("words", "found"), [("rocminfra tun", "tunnel"), ("rocminfra logs --sin", "--since")]
)
def test_the_tab_key_completes_verbs_and_options(words: str, found: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", "from rocminfra.runner.cli import main; main()"],
        env={
            **os.environ,
            "_ROCMINFRA_COMPLETE": "bash_complete",
            "COMP_WORDS": words,
            "COMP_CWORD": str(len(words.split()) - 1),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert f"plain,{found}" in done.stdout.split(), done.stderr
