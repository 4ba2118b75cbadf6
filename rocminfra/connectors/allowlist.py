"""Which facts a learned list may run on a host before the deploy reads them.

A learned list is a file, so it is not trusted. A fact in the list runs only when

1. its class is a fact in :mod:`pyinfra.facts` or :mod:`rocminfra.facts`, or in a module that this
   run has loaded for other reasons (a list never causes any other import), and is defined in the
   module that the list names;
2. each of its arguments is allowed below: the class quotes it for the shell, or it is a single
   harmless word, and the command stays read-only with it. An argument at its default value needs no
   permission. Never allowed are ``server.Command``, whose argument is shell text, and arguments
   that name a program to run (a path for ``pip``), extra options (``args`` of ``files.FindFiles``),
   a repository (git runs what its configuration says) or a password;
3. it runs in a plain shell, as a user that the list may name (:data:`IDENTITY`). Everything else,
   above all the environment, must come from the run itself.

A fact that is not allowed here still works; it is read live.
"""

from __future__ import annotations

import importlib
import inspect
import re
import sys
from collections.abc import Callable, Mapping
from typing import Any

from pyinfra.api import FactBase

Fact = type[FactBase[Any]]
Check = Callable[[object], bool]

# Modules that a list may import.
_FACT_MODULE = re.compile(r"(pyinfra|rocminfra)\.facts\.[a-z_0-9]+")

# One word that no shell expands and that no program reads as an option or an assignment.
_WORD = re.compile(r"[A-Za-z0-9_./:@%+,~][A-Za-z0-9_./:@%+,~-]*")
_USER = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*\$?")
# files.block uses its marker unquoted in an awk pattern.
_MARKER = re.compile(r"[A-Za-z0-9 _{}#.,:-]+")

SHELLS = frozenset(
    f"{folder}{name}" for folder in ("", "/bin/", "/usr/bin/") for name in ("sh", "bash", "dash")
)


class ReadOnlyArguments:
    """Mixin that lets your own fact class be batched with its arguments.

    By using it you promise that ``command`` quotes every text argument (``QuoteString``) and that
    it is read-only for any arguments. Declare the arguments with types from :data:`_DECLARED`.
    Facts without arguments do not need it.
    """


def _text(value: object) -> bool:
    # Must not look like an option, even for commands that do not use `--`.
    return isinstance(value, str) and "\0" not in value and not value.startswith("-")


def _word(value: object) -> bool:
    return isinstance(value, str) and _WORD.fullmatch(value) is not None


def _user(value: object) -> bool:
    return isinstance(value, str) and _USER.fullmatch(value) is not None


def _marker(value: object) -> bool:
    return isinstance(value, str) and _MARKER.fullmatch(value) is not None


def _flag(value: object) -> bool:
    return isinstance(value, bool)


def _number(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _list_of(check: Check) -> Check:
    def each(value: object) -> bool:
        return isinstance(value, list) and all(check(item) for item in value)

    return each


def _any_of(*checks: Check) -> Check:
    return lambda value: any(check(value) for check in checks)


def _one_of(*values: str) -> Check:
    return lambda value: isinstance(value, str) and value in values


# Parameter types allowed in rocminfra's facts and in those with ReadOnlyArguments.
_DECLARED: Mapping[str, Check] = {
    "str": _text,
    "int": _number,
    "bool": _flag,
    "None": lambda value: value is None,
    "list[str]": _list_of(_text),
    "Sequence[str]": _list_of(_text),
    "Iterable[str]": _list_of(_text),
}

_PATH: Mapping[str, Check] = {"path": _text}
_FIND: Mapping[str, Check] = {
    "path": _text,
    "size": _any_of(_number, _word),
    "min_size": _any_of(_number, _word),
    "max_size": _any_of(_number, _word),
    "maxdepth": _number,
    "fname": _text,
    "iname": _text,
    "regex": _text,
    "path_match": _text,
}
_SYSTEMD: Mapping[str, Check] = {
    "user_mode": _flag,
    "services": _any_of(_text, _list_of(_text)),
}

# pyinfra's own facts: class (below pyinfra.facts) to arguments. Their code was reviewed: each
# argument is quoted, or limited to words, and the command is read-only. A test tries hostile values
# in each.
ARGUMENTS: Mapping[str, Mapping[str, Check]] = {
    "crontab.Crontab": {"user": _user},
    "deb.DebPackage": {"package": _text},
    "docker.DockerContainer": {"object_id": _word},
    "docker.DockerImage": {"object_id": _word},
    "docker.DockerNetwork": {"object_id": _word},
    "docker.DockerPlugin": {"object_id": _word},
    "docker.DockerVolume": {"object_id": _word},
    "files.Block": {"path": _text, "marker": _marker, "begin": _marker, "end": _marker},
    "files.Directory": _PATH,
    "files.File": _PATH,
    "files.FileContents": _PATH,
    "files.FindDirectories": _FIND,
    "files.FindFiles": _FIND,
    "files.FindInFile": {"path": _text, "pattern": _text, "extended_regex": _flag},
    "files.FindLinks": _FIND,
    "files.Flags": _PATH,
    "files.Link": _PATH,
    "files.Md5File": _PATH,
    "files.Sha1File": _PATH,
    "files.Sha256File": _PATH,
    "files.Sha384File": _PATH,
    "files.Socket": _PATH,
    "iptables.Ip6tablesChains": {"table": _word},
    "iptables.Ip6tablesRules": {"table": _word},
    "iptables.IptablesChains": {"table": _word},
    "iptables.IptablesRules": {"table": _word},
    "pip.Pip3Packages": {"pip": _one_of("pip", "pip3")},
    "pip.PipPackages": {"pip": _one_of("pip", "pip3")},
    "server.AuthorizedKeys": {"user": _user, "path": _text},
    "server.EtcHosts": _PATH,
    "server.Home": {"user": _user},
    "server.Port": {"port": _number, "protocol": _one_of("tcp", "udp")},
    "server.Processes": {"pid": _number},
    "server.Sysctl": {"keys": _list_of(_word)},
    "server.Which": {"command": _word},
    "systemd.SystemdEnabled": _SYSTEMD,
    "systemd.SystemdStatus": _SYSTEMD,
}

# Connector arguments that a list may name, and their allowed values. The others do not change the
# command (timeouts, retries) or never come from a list.
IDENTITY: Mapping[str, Check] = {
    "_sudo": _flag,
    "_sudo_user": _user,
    "_use_sudo_login": _flag,
    "_preserve_sudo_env": _flag,
    "_su_user": _user,
    "_use_su_login": _flag,
    "_preserve_su_env": _flag,
    "_doas": _flag,
    "_doas_user": _user,
    "_dzdo": _flag,
    "_dzdo_user": _user,
    "_shell_executable": _one_of(*SHELLS),
}


def find_fact(name: object) -> Fact | None:
    """The fact class with this dotted name, or None when a list may not name it (rule 1)."""
    if not isinstance(name, str):
        return None
    module_name, _, class_name = name.rpartition(".")
    module = sys.modules.get(module_name)
    if module is None:
        if _FACT_MODULE.fullmatch(module_name) is None:
            return None
        try:
            module = importlib.import_module(module_name)
        except ImportError:
            return None
    # Not getattr: a module may run code for a missing name.
    found = vars(module).get(class_name)
    if not isinstance(found, type) or not issubclass(found, FactBase):
        return None
    is_itself = (found.__module__, found.__qualname__) == (module_name, class_name)
    return found if is_itself else None


def arguments_allowed(fact: Fact, arguments: Mapping[str, object]) -> bool:
    """Whether a list may name this fact with these arguments (rule 2)."""
    if not callable(fact.command):
        return not arguments
    parameters = inspect.signature(fact.command).parameters
    given = {
        key: value
        for key, value in arguments.items()
        if key not in parameters or not _same(value, parameters[key].default)
    }
    if not given:
        return True
    module = fact.__module__
    if module.startswith("pyinfra.facts."):
        known = ARGUMENTS.get(f"{module.removeprefix('pyinfra.facts.')}.{fact.__name__}", {})
        return all(key in known and known[key](value) for key, value in given.items())
    if module.startswith("rocminfra.facts.") or issubclass(fact, ReadOnlyArguments):
        return all(
            key in parameters and _fits(value, parameters[key].annotation)
            for key, value in given.items()
        )
    return False


def identity_allowed(identity: Mapping[str, object]) -> bool:
    """Whether a list may run a fact with this identity (rule 3)."""
    return all(key in IDENTITY and IDENTITY[key](value) for key, value in identity.items())


def _fits(value: object, annotation: object) -> bool:
    """Whether a value has its parameter's declared type: numbers are often not quoted."""
    declared = annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)
    parts = [part.strip() for part in declared.split("|")]
    return any(part in _DECLARED and _DECLARED[part](value) for part in parts)


def _same(value: object, default: object) -> bool:
    return type(value) is type(default) and value == default
