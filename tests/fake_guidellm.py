"""A stand-in for GuideLLM's environment: a Python with packages that behave as a test wants.

What a point finds, it writes to ``found.json`` in its folder.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from rocminfra.host.bench.guidellm_launcher import PATCHED_VERSION

# By path in the environment's packages. HOME is the environment's folder.
PACKAGES = {
    "guidellm/__init__.py": """
import json, os, threading, time
from pathlib import Path
MODES = json.loads(Path("HOME/modes.json").read_text())
IMPORTED = os.getpid()
STATE = {"points": 0, "settings": 0, "log": 0}
if MODES.get("import") == "fails":
    raise ImportError("no module named torch")
if MODES.get("import") == "hangs":
    time.sleep(600)
if MODES.get("import") == "starts a thread":
    threading.Thread(target=threading.Event().wait, daemon=True).start()
if MODES.get("import") == "makes an event loop":
    import asyncio
    LOOP = asyncio.new_event_loop()
if MODES.get("import") == "starts a process":
    import subprocess
    STARTED = subprocess.Popen(["sleep", "600"])
if MODES.get("import") == "logs" and os.environ.get("GUIDELLM__LOGGING") is None:
    threading.Thread(target=threading.Event().wait, daemon=True).start()
def reload_settings(): STATE["settings"] += 1
def configure_logger(): STATE["log"] += 1
""",
    "guidellm/benchmark/__init__.py": "",
    "guidellm/benchmark/entrypoints.py": "",
    "guidellm/backends.py": "",
    "guidellm/scheduler/__init__.py": "",
    "guidellm/scheduler/worker_group.py": """
class WorkerGroupState:
    def update_state(self): pass
""",
    "numpy/__init__.py": "",
    "numpy/random.py": """
import os, random
_source = random.Random(1)
def seed(): _source.seed(os.urandom(8))
def draw(): return _source.random()
""",
    "guidellm/workers.py": """
import os, signal
import guidellm
def work(found):
    caught = signal.getsignal(signal.SIGUSR1) is not signal.SIG_DFL
    found.put({"pid": os.getpid(), "imported": guidellm.IMPORTED, "gives_stacks": caught})
def wait(found):
    work(found)
    import time
    time.sleep(600)
""",
    "guidellm/cli.py": """
import json, multiprocessing, os, random, sys, time
from pathlib import Path
import guidellm, guidellm.workers, numpy.random
def cli(args, prog_name):
    config = json.loads(Path(args[args.index("--config") + 1]).read_text())
    modes = json.loads(Path("HOME/modes.json").read_text())
    mode = modes.get("point", "ok")
    guidellm.STATE["points"] += 1
    os.environ["LEAKED"] = os.environ.get("LEAKED", "") + "x"
    context = multiprocessing.get_context(os.environ.get("GUIDELLM__MP_CONTEXT_TYPE", "spawn"))
    found = context.SimpleQueue()
    target = guidellm.workers.wait if mode == "waits" else guidellm.workers.work
    worker = context.Process(target=target, args=(found,))
    worker.start()
    told = found.get()
    print("out of", os.getpid())
    print("error of", os.getpid(), file=sys.stderr)
    source = random.Random(json.dumps(config.get("spec", config)["seed"]))
    Path("found.json.new").write_text(json.dumps({
        "pid": os.getpid(), "session": os.getsid(0), "cwd": os.getcwd(), "worker": told,
        "imported": guidellm.IMPORTED, "unseeded": [random.random(), numpy.random.draw()],
        "same": {
            "prompts": [source.random() for _ in range(8)], "state": guidellm.STATE,
            "environment": {k: v for k, v in os.environ.items() if k != "ROCMINFRA_STACKS"},
            "threads": len(os.listdir("/proc/self/task")), "arguments": [*sys.argv[1:], *args],
            "descriptors": len(os.listdir("/proc/self/fd")),
            "input": os.readlink("/proc/self/fd/0"),
        },
    }))
    Path("found.json.new").rename("found.json")
    if mode == "waits":
        time.sleep(600)
    while mode == "waits for go" and not Path("HOME/go").exists():
        time.sleep(0.02)
    worker.join()
    if mode == "dies":
        os.kill(os.getpid(), 9)
    sys.exit(modes.get("code", 0))
""",
}


class FakeEnvironment:
    """GuideLLM's environment.

    + home: its folder
    + guidellm: the version that it has
    """

    def __init__(self, home: Path, guidellm: str = PATCHED_VERSION) -> None:
        self.home = home
        version = f"python{sys.version_info.major}.{sys.version_info.minor}"
        packages = home / "lib" / version / "site-packages"
        for name, text in PACKAGES.items():
            path = packages / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text.replace("HOME", str(home)))
        told = packages / f"guidellm-{guidellm}.dist-info"
        told.mkdir()
        (told / "METADATA").write_text(f"Name: guidellm\nVersion: {guidellm}\n")
        (home / "bin").mkdir()
        base = Path(sys._base_executable).resolve()  # type: ignore[attr-defined]
        (home / "bin" / "python").symlink_to(base)
        (home / "pyvenv.cfg").write_text(f"home = {base.parent}\n")
        self.set()

    @property
    def python(self) -> str:
        """Path of its Python."""
        return str(self.home / "bin" / "python")

    def set(self, **modes: object) -> None:
        """How its imports and its points behave."""
        (self.home / "modes.json").write_text(json.dumps(modes))
