"""Secrets stay out of what is shown."""

from __future__ import annotations

from rocminfra.runner.run.redaction import Redaction, environment_secrets


def test_a_secret_is_masked_wherever_it_stands() -> None:
    redact = Redaction(["hf_abcdefghij"])
    assert redact.text("token=hf_abcdefghij, again hf_abcdefghij") == "token=***, again ***"
    assert redact.lines(["a", "hf_abcdefghij"]) == ("a", "***")


def test_a_secret_inside_another_leaves_no_rest() -> None:
    redact = Redaction(["hf_abcdefghij", "hf_abcdefghijklmnop"])
    assert redact.text("hf_abcdefghijklmnop") == "***"


def test_short_values_do_not_black_out_ordinary_words() -> None:
    assert Redaction(["", "a", "true"]).text("a true word") == "a true word"


def test_the_variables_that_hold_tokens_are_known() -> None:
    environ = {"HF_TOKEN": "one-secret ", "MY_TOKEN": "two-secret", "PATH": "/bin", "EMPTY": ""}
    assert environment_secrets(environ, ["MY_TOKEN", "EMPTY"]) == ["one-secret", "two-secret"]
