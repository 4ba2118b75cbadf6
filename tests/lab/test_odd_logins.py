"""Logins that are not plain: shells that talk, sudo and SFTP that are not as usual, ssh_config."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import lab_host
import pytest
from lab_host import LabHost

from rocminfra.lab import hosts, keys

pytestmark = pytest.mark.lab

ROOT = Path(__file__).parents[2]
MAIN = "from rocminfra.runner.cli import main; main()"
# Not `reload`: sshd then closes its port and opens it again after systemctl has returned. On a fast
# machine these tests restart it more often than systemd allows, so the count starts again.
RESTART = "sshd -t && systemctl reset-failed ssh && systemctl restart ssh"
FILL_TMP = "cat /dev/zero >>/tmp/fill 2>/dev/null; test $(stat -f -c %f /tmp) = 0"
GREETING = "echo 'Welcome to your GPU droplet'"
# Worse: also on stderr, without an end of line, and after the command.
TALK = f"{GREETING}\nprintf 'news: none'\necho warning >&2\ntrap 'echo logout' EXIT"


@pytest.fixture(scope="module")
def host() -> Iterator[LabHost]:
    """A droplet on which the whole playbook has run, by a login that talks."""
    (made,) = lab_host.up(["odd"])
    made.ok(f"mount -t tmpfs -o noexec,size=64k none /tmp; {FILL_TMP}")
    yield made
    lab_host.down(made.name)


@pytest.fixture(scope="module")
def rocminfra(host: LabHost, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Any]:
    folder = tmp_path_factory.mktemp("playbook")

    def run(
        *arguments: str, data: dict[str, Any] | None = None, environ: dict[str, str] | None = None
    ) -> tuple[int, dict[str, Any], str]:
        """The command's exit code, JSON and messages."""
        own = {**hosts.data(lab_host.PATHS, host.droplet), **(data or {})}
        (folder / "hosts.py").write_text(
            "from rocminfra.inventory.sources import through_connector\n"
            f"hosts = through_connector([({host.name!r}, {own!r})])\n"
        )
        kept = {k: v for k, v in os.environ.items() if not k.startswith("ROCMINFRA_")}
        inventory = [] if environ and "ROCMINFRA_HOSTS_FILE" in environ else ["-i", "hosts.py"]
        done = subprocess.run(
            [sys.executable, "-c", MAIN, *arguments, "--json", *inventory],
            cwd=folder,
            env={**kept, "PYTHONPATH": str(ROOT), **(environ or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=240,
        )
        assert "Traceback" not in done.stderr, done.stderr
        return done.returncode, json.loads(done.stdout), done.stderr

    return run


@contextmanager
def changed(host: LabHost, file: str, command: str, after: str = "true") -> Iterator[None]:
    """A file of the host changed by ``command``, and put back."""
    host.ok(f"cp -a {file} {file}.before; {command}; {after}")
    try:
        yield
    finally:
        # By another way in than the one that may be broken.
        subprocess.run(
            [*keys.ssh_command(lab_host.PATHS, host.droplet, "root"), "-T", "sh"],
            input=f"mv -f {file}.before {file}; {after}\n",
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )


def talking(host: LabHost, text: str) -> Any:
    """root's login shell with these lines put first."""
    lines = "".join(f"{line}\\n" for line in text.split("\n")).replace("'", "'\\''")
    file = "/root/.bashrc"
    return changed(host, file, f"printf '{lines}' | cat - {file}.before > {file}")


def failure_of(document: dict[str, Any]) -> dict[str, Any]:
    (result,) = document["hosts"]
    found: dict[str, Any] = result["failures"][0]
    return found


def test_a_login_shell_that_talks_changes_nothing_with_both_connectors(
    host: LabHost, rocminfra: Callable[..., Any]
) -> None:
    with talking(host, TALK):
        code, document, err = rocminfra("apply")
        assert code == 0, err
        code, document, err = rocminfra("status")
        assert code == 0, (document, err)
        plain = {"ROCMINFRA_CONNECTOR": "ssh"}
        code, document, err = rocminfra("plan", "--exit-code", environ=plain)
        assert code == 0, (document, err)
        # Locks and uploads by pyinfra's own connector as well.
        host.ok("rm /mnt/models/models/*/config.json")
        code, document, err = rocminfra("apply", environ=plain)
        assert code == 0, (document, err)
    host.ok("test -s /mnt/models/models/*/config.json")


def test_a_tmp_that_is_full_and_runs_nothing_was_no_obstacle_to_all_that(
    host: LabHost, rocminfra: Callable[..., Any]
) -> None:
    try:
        host.ok(FILL_TMP)
        assert "noexec" in host.ok("findmnt -no OPTIONS /tmp")
        # Benchmarks are looked for, and would be run, by programs that are brought there.
        code, document, err = rocminfra("bench", "list")
        assert code == 0, (document, err)
    finally:
        host.ok("umount -l /tmp")


def test_what_a_login_shell_leaves_running_is_named_when_it_writes_a_moment_later(
    host: LabHost, rocminfra: Callable[..., Any]
) -> None:
    with talking(host, "(sleep 0.5; echo burst; echo burst) &"):
        code, document, _ = rocminfra("plan")
        failure = failure_of(document)
        assert (code, failure["code"]) == (4, 4)
        assert "leaves running writes into answers" in failure["what"]
        assert set(failure["why"]) == {"burst"}


def test_a_host_without_sftp_says_so_before_anything_changes_and_scp_works(
    host: LabHost, rocminfra: Callable[..., Any]
) -> None:
    host.ok("rm /mnt/models/models/*/config.json")
    sshd = "/etc/ssh/sshd_config"
    with changed(host, sshd, f"sed -i '/^Subsystem/d' {sshd}", RESTART):
        for connector in ("rocminfra", "ssh"):
            environ = {"ROCMINFRA_CONNECTOR": connector}
            code, document, _ = rocminfra("apply", "tasks/huggingface.py", environ=environ)
            failure = failure_of(document)
            assert (code, failure["code"]) == (4, 4)
            assert "offers no SFTP" in failure["what"]
            assert "ssh_file_transfer_protocol: scp" in failure["next_command"]
        host.ok("! test -e /mnt/models/models/*/config.json")
        scp = ("--data", "ssh_file_transfer_protocol=scp")
        code, document, err = rocminfra("apply", "tasks/huggingface.py", *scp)
        assert code == 0, (document, err)
    host.ok("test -s /mnt/models/models/*/config.json")


@pytest.mark.parametrize(
    ("change", "what", "remedy"),
    [
        ("echo 'Defaults requiretty' >> {file}", "sudo wants a terminal", "!requiretty"),
        ("sed -i 's/NOPASSWD://' {file}", "sudo asks ops for a password", "NOPASSWD: ALL"),
    ],
)
def test_sudo_that_does_not_work_unattended(
    host: LabHost, rocminfra: Callable[..., Any], change: str, what: str, remedy: str
) -> None:
    file = host.ok("grep -l ops -r /etc/sudoers.d | head -n 1").strip()
    user = {"ssh_user": "ops", "_sudo": True}
    with changed(host, file, change.format(file=file)):
        code, document, _ = rocminfra("status", data=user)
        failure = failure_of(document)
        assert (code, failure["code"]) == (4, 4)
        assert what in failure["what"]
        assert remedy in failure["next_command"]


def test_programs_are_not_in_the_journal_of_a_host_with_sudo(
    host: LabHost, rocminfra: Callable[..., Any]
) -> None:
    host.ok("journalctl --rotate --vacuum-time=1s -q; true")
    code, document, err = rocminfra("status", data={"ssh_user": "ops", "_sudo": True})
    assert code in (0, 7), (document, err)
    code, document, err = rocminfra("plan", data={"ssh_user": "ops", "_sudo": True})
    assert code == 0, (document, err)
    logged = host.ok("journalctl -q -o cat -t sudo --no-pager")
    assert "COMMAND" in logged
    assert "import" not in logged
    assert len(logged) < 60_000, len(logged)


@pytest.mark.parametrize("text", [f"{GREETING}\nexit 0", "exec >/dev/null"])
def test_a_login_shell_that_runs_no_command(
    host: LabHost, rocminfra: Callable[..., Any], text: str
) -> None:
    lines = "".join(f"{line}\\n" for line in text.split("\n"))
    host.ok(f'printf "{lines}" > /home/ops/.bashrc; chmod 644 /home/ops/.bashrc')
    try:
        code, document, _ = rocminfra("status", data={"ssh_user": "ops", "_sudo": True})
        failure = failure_of(document)
        assert (code, failure["code"]) == (4, 4)
        assert "the login shell of ops ends before it runs a command" in failure["what"]
        assert "~/.bashrc" in failure["next_command"]
    finally:
        host.ok("rm -f /home/ops/.bashrc")


@pytest.mark.parametrize(("name", "connector"), [("none-only", "rocminfra"), ("match", "ssh")])
def test_what_ssh_connects_to_by_its_configuration_is_connected_to(
    host: LabHost, rocminfra: Callable[..., Any], tmp_path: Path, name: str, connector: str
) -> None:
    data = hosts.data(lab_host.PATHS, host.droplet)
    field = ROOT / "tests" / "unit" / "inventory" / "field" / f"{name}.conf"
    config = field.read_text().replace("10.83.4.2", host.address)
    (tmp_path / "config").write_text(config.replace("LAB_KEY", data["ssh_key"]))
    (tmp_path / "hosts.yaml").write_text(
        "hosts:\n  hunt-x:\n"
        f"    ssh_config_file: {tmp_path}/config\n    ssh_known_hosts_file: {tmp_path}/known\n"
        "    ssh_strict_host_key_checking: accept-new\n"
    )
    environ = {
        "ROCMINFRA_HOSTS_FILE": str(tmp_path / "hosts.yaml"),
        "ROCMINFRA_CONNECTOR": connector,
    }
    code, document, err = rocminfra("status", environ=environ)
    assert code in (0, 7), (document, err)
    assert [result["name"] for result in document["hosts"]] == ["hunt-x"]


def test_a_host_key_that_changed_says_how_to_forget_the_old_one(
    host: LabHost, rocminfra: Callable[..., Any], tmp_path: Path
) -> None:
    subprocess.run(
        ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / "other")], check=True
    )
    public = " ".join((tmp_path / "other.pub").read_text().split()[:2])
    (tmp_path / "known").write_text(f"{host.address} {public}\n")
    code, document, _ = rocminfra("status", data={"ssh_known_hosts_file": str(tmp_path / "known")})
    failure = failure_of(document)
    assert (code, failure["code"]) == (4, 4)
    assert f"ssh-keygen -R {host.address} -f {tmp_path}/known" in failure["next_command"]


def test_dropbear_is_named_with_both_connectors(
    host: LabHost, rocminfra: Callable[..., Any], tmp_path: Path
) -> None:
    host.ok(
        "apt-get install -yq --no-install-recommends dropbear-bin >/dev/null; "
        "mkdir -p /etc/dropbear && dropbear -R -p 2222 -P /run/odd-dropbear.pid"
    )
    data = {
        "ssh_port": 2222,
        "ssh_known_hosts_file": str(tmp_path / "known"),
        "ssh_strict_host_key_checking": "accept-new",
    }
    try:
        for connector in ("rocminfra", "ssh"):
            environ = {"ROCMINFRA_CONNECTOR": connector}
            code, document, err = rocminfra("plan", data=data, environ=environ)
            failure = failure_of(document)
            assert (code, failure["code"]) == (4, 4)
            assert "the SSH server is Dropbear" in failure["what"], err
            assert "apt-get install openssh-server" in failure["next_command"]
    finally:
        host.ok("kill $(cat /run/odd-dropbear.pid); rm -rf /etc/dropbear")


def test_busybox_as_login_shell_works(host: LabHost, rocminfra: Callable[..., Any]) -> None:
    shell = "/usr/local/bin/odd-sh"
    host.ok(
        "apt-get install -yq --no-install-recommends busybox >/dev/null; "
        f"printf '#!/bin/sh\\nexec busybox sh \"$@\"\\n' > {shell} && chmod 755 {shell} && "
        f"useradd -m -s {shell} odd && cp -r /home/ops/.ssh /home/odd && chown -R odd: /home/odd"
        " && echo 'odd ALL=(ALL) NOPASSWD: ALL' > /etc/sudoers.d/odd"
    )
    odd = {"ssh_user": "odd", "_sudo": True}
    try:
        code, document, err = rocminfra("plan", "--exit-code", data=odd)
        assert code == 0, (document, err)
        host.ok("rm /mnt/models/models/*/config.json")
        code, document, err = rocminfra("apply", "tasks/huggingface.py", data=odd)
        assert code == 0, (document, err)
        host.ok("test -s /mnt/models/models/*/config.json")
    finally:
        host.ok(f"rm -f /etc/sudoers.d/odd {shell}; userdel -rf odd")


# A mount of its own for each, for reading only: the droplet's root cannot be mounted anew.
FOLDERS = "etc usr var"
CHANGED = "find /etc /usr/local /var/lib /mnt/models -newer /run/odd-before -not -path '*/docker/*'"


def test_a_root_that_can_only_be_read_is_refused_before_anything_changes(
    host: LabHost, rocminfra: Callable[..., Any]
) -> None:
    host.ok(
        "rm -f /mnt/models/models/*/config.json; sleep 0.1; touch /run/odd-before; "
        f"for d in {FOLDERS}; do mount --bind /$d /$d && mount -o remount,ro,bind /$d; done"
    )
    try:
        for verb in ("plan", "apply"):
            code, document, err = rocminfra(verb)
            failure = failure_of(document)
            assert (code, failure["code"]) == (6, 6), (document, err)
            assert "/etc, /usr/local, /var/lib on the host can only be read" in failure["what"]
            assert "mount -o remount,rw" in failure["next_command"]
        # A task alone comes as far as the lock.
        code, document, err = rocminfra("apply", "tasks/huggingface.py")
        failure = failure_of(document)
        assert (code, failure["code"]) == (6, 6), (document, err)
        assert "/var/lib/rocminfra on the host can only be read" in failure["what"]
        said = "[Errno 30] Read-only file system: '/var/lib/rocminfra/lock'"
        assert failure["why"] == [said]
        assert host.ok(CHANGED) == ""
        assert host.ok("systemctl is-active docker vllm").split() == ["active", "active"]
    finally:
        host.ok(f"for d in {FOLDERS}; do umount -l /$d; done; rm /run/odd-before")


SSHD = "/etc/ssh/sshd_config.d/rocminfra-odd.conf"
# Of the account `odd`: how it is made so, what sshd has for it, what is said, and what helps.
ACCOUNTS = {
    "one session": ("true", "MaxSessions 1", "fewer than 3 sessions", "MaxSessions 10"),
    "two sessions": ("true", "MaxSessions 2", "fewer than 3 sessions", "MaxSessions 10"),
    "expired password": ("chage -d 0 odd", "", "password of odd has expired", "chage -d"),
    "files only": ("true", "ForceCommand internal-sftp", "only transfer files", "ssh_user"),
    "another user": (
        "true",
        'ForceCommand echo \'Please login as the user "ops" rather than the user "odd".\'; exit 1',
        "not the user to log in as",
        "log in as ops (ssh_user: ops, _sudo: true)",
    ),
    "no login": ("chsh -s /usr/sbin/nologin odd", "", "cannot run commands", "ssh "),
    "second factor": (
        "true",
        "AuthenticationMethods publickey,keyboard-interactive",
        "cannot be reached",
        "ssh -v ",
    ),
    "expired account": ("chage -E 1 odd", "", "cannot be reached", "ssh -v "),
    "fish": (
        "DEBIAN_FRONTEND=noninteractive apt-get install -yq --no-install-recommends fish tcsh && "
        "chsh -s /usr/bin/fish odd",
        "",
        "login shell of odd is fish",
        "chsh -s /bin/bash odd",
    ),
    "tcsh": ("chsh -s /bin/tcsh odd", "", "login shell of odd is csh or tcsh", "chsh -s"),
}


@pytest.mark.parametrize("kind", ACCOUNTS)
def test_an_account_that_is_of_no_use_is_refused_with_the_remedy(
    host: LabHost, rocminfra: Callable[..., Any], kind: str
) -> None:
    made, setting, what, remedy = ACCOUNTS[kind]
    host.ok(
        "useradd -m -s /bin/bash odd && echo odd:odd | chpasswd && cp -r /home/ops/.ssh /home/odd/"
        f" && chown -R odd: /home/odd && {made}"
    )
    match = f"KbdInteractiveAuthentication yes\nMatch User odd\n  {setting or 'MaxSessions 10'}\n"
    quoted = shlex.quote(match)
    host.ok(f"printf %s {quoted} > {SSHD} && {RESTART}")
    try:
        # The check is the same for both; what they have begun by then is not.
        both = ("rocminfra", "ssh") if kind == "two sessions" else ("rocminfra",)
        for connector in both:
            environ = {"ROCMINFRA_CONNECTOR": connector}
            code, document, err = rocminfra("plan", data={"ssh_user": "odd"}, environ=environ)
            failure = failure_of(document)
            assert (code, failure["code"]) == (4, 4), err
            assert what in failure["what"]
            assert remedy in failure["next_command"]
    finally:
        host.ok(f"rm -f {SSHD}; {RESTART}; userdel -rf odd")
