"""What decides whether a benchmark can begin on a host, in one command."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from rocminfra.facts.guidellm import MARKER
from rocminfra.facts.host_fact import HostFact
from rocminfra.host.programs import call
from rocminfra.planning.bench_start import Engine, Look, Run, Space


class BenchLook(HostFact[Look]):
    """Engine, load, other benchmarks, disks and GuideLLM's environment.

    Reads only, but for one token that is asked of an engine that seems idle.
    """

    def command(
        self,
        runs: str,
        run: str,
        environment: str,
        address: str,
        port: int,
        model: str,
        unit: str,
        asked_at: float,
        files: Sequence[str] = (),
    ) -> str:
        """Shell command.

        + runs: folder of all runs on the host
        + run: id of the wanted run
        + environment: folder of GuideLLM's environment
        + address, port: where the engine is asked, on the host itself
        + model: name under which it should be served
        + unit: the engine's systemd unit
        + asked_at: a time, which makes each look a command of its own: nothing answers it from an
          earlier one, or asks before it is wanted
        + files: files and folders that the scenario's data needs
        """
        request = {
            "runs": runs,
            "run": run,
            "environment": environment,
            "marker": MARKER,
            "address": address,
            "port": port,
            "model": model,
            "unit": unit,
            "files": list(files),
        }
        mark = f" # {float(asked_at)!r}"
        return f"{call('bench_look', json.dumps(request))} || echo 'exit code' $?{mark}"

    @staticmethod
    def default() -> Look:
        """What is known when the command printed nothing."""
        return Look(problem="nothing was printed (is python3 there?)")

    def process(self, output: list[str]) -> Look:
        """Read the program's document."""
        try:
            return parse(json.loads(output[-1]))
        except (ValueError, TypeError, KeyError, AttributeError, IndexError):
            return Look(problem="; ".join(output[-2:]))


def parse(seen: Any) -> Look:
    """The record of what ``host/sent/bench_look.py`` printed."""
    engine, run = seen["engine"], seen["run"]
    models = engine["models"]
    running, waiting = engine["load"] or (None, None)
    return Look(
        engine=Engine(
            problem=engine["problem"],
            detail=str(engine["detail"]),
            models=None
            if models is None
            else {str(item["id"]): item["max_model_len"] for item in models},
            running=running,
            waiting=waiting,
            token=engine["token"],
            template=engine["template"],
        ),
        unit=dict(seen["unit"]),
        busy_with=seen["busy_with"],
        run=None if run is None else Run(str(run["state"]), int(run["planned"]), int(run["valid"])),
        environment=seen["environment"],
        runs_space=_space(seen["disks"]["runs"]),
        environment_space=_space(seen["disks"]["environment"]),
        missing_files=tuple(seen["missing_files"]),
        empty_files=tuple(seen["empty_files"]),
    )


def _space(seen: Any) -> Space | None:
    if seen is None:
        return None
    return Space(str(seen["path"]), int(seen["bytes"]), seen["files"], bool(seen["read_only"]))
