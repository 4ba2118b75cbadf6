"""What a new user types wrong, and what a daily user sees: one test a kind of mistake."""

from __future__ import annotations

import contextlib
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from command_line import FILE, MAIN, environment, under_way

TWO_HOSTS = 'hosts = [("ux1", {"ssh_port": 1}), ("ux2", {"ssh_port": 1}), ("demo", {})]\n'


def rocminfra(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-c", MAIN, *arguments],
        cwd=folder,
        env=environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done


def next_line(done: subprocess.CompletedProcess[str]) -> str:
    """The last line, which has to be the next step."""
    last = done.stderr.splitlines()[-1]
    assert last.startswith("next: "), done.stderr
    return last.removeprefix("next: ")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "deploy.py").write_text(FILE)
    (tmp_path / "three.py").write_text(TWO_HOSTS)
    return tmp_path


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        (("--limit", "ux3"), ("--limit", "ux2")),
        (("--limit=dmo", "--limit", "ux1"), ("--limit", "demo")),
    ],
)
def test_a_limit_that_is_misspelled(
    words: tuple[str, ...], meant: tuple[str, ...], folder: Path
) -> None:
    data = ("--data", "vllm.max_num_seqs=32")
    done = rocminfra(folder, "plan", "-i", "three.py", *words, *data)
    assert done.returncode == 3
    command = ("rocminfra", "plan", "-i", "three.py", *meant, *data)
    assert next_line(done) == " ".join(command)


def test_a_verb_that_is_misspelled(folder: Path) -> None:
    done = rocminfra(folder, "aply", "-i", "@local", "--data", "vllm.max_num_seqs=32")
    assert done.returncode == 3
    assert "did you mean apply?" in done.stderr
    assert next_line(done) == "rocminfra apply -i @local --data vllm.max_num_seqs=32"
    nothing_near = rocminfra(folder, "frobnicate")
    assert next_line(nothing_near) == "rocminfra --help"


def test_a_setting_that_is_misspelled_is_corrected_in_the_next_command(folder: Path) -> None:
    done = rocminfra(folder, "plan", "-i", "@local", "--data", "vllm.max_num_seq=32")
    assert done.returncode == 3
    what = "--data vllm.max_num_seq: unknown key (did you mean vllm.max_num_seqs?) [RI-301]"
    assert done.stderr.splitlines()[-2] == what
    assert next_line(done) == "rocminfra plan -i @local --data vllm.max_num_seqs=32"


def test_settings_that_are_refused_say_what_each_of_them_and_what_next(folder: Path) -> None:
    data = ("--data", "vllm.port=x", "--data", "model.source=a/b/c")
    done = rocminfra(folder, "apply", "-i", "@local", "--limit", "@local", "-y", *data)
    lines = done.stderr.strip().splitlines()
    assert lines[-2] == "2 settings cannot be used [RI-301]"
    # A default that follows from a refused value is no third one.
    assert [line.split(":")[0].strip() for line in lines[:-2]] == [
        "--data model.source",
        "--data vllm.port",
    ]
    again = " ".join(("rocminfra", "apply", "-i", "@local", "--limit", "@local", "-y", *data))
    assert next_line(done) == f"correct it; then: {again}"


def test_secrets_are_in_no_next_line(folder: Path) -> None:
    data = ("--data", "engine.environment={A_KEY: hunter22}", "--data", "vllm.prot=1")
    done = rocminfra(folder, "plan", "-i", "@local", "--wipe", "a:b:c", *data)
    assert "hunter22" not in done.stderr
    assert "--wipe" not in next_line(done)


def test_a_folder_that_would_be_taken_for_a_repository(folder: Path) -> None:
    (folder / "models" / "toy").mkdir(parents=True)
    done = rocminfra(folder, "plan", "-i", "@local", "--data", "model.source=models/toy")
    assert done.returncode == 3
    assert "write ./models/toy for the folder" in done.stderr
    fine = rocminfra(folder, "plan", "-i", "@local", "--data", "model.source=./models/toy")
    assert fine.returncode == 0


@pytest.mark.parametrize("value", ["[--enforce-eager]", "--enforce-eager"])
def test_a_list_is_written_as_in_a_hosts_file(value: str, folder: Path) -> None:
    done = rocminfra(folder, "plan", "-i", "@local", "--data", f"vllm.extra_args={value}")
    assert done.returncode == (0 if value.startswith("[") else 3), done.stderr


def test_init_where_a_playbook_is_already(tmp_path: Path) -> None:
    assert rocminfra(tmp_path, "init", ".").returncode == 0
    assert (tmp_path / ".gitignore").read_text() == "results/\ninventory/hosts.yaml\n"
    again = rocminfra(tmp_path, "init", ".")
    assert again.returncode == 3
    assert next_line(again) == "rocminfra plan   # the playbook is here already"
    other = rocminfra(tmp_path, "init", "tasks")
    assert other.returncode == 0  # another folder, and nothing of ours is in it at these names
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "templates").write_text("mine")
    (tmp_path / "mine-2").mkdir()
    third = rocminfra(tmp_path, "init", "mine")
    assert next_line(third) == "rocminfra init mine-3"


def test_init_leaves_a_gitignore_alone_and_says_what_belongs_into_it(tmp_path: Path) -> None:
    (tmp_path / ".gitignore").write_text("mine\n")
    done = rocminfra(tmp_path, "init", ".")
    assert done.returncode == 0
    assert (tmp_path / ".gitignore").read_text() == "mine\n"
    assert "results/ and inventory/hosts.yaml" in done.stderr


def test_apply_without_a_terminal_names_the_whole_command(folder: Path) -> None:
    done = rocminfra(folder, "apply", "-i", "@local", "--limit", "@local")
    assert done.returncode == 3
    assert next_line(done) == "rocminfra apply -i @local --limit @local --yes"


def test_apply_with_nothing_to_do_is_one_line(folder: Path) -> None:
    first = rocminfra(folder, "apply", "-i", "@local", "-y")
    assert "1 changed" in first.stdout
    again = rocminfra(folder, "apply", "-i", "@local", "-y")
    assert again.stdout.startswith("nothing to change on 1 host (")
    assert again.stdout.count("\n") == 1
    assert again.stderr == ""
    # And waits for no library that draws: a run without changes is as quick as it was.
    code = f"import sys\n{MAIN.replace('main()', 'run()')}\nprint('rich' in sys.modules)"
    code = code.replace("import main", "import run")
    quick = subprocess.run(
        [sys.executable, "-c", code, "apply", "-i", "@local", "-y"],
        cwd=folder,
        env=environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=True,
    )
    assert quick.stdout.splitlines()[-1] == "False"
    loud = rocminfra(folder, "apply", "-i", "@local", "-y", "-v")
    assert "--> a file" in loud.stderr
    assert "[@local] ok" in loud.stderr


def interrupted(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    process = under_way(folder, *arguments)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    return subprocess.CompletedProcess(arguments, process.returncode, out, err)


def test_ctrl_c_in_a_plan_is_no_plan(folder: Path) -> None:
    (folder / "deploy.py").write_text(
        "import gevent, pathlib\npathlib.Path('started').touch()\ngevent.sleep(60)\n"
    )
    done = interrupted(folder, "plan", "-i", "@local")
    assert done.returncode == 130
    assert done.stdout.splitlines() == ["@local: interrupted"]
    assert done.stderr.splitlines()[-1] == "next: rocminfra plan -i @local"


def test_a_kept_plan_is_applied_as_it_is_or_not_at_all(folder: Path) -> None:
    planned = rocminfra(folder, "plan", "-i", "@local", "--out", "my plan")
    assert planned.returncode == 0
    assert next_line(planned) == "rocminfra apply --plan 'my plan'"
    mixed = rocminfra(folder, "apply", "--plan", "my plan", "--limit", "x")
    assert mixed.returncode == 3
    (folder / "deploy.py").write_text(FILE + FILE.replace("a file", "b").replace("out", "more"))
    refused = rocminfra(folder, "apply", "--plan", "my plan")
    assert refused.returncode == 5
    assert "'b' would change something as well" in refused.stderr
    assert next_line(refused) == "rocminfra plan -i @local --out 'my plan'"
    assert not (folder / "out").exists()
    (folder / "deploy.py").write_text(FILE)
    done = rocminfra(folder, "apply", "--plan", "my plan")
    assert done.returncode == 0
    assert (folder / "out").exists()
    again = rocminfra(folder, "apply", "--plan", "my plan")
    assert again.stdout.startswith("nothing to change on 1 host")


def test_a_host_that_is_out_is_named_before_the_others_go_on(folder: Path) -> None:
    (folder / "two.py").write_text('hosts = ["@local", ("127.0.0.1", {"ssh_port": 1})]\n')
    done = rocminfra(folder, "apply", "-i", "two.py", "-y")
    assert done.returncode == 4
    lines = done.stderr.splitlines()
    out = "[127.0.0.1] is out of this run: 127.0.0.1 cannot be reached"
    assert lines.index(out) < lines.index("--> a file")
    # The whole story is the last word all the same.
    assert "127.0.0.1 cannot be reached" in lines[-2]
    assert (folder / "out").exists()


def test_a_server_that_hangs_up_is_one_message(folder: Path) -> None:
    """A droplet that boots takes connections before its sshd runs."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def hang_up() -> None:
            with contextlib.suppress(OSError):
                while True:
                    listening.accept()[0].close()

        threading.Thread(target=hang_up, daemon=True).start()
        port = listening.getsockname()[1]
        done = rocminfra(folder, "plan", "-i", "127.0.0.1", "--data", f"ssh_port={port}")
        listening.close()
    assert done.returncode == 4
    assert len(done.stderr.splitlines()) <= 6, done.stderr
    assert next_line(done) == f"ssh -v -p {port} 127.0.0.1 true"
