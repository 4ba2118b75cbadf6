"""Which hosts a command is about, and what is refused before anything connects."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from failing import next_of

from rocminfra.failure import ExitCode, FailedError


def test_data_is_read_as_pyinfra_reads_it(worker: Any) -> None:
    items = ["vllm.port=8001", "a=true", 'rocm.users=["bob"]', "model.name=x=y", "b=1.5"]
    assert worker("data", items, ["t1", "t2"]) == {
        "vllm.port": 8001,
        "a": True,
        "rocm.users": ["bob"],
        "model.name": "x=y",
        "b": 1.5,
        "wipe": ["t1", "t2"],
    }


@pytest.mark.parametrize("item", ["vllm.port", "=1", ""])
def test_data_that_is_no_pair_is_refused(item: str, worker: Any) -> None:
    with pytest.raises(FailedError, match="not KEY=VALUE") as caught:
        worker("data", [item], [])
    assert caught.value.failure.kind is ExitCode.SETTINGS


@pytest.mark.parametrize(
    ("key", "instead"),
    [
        ("_sudo_password", "asks for it"),
        ("_su_password", "_sudo=true"),
        ("ssh_password", "ssh_key"),
        ("ssh_key_password", "ssh-add"),
    ],
)
def test_a_secret_on_the_command_line_is_refused(key: str, instead: str, worker: Any) -> None:
    with pytest.raises(FailedError) as caught:
        worker("data", [f"{key}=hunter2hunter2"], [])
    error = caught.value.failure
    assert error.kind is ExitCode.SETTINGS
    assert key in error.what
    assert instead in next_of(error)
    assert "hunter2" not in f"{error.what}{error.why}{next_of(error)}"


def test_data_that_is_no_pair_is_not_repeated_with_its_value(worker: Any) -> None:
    with pytest.raises(FailedError) as caught:
        worker("data", ["=hunter2hunter2"], [])
    assert "hunter2" not in caught.value.failure.what


def test_the_default_inventory_is_the_one_in_this_folder(worker: Any, tmp_path: Path) -> None:
    (tmp_path / "inventory").mkdir()
    (tmp_path / "inventory" / "amd_cloud.py").touch()
    assert worker("argument", str(tmp_path), {}, None) == ("inventory/amd_cloud.py", [])


def test_the_environment_alone_is_enough(runner: Any) -> None:
    runner.write("")
    runner.environ["ROCMINFRA_HOSTS"] = "@local"
    result = runner("plan", inventory=None)
    assert [host.name for host in result.hosts] == ["@local"]


def test_without_any_hosts_the_next_command_is_init(worker: Any, tmp_path: Path) -> None:
    with pytest.raises(FailedError, match="no hosts") as caught:
        worker("argument", str(tmp_path), {}, None)
    assert next_of(caught.value) == "rocminfra init my-hosts && cd my-hosts"


@pytest.mark.parametrize(
    ("given", "argument"),
    [
        ("@local", "@local"),
        ("a,b", "a,b"),
        ("mi300x-1", "mi300x-1,"),
        ("203.0.113.1", "203.0.113.1,"),
    ],
)
def test_hosts_by_name(given: str, argument: str, worker: Any, tmp_path: Path) -> None:
    assert worker("argument", str(tmp_path), {}, given) == (argument, given.split(","))


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("203.0.113.010", "must be four numbers from 0 to 255 without leading zeros"),
        ("203.0.113.9:22", "the port 22 is another key"),
        ("[::1]", "without brackets: ::1"),
        ("a b", "neither an address nor a name"),
        ("-x", "neither an address nor a name"),
        ("root@203.0.113.9", "the login is another key"),
        ("hosts.yml", "there is no inventory file hosts.yml"),
        (".", "there is no inventory file ."),
    ],
)
def test_what_is_given_as_a_host_is_one(
    given: str, words: str, worker: Any, tmp_path: Path
) -> None:
    with pytest.raises(FailedError, match=re.escape(words)) as caught:
        worker("argument", str(tmp_path), {}, given)
    assert caught.value.failure.kind is ExitCode.SETTINGS


def test_a_hosts_file_in_the_inventorys_place(worker: Any, tmp_path: Path) -> None:
    (tmp_path / "my hosts.yaml").write_text("hosts: {a: }\n")
    with pytest.raises(FailedError, match="is a hosts file") as caught:
        worker("argument", str(tmp_path), {}, "my hosts.yaml")
    assert next_of(caught.value) == "export ROCMINFRA_HOSTS_FILE='my hosts.yaml', and leave -i out"


def test_a_misspelt_variable_is_refused_for_hosts_by_name_too(worker: Any, tmp_path: Path) -> None:
    with pytest.raises(FailedError, match="did you mean ROCMINFRA_VLLM__PORT"):
        worker("argument", str(tmp_path), {"ROCMINFRA_VLM__PORT": "1"}, "203.0.113.9")


@pytest.mark.parametrize("given", ["missing.py", "inventory/missing"])
def test_an_inventory_file_that_is_missing(given: str, worker: Any, tmp_path: Path) -> None:
    with pytest.raises(FailedError, match="there is no inventory file") as caught:
        worker("argument", str(tmp_path), {}, given)
    assert caught.value.failure.kind is ExitCode.SETTINGS


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("import nowhere_to_be_found", "ModuleNotFoundError"),
        ("hosts = [", "SyntaxError"),
        (
            "from rocminfra.failure import Do, Failure, Fault\n"
            "from rocminfra.inventory.errors import UnusableInventory\n"
            "raise UnusableInventory("
            "Failure(Fault.SETTINGS_INVALID, 'bad file:', ('f:2: x',), Do('fix it')))",
            "bad file:",
        ),
        ("hosts = ['@nothing/x']", "Invalid connector: nothing"),
    ],
)
def test_an_inventory_that_fails_is_a_message(text: str, expected: str, runner: Any) -> None:
    runner.write(text, "inv.py")
    runner.write("")
    with pytest.raises(FailedError) as caught:
        runner(inventory="inv.py")
    assert caught.value.failure.kind is ExitCode.SETTINGS
    assert "inv.py" in caught.value.failure.what
    assert expected in caught.value.failure.what
    if "UnusableInventory" in text:
        assert caught.value.failure.why == ("f:2: x",)
        assert next_of(caught.value) == "fix it"


@pytest.mark.parametrize(
    ("patterns", "left"),
    [
        ([], ["a1", "b", "a2"]),
        (["a2", "a1"], ["a1", "a2"]),
        (["a*"], ["a1", "a2"]),
        (["group"], ["b"]),
    ],
)
def test_limits_keep_the_inventorys_order(
    patterns: list[str], left: list[str], worker: Any
) -> None:
    assert worker("limited", ["a1", "b", "a2"], ["b"], patterns) == left


def test_a_limit_that_matches_no_host_lists_what_there_is(worker: Any) -> None:
    with pytest.raises(FailedError, match="--limit c matches no host") as caught:
        worker("limited", ["a", "b"], ["b"], ["a", "c"])
    assert caught.value.failure.kind is ExitCode.SETTINGS
    assert caught.value.failure.why == ("hosts: a, b", "groups: group")
    assert next_of(caught.value) == "the same command with --limit NAME"


def test_an_inventory_without_hosts(worker: Any) -> None:
    with pytest.raises(FailedError, match="lists no hosts") as caught:
        worker("limited", [], [], [])
    assert next_of(caught.value) is not None
    assert next_of(caught.value).startswith("rocminfra lab up")


def test_settings_of_all_hosts_are_checked_at_once(worker: Any) -> None:
    hosts = {"a": {"vllm": {"port": 0}}, "b": {"vlm": {}}, "c": {}}
    with pytest.raises(FailedError) as caught:
        worker("checked", hosts, {"vllm.prot": 1})
    assert caught.value.failure.kind is ExitCode.SETTINGS
    assert caught.value.failure.why == (
        "a: vllm.port: should be greater than or equal to 1, not 0",
        "--data vllm.prot: unknown key (did you mean vllm.port?)",
        "b: vlm: unknown key (did you mean vllm?)",
    )
