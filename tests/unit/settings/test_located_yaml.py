"""YAML with lines: what it refuses, and where it says things stand."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from rocminfra.settings.located_yaml import parse_yaml, read_yaml
from rocminfra.settings.problems import Problem, SettingsError


def refused(text: str) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        parse_yaml(text, "hosts.yaml")
    return [str(problem) for problem in caught.value.problems]


def test_every_key_has_its_line() -> None:
    located = parse_yaml("a:\n  b: 1\n\n  c:\n    - d: 2\n", "f.yaml")
    assert located.data == {"a": {"b": 1, "c": [{"d": 2}]}}
    assert located.where("a", "b") == "f.yaml:2"
    assert located.where("a", "c", "0", "d") == "f.yaml:5"


def test_a_key_that_is_missing_is_placed_at_the_nearest_one_above() -> None:
    located = parse_yaml("a:\n  b: 1\n", "f.yaml")
    assert located.where("a", "x", "y") == "f.yaml:1"
    assert located.where("x") == "f.yaml"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: 1\na: 2\n", "hosts.yaml:2: a: is given twice; the first is in line 1"),
        ("h:\n  a:\n    p: 1\n    p: 1\n", "hosts.yaml:4: h.a.p: is given twice; the first is in"),
        ("a:\n\tb: 1\n", "hosts.yaml:2: a tab cannot indent YAML; use spaces ('b: 1')"),
        ("a: [1\nb: 2\n", "hosts.yaml:2: is not valid YAML here"),
        ("a: b: c\n", "hosts.yaml:1: is not valid YAML here"),
        ("- a\n", "hosts.yaml:1: must be keys with values"),
        ("just words\n", "hosts.yaml:1: must be keys with values"),
        ("x: &x {a: 1}\ny:\n  <<: *x\n", "hosts.yaml:3: y: '<<' is not supported"),
        ("? [a, b]\n: 1\n", "hosts.yaml:1: a key must be one word"),
        ("a: &x [*x]\n", "contains itself"),
        ("a: !!python/object:os.system x\n", "hosts.yaml:1: a: cannot be read"),
        ("a: !!int '022'\n", "hosts.yaml:1: a: cannot be read: tags (!!int)"),
        ("a: 1\n---\nb: 2\n", "is not valid YAML here"),
        ("a: \x01\n", "is not valid YAML"),
    ],
)
def test_what_yaml_would_swallow_is_refused_with_its_line(text: str, expected: str) -> None:
    assert any(expected in line for line in refused(text)), refused(text)


def test_the_same_anchor_may_be_used_twice() -> None:
    assert parse_yaml("a: &x {p: 1}\nb: *x\n", "f").data == {"a": {"p": 1}, "b": {"p": 1}}


def test_a_key_is_text_whatever_yaml_makes_of_it() -> None:
    assert parse_yaml("1: a\nyes: b\n", "f").data == {"1": "a", "yes": "b"}


def test_an_empty_file_says_nothing() -> None:
    assert parse_yaml("# only a comment\n", "f").data == {}


def test_a_missing_file_and_one_that_is_no_text(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="No such file"):
        read_yaml(tmp_path / "missing.yaml")
    with pytest.raises(SettingsError, match="directory"):
        read_yaml(tmp_path)
    binary = tmp_path / "binary.yaml"
    binary.write_bytes(b"a: \xff\xfe")
    with pytest.raises(SettingsError, match="not UTF-8"):
        read_yaml(binary)


_plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text("abc xyz:#-'\"", max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text("abcdef", min_size=1, max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(st.dictionaries(st.text("abcdef", min_size=1, max_size=5), _plain, max_size=4))
def test_what_is_accepted_is_what_pyyaml_reads(data: dict[str, object]) -> None:
    text = yaml.safe_dump(data)
    assert parse_yaml(text, "f").data == data


@given(st.text(max_size=60))
def test_any_text_is_either_data_or_a_problem(text: str) -> None:
    found: tuple[Problem, ...] | None = None
    try:
        parse_yaml(text, "f")
    except SettingsError as error:
        found = error.problems
    assert found is None or (found and all(problem.where for problem in found))
