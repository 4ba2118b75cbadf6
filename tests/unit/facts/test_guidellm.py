"""GuideLLM's environment."""

from __future__ import annotations

from rocminfra.facts.guidellm import GuidellmEnvironment


def test_a_marker_says_what_it_was_made_of() -> None:
    assert (
        GuidellmEnvironment().process(["guidellm 0.8.1", "torch 2.13"])
        == "guidellm 0.8.1\ntorch 2.13"
    )
    assert GuidellmEnvironment().process([""]) is None


def test_its_arguments_are_quoted() -> None:
    assert "'/opt/a b/.complete'" in str(GuidellmEnvironment().command("/opt/a b"))
