"""A downloaded model, as its marker has it."""

from __future__ import annotations

from rocminfra.facts.hub_model import HubModelProblem


def test_an_empty_text_is_whole_and_any_other_the_reason() -> None:
    assert HubModelProblem().process(['""']) == ""
    assert HubModelProblem().process(['"x is missing"']) == "x is missing"


def test_a_host_that_says_nothing_has_no_whole_model() -> None:
    assert HubModelProblem.default() != ""


def test_its_argument_is_quoted() -> None:
    assert "'/mnt/a b.complete'" in str(HubModelProblem().command("/mnt/a b.complete"))
