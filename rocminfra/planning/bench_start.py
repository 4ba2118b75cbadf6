"""Whether a benchmark can begin: everything that would make it fail minutes later, judged before.

Pure: the look at the host and the one at the operator's machine are made elsewhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from rocminfra.failure import Again, Argument, Do, Failure, Fault

MAX_MODEL_LEN = Argument("capacity", "max_model_len")
RESULTS_DIR = Argument("bench", "results_dir")

MIB = 1024**2
# What GuideLLM's environment takes (1.4 GB) with the wheels that pip unpacks beside it.
ENVIRONMENT_BYTES = 3 * 1024 * MIB
# Logs, telemetry and GuideLLM's pages of a point, and what its request records take a token of
# theirs: a report of 200 records with 9,216 tokens each is about 10 MB.
POINT_BYTES = 4 * MIB
BYTES_PER_TOKEN = 6
# A page of 1700 x 2200 pixels, as text in a record: 1.4 MB of PNG, a third more as base64.
IMAGE_BYTES = 2 * MIB
# What is left free beside the results, so that the host does not run full.
SPARE_BYTES = 64 * MIB
FILES_PER_POINT = 32


@dataclass(frozen=True)
class Wanted:
    """What is to be measured.

    + host: name of the host
    + run: id of the run
    + resumes: whether it is an earlier run
    + model: name under which the engine serves it
    + points: how many
    + request_tokens: tokens in and out of a synthetic request; None when the data decides
    + environment: what the marker of a complete GuideLLM environment says; None when none is needed
    + results_bytes: about what the results take
    + unit: the engine's systemd unit
    """

    host: str
    run: str
    resumes: bool
    model: str
    points: int
    request_tokens: int | None
    environment: str | None
    results_bytes: int
    unit: str = "vllm.service"


@dataclass(frozen=True)
class Space:
    """Room on the file system that a path is, or would be, on.

    + files: how many more it takes; None where there is no limit
    """

    path: str
    bytes: int
    files: int | None = None
    read_only: bool = False


@dataclass(frozen=True)
class Engine:
    """What answered on the engine's port.

    + problem: None, or why there is no list of models: ``refused``, ``timeout``, ``status``
      (an HTTP error) or ``other``
    + detail: the same in words
    + models: longest request by name of a served model; None for a length that is not said
    + running, waiting: requests in both of two looks; None when the engine does not count them
    + token: empty when a completion of one token came, else what came; None when it was not asked
    + template: tokens that its chat template adds to a prompt; None when it does not say
    """

    problem: str | None = None
    detail: str = ""
    models: Mapping[str, int | None] | None = None
    running: float | None = None
    waiting: float | None = None
    token: str | None = None
    template: int | None = None


@dataclass(frozen=True)
class Run:
    """Progress of the wanted run on the host."""

    state: str
    planned: int
    valid: int


@dataclass(frozen=True)
class Look:
    """One look at the host.

    + unit: systemd's properties of the engine's unit; empty where it does not say
    + busy_with: the benchmark that runs there
    + run: the wanted run, when the host knows it
    + environment: what the marker of GuideLLM's environment says
    + missing_files: files and folders of the scenario that are not there
    + empty_files: those that hold nothing
    + problem: why there was no look
    """

    engine: Engine = Engine()
    unit: Mapping[str, str] | None = None
    busy_with: str | None = None
    run: Run | None = None
    environment: str | None = None
    runs_space: Space | None = None
    environment_space: Space | None = None
    missing_files: tuple[str, ...] = ()
    empty_files: tuple[str, ...] = ()
    problem: str = ""


@dataclass(frozen=True)
class Home:
    """The results folder on the operator's machine.

    + folder: as it is set
    + problem: why nothing can be written there, or None
    + free_bytes: None where it is not known
    + has_run: whether something of the wanted run is there
    """

    folder: str
    problem: str | None = None
    free_bytes: int | None = None
    has_run: bool = False


def results_bytes(points: int, sample_size: int, request_tokens: int | None) -> int:
    """About what the results of a run take, in bytes.

    + points: how many
    + sample_size: request records kept in a report
    + request_tokens: tokens of a request; None for images or a data set
    """
    record = IMAGE_BYTES if request_tokens is None else BYTES_PER_TOKEN * request_tokens
    return points * (POINT_BYTES + sample_size * record)


def refusal(look: Look, home: Home, wanted: Wanted) -> Failure | None:
    """Why the benchmark cannot begin, or None.

    What concerns this machine comes first, then what a person has to decide, then what may be
    better later.
    """
    at_home = _home(home, wanted)
    if at_home is not None:
        return at_home
    if look.problem:
        what = f"{wanted.host} cannot be looked at before the benchmark"
        return Failure(Fault.UNEXPECTED, what, (look.problem,), Again(verbose=True))
    if look.busy_with is not None and look.busy_with != wanted.run:
        return Failure(
            Fault.BENCHMARK_RUNNING,
            f"benchmark {look.busy_with} runs on this host",
            next=Again("wait for it, or follow it", attach=look.busy_with),
        )
    if look.busy_with == wanted.run or _has_ended_well(look, wanted):
        return None  # only followed, or brought back
    if wanted.resumes and look.run is None and not home.has_run:
        return unknown_run(wanted.run, home.folder)
    return _engine(look, wanted) or _scenario(look, wanted) or _disk(look, wanted) or _load(look)


def unknown_run(run: str, results_dir: str) -> Failure:
    """A run that is to be resumed and that nobody knows.

    + run: its id
    + results_dir: folder of all runs on the operator's machine
    """
    return Failure(
        Fault.RUN_UNKNOWN,
        f"there is no run {run} to resume, neither on the host nor in {results_dir}",
        next=Again(new_run=True),
    )


def _home(home: Home, wanted: Wanted) -> Failure | None:
    if home.problem is not None:
        return Failure(
            Fault.RESULTS_FOLDER_UNUSABLE,
            f"results cannot be written to {home.folder}",
            (home.problem,),
            Again(arguments=((RESULTS_DIR, "FOLDER"),)),
        )
    needed = wanted.results_bytes + SPARE_BYTES
    if home.free_bytes is not None and home.free_bytes < needed:
        return Failure(
            Fault.RESULTS_DISK_FULL,
            f"disk full here: {home.folder} has {_size(home.free_bytes)} free, and the results of "
            f"{wanted.points} points may take {_size(needed)}",
            next=Again("make room, or use another disk", ((RESULTS_DIR, "FOLDER"),)),
        )
    return None


def _has_ended_well(look: Look, wanted: Wanted) -> bool:
    run = look.run
    if run is None or not wanted.resumes:
        return False
    return run.state == "finished" and run.valid == run.planned == wanted.points


def _engine(look: Look, wanted: Wanted) -> Failure | None:
    engine, unit = look.engine, look.unit or {}
    journal = f"on the host: journalctl -u {wanted.unit} -n 50"
    active = unit.get("ActiveState", "")
    is_up = active in ("active", "activating", "reloading")
    if engine.problem == "refused" and not is_up:
        if active == "failed":
            why = (f"{wanted.unit} failed (result: {unit.get('Result', 'unknown')})",)
            what = "the engine failed"
            return Failure(Fault.ENGINE_STOPPED, what, why, Do(journal))
        installed = unit.get("LoadState") == "loaded"
        state = f"{wanted.unit} is {active or 'in no known state'}" if installed else ""
        return Failure(
            Fault.ENGINE_STOPPED,
            "the engine is stopped" if installed else "no engine is installed on this host",
            (state or f"systemd knows no {wanted.unit}", engine.detail),
            Again(verb="apply"),
        )
    if engine.problem == "refused":
        return Failure(
            Fault.ENGINE_NOT_READY,
            "the engine is still loading",
            (f"{wanted.unit} is {active} ({unit.get('SubState', '?')})", engine.detail),
            Again(f"wait until it serves ({journal}), then"),
        )
    if engine.problem == "timeout" or engine.token:
        return Failure(
            Fault.ENGINE_HANGS,
            "the engine hangs: it accepts requests and answers none",
            (engine.token or engine.detail,),
            Again(f"restart it ({journal}; systemctl restart {wanted.unit}), then"),
        )
    if engine.problem is not None or engine.models is None:
        return Failure(
            Fault.NO_ENGINE_ON_PORT,
            "what answers on the engine's port is no engine",
            (engine.detail,),
            Do("on the host: ss -ltnp   # which process listens there"),
        )
    if wanted.model not in engine.models:
        return Failure(
            Fault.ENGINE_SERVES_ANOTHER_MODEL,
            f"the engine serves {', '.join(engine.models) or 'nothing'}, not {wanted.model}",
            next=Again("serve the model of these settings, then measure it", verb="apply"),
        )
    return None


def _scenario(look: Look, wanted: Wanted) -> Failure | None:
    longest = (look.engine.models or {}).get(wanted.model)
    # Without a template's length, at least the requests that are too long without one are known.
    template = look.engine.template or 0
    tokens = None if wanted.request_tokens is None else wanted.request_tokens + template
    if tokens is not None and longest is not None and tokens > longest:
        with_it = f", {template} of them the chat template's" if template else ""
        return Failure(
            Fault.REQUEST_TOO_LONG,
            f"a request of this scenario has {tokens:,} tokens{with_it}, and the engine takes at "
            f"most {longest:,} (max_model_len)",
            next=Again(
                "shorten prompt_tokens or output_tokens of the scenario, or",
                ((MAX_MODEL_LEN, str(tokens)),),
                verb="apply",
            ),
        )
    if look.missing_files or look.empty_files:
        missing = [f"there is no {path}" for path in look.missing_files]
        return Failure(
            Fault.SCENARIO_DATA_MISSING,
            "data of this scenario is not on the host",
            (*missing, *(f"{path} is empty" for path in look.empty_files)),
            Again("copy it there, or correct the scenario's path, then"),
        )
    return None


def _disk(look: Look, wanted: Wanted) -> Failure | None:
    needs = {"results": (look.runs_space, wanted.results_bytes + SPARE_BYTES)}
    if wanted.environment is not None and look.environment != wanted.environment:
        needs["GuideLLM"] = (look.environment_space, ENVIRONMENT_BYTES)
    for name, (space, needed) in needs.items():
        if space is None:
            continue
        if space.read_only:
            return Failure(
                Fault.HOST_READ_ONLY,
                f"{space.path} on the host can only be read, so there is no place for {name}",
                next=Again("mount it for writing, then"),
            )
        if space.bytes < needed:
            return Failure(
                Fault.HOST_DISK_FULL,
                f"disk full on the host: {space.path} has {_size(space.bytes)} free, and {name} "
                f"may take {_size(needed)}",
                next=Again(f"make room there (du -xh -d 3 {space.path} | sort -h), then"),
            )
        if space.files is not None and space.files < FILES_PER_POINT * wanted.points:
            return Failure(
                Fault.HOST_DISK_FULL,
                f"disk full on the host: {space.path} takes {space.files} more files",
                next=Again("remove files there, then"),
            )
    return None


def _load(look: Look) -> Failure | None:
    running, waiting = look.engine.running or 0, look.engine.waiting or 0
    if running + waiting == 0:
        return None
    return Failure(
        Fault.ENGINE_BUSY,
        f"somebody else's requests keep the engine busy: {running:.0f} running, "
        f"{waiting:.0f} waiting",
        next=Again("stop them, or wait for their end, then"),
    )


def _size(count: int) -> str:
    """Bytes in words, such as ``1.4 GB``."""
    for unit, factor in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= factor:
            return f"{count / factor:.1f} {unit}"
    return f"{count} bytes"
