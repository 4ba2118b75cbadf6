"""A host's data, checked, as :class:`~rocminfra.settings.schema.Settings`."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from rocminfra.settings.connection_keys import WANTED
from rocminfra.settings.located_yaml import read_value
from rocminfra.settings.problems import Problem, RuleBroken, SettingsError, in_words, kind_of
from rocminfra.settings.pyinfra_keys import GLOBAL_ARGUMENT_KEYS, SSH_KEYS, is_pyinfra_key
from rocminfra.settings.schema import SECTIONS, Settings
from rocminfra.settings.typed_text import is_null
from rocminfra.settings.value_types import WORDS_OF_PATTERN
from rocminfra.settings.wanted import Wanted, wanted

# A number as people write it with its unit.
_WITH_UNIT = re.compile(r"(?P<number>[0-9]{1,9}([.,][0-9]{1,9})?) ?(?P<unit>%|[A-Za-z]{1,4})")
# Of a variable; the position in a list is a number.
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# Where people put secrets by mistake: what is refused there is not repeated.
_MAY_BE_SECRET = ("huggingface.", "engine.environment", "vllm.extra_args")


def known_keys() -> tuple[str, ...]:
    """Every key that a host may set, dotted."""
    keys = [f"{name}.{field}" for name, cls in SECTIONS.items() for field in cls.model_fields]
    return (*keys, "wipe")


def wanted_of(key: str) -> Wanted | None:
    """What a key takes: a dotted one, a section, or one of a host's connection; None: unknown."""
    if key in WANTED:
        return WANTED[key]
    found: Wanted | None = wanted(Settings)
    for part in key.split(".", 1):
        found = None if found is None else found.keys.get(part)
    if key == "wipe":  # one token, or several
        return Wanted(frozenset({str}), wanted(str))
    return found


def nearest_key(key: str) -> str | None:
    """The known key that ``key`` was probably meant to be."""
    if key.startswith(("ssh_", "_")):
        pyinfra_keys = sorted(SSH_KEYS | GLOBAL_ARGUMENT_KEYS)
        return next(iter(difflib.get_close_matches(key, pyinfra_keys, n=1, cutoff=0.6)), None)
    known = known_keys()
    if key.lower() != key:
        plain = key.lower()
        return plain if plain in (*known, *SECTIONS) else nearest_key(plain)
    # `max_num_seqs` without its section, or in the wrong one.
    leaf = key.rsplit(".", 1)[-1]
    same_leaf = [name for name in known if name.rsplit(".", 1)[-1] == leaf]
    if same_leaf:
        return difflib.get_close_matches(key, same_leaf, n=1, cutoff=0)[0]
    if "." not in key:
        # A section's name, which is shorter than any key of it.
        section = difflib.get_close_matches(key, list(SECTIONS), n=1, cutoff=0.8)
        if section:
            return section[0]
    close = difflib.get_close_matches(key, known, n=1, cutoff=0.6)
    if close:
        return close[0]
    close_section = difflib.get_close_matches(key, list(SECTIONS), n=1, cutoff=0.6)
    if close_section:
        return close_section[0]
    leaves = {name.rsplit(".", 1)[-1]: name for name in known}
    close_leaf = difflib.get_close_matches(leaf, list(leaves), n=1, cutoff=0.75)
    return leaves[close_leaf[0]] if close_leaf else None


def load_settings(data: Mapping[str, Any]) -> Settings:
    """Check a host's data and return its settings.

    + data: sections as mappings (``{"vllm": {"max_num_seqs": 32}}``), dotted keys
      (``{"vllm.max_num_seqs": 32}``, which win) and ``wipe``; keys that pyinfra itself knows
      (``ssh_user``, ``_sudo``) are passed over

    Raises :class:`SettingsError` with every problem found.
    """
    merged, problems = _merge(data)
    try:
        settings = Settings.model_validate(merged)
    except ValidationError as error:
        problems.extend(
            _problem(item)
            for item in error.errors(include_url=False)
            # A default that follows from a refused value says nothing new.
            if item["type"] != "default_factory_not_called"
        )
    if problems:
        raise SettingsError(problems)
    return settings


def load_pyinfra_settings(data: Mapping[str, Any]) -> Settings:
    """The settings of pyinfra's data of a host, which may hold ``--data`` of its own command.

    pyinfra leaves as text what it takes for no number, truth value or JSON (``.92``, ``[a, b]``,
    ``yes``; YAML's null, ``~``). Those are read here as in every other place, so that one value
    means one thing.

    Raises :class:`SettingsError` with every problem found.
    """
    read = dict(data)
    problems = []
    for key, value in data.items():
        takes = wanted_of(key) if isinstance(value, str) else None
        if takes is None:
            continue
        if str in takes.scalars and not ("." in key and is_null(value, takes)):
            continue
        if key in WANTED:
            # pyinfra has used it already: _sudo=no is a text, and so it was true.
            problems.append(Problem(key, f"must be written as JSON, not {in_words(value)}"))
        elif "." in key:
            try:
                read[key] = read_value(value, takes)
            except ValueError as error:
                problems.append(Problem(key, f"is not a valid YAML value: {error}"))
    if problems:
        raise SettingsError(problems)
    return load_settings(read)


def _merge(data: Mapping[str, Any]) -> tuple[dict[str, Any], list[Problem]]:
    merged: dict[str, Any] = {}
    problems: list[Problem] = []
    dotted = {key: value for key, value in data.items() if "." in key}
    for key, value in data.items():
        if key in dotted or is_pyinfra_key(key):
            continue
        if key in SECTIONS:
            if value is None:  # an empty section of a YAML file
                continue
            if not isinstance(value, Mapping):
                problems.append(Problem(key, f"must be a section with keys, not {kind_of(value)}"))
                continue
            merged[key] = dict(value)
        elif key == "wipe":
            merged[key] = [value] if isinstance(value, str) else value
        else:
            problems.append(Problem(key, "unknown key", nearest_key(key)))
    for key, value in dotted.items():
        section, leaf = key.split(".", 1)
        if section not in SECTIONS:
            problems.append(Problem(key, "unknown key", nearest_key(key)))
            continue
        merged.setdefault(section, {})[leaf] = value
    return merged, problems


def _of_unit(key: str, given: object) -> str:
    """What to write instead of a number with its unit."""
    match = _WITH_UNIT.fullmatch(given) if isinstance(given, str) else None
    if match is None:
        return ""
    number, unit = match["number"].replace(",", "."), match["unit"]
    if unit == "%" and key == "vllm.gpu_memory_utilization" and number.count(".") < 2:
        return f"; {given} is {float(number) / 100:g}"
    return "; write the number alone, in the unit of the key"


def _problem(item: Any) -> Problem:
    location = [str(part) for part in item["loc"]]
    key = ".".join(location[:2])
    if item["type"] == "extra_forbidden":
        return Problem(key, "unknown key", nearest_key(key))
    message = str(item["msg"]).removeprefix("Value error, ").removeprefix("Input ")
    if not message[1:2].isupper():  # a name of capital letters is quoted as it is
        message = message[:1].lower() + message[1:] if message else "not usable"
    if len(location) > 2 and _NAME.fullmatch(location[2]) and location[-1] != "[key]":
        message = f"{location[2]} {message}"
    given, is_hidden = item["input"], key.startswith(_MAY_BE_SECRET)
    if item["type"].endswith("_type") or item["type"].endswith("_parsing"):
        words = kind_of if is_hidden else in_words
        message = f"{message}, not {words(given)}{_of_unit(key, given)}"
    elif item["type"] == "string_pattern_mismatch":
        message = WORDS_OF_PATTERN.get(item["ctx"]["pattern"], message)
        message += "" if is_hidden else f", not {given!r}"
    elif item["type"].startswith(("greater_than", "less_than")):
        message = f"{message}, not {given}"
    broken = item.get("ctx", {}).get("error")
    keys = broken.keys if isinstance(broken, RuleBroken) else ()
    return Problem(key, message, keys=keys)
