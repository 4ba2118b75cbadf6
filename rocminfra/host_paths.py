"""Every path that rocminfra owns on a host, in one place.

Installed paths stand in the rendered units, whose hash decides about a restart: a change here
restarts the engine of every host that an earlier version deployed.
"""

from __future__ import annotations

# Programs that units and operations start there.
PROGRAMS = "/usr/local/lib/rocminfra"
SCRATCH_GUARD = f"{PROGRAMS}/scratch_guard.py"
PREFLIGHT = f"{PROGRAMS}/preflight.py"
# A Python path, of what it imports.
SHARED = f"{PROGRAMS}/shared"
READINESS = f"{PROGRAMS}/readiness.py"
# A Python path: the programs of a benchmark are a package, because they share the planner.
BENCH_PROGRAMS = f"{PROGRAMS}/bench"
# The same, of the downloads.
FETCH_PROGRAMS = f"{PROGRAMS}/fetch"

# Rendered settings; root only.
SETTINGS = "/etc/rocminfra"
ENGINE_ENVIRONMENT = f"{SETTINGS}/vllm.env"
# How the engine of these settings is asked whether it serves.
ENGINE_QUESTION = f"{SETTINGS}/vllm.json"

# Locks and runs.
STATE = "/var/lib/rocminfra"
RUN_LOCK = f"{STATE}/lock"
RUNS = f"{STATE}/runs"
# What was there before the first apply, and what the last one left.
RECORD = f"{STATE}/record.json"
# Data sets that benchmarks made there.
DATASETS = f"{STATE}/datasets"
# On a load generator: what GuideLLM reads and writes there, while a run lasts.
LOAD_WORK = f"{STATE}/load"
# Files as they were before a change that is not proven yet; gone when it is.
DOCKER_BEFORE = f"{STATE}/before/docker"
ENGINE_BEFORE = f"{STATE}/before/engine"

# Python environments; not on the scratch disk, which may come back blank.
ENVIRONMENTS = "/opt/rocminfra"

# Gone at a reboot.
APT_UPDATED = "/run/rocminfra-apt-updated"
# Of a benchmark whose load comes from another host: on the engine's host a folder for each run with
# its key; on the load generator the home folder of the run's user, and the beginning of the name of
# what each asked for.
LOAD_LINKS = "/run/rocminfra-bench"
LOAD_HOME = "/run/rocminfra-load"
LOAD_USER = "rocminfra-load"
LOAD_REQUEST = "/run/rocminfra-load-"
# Of what runs in units of its own: how far it is, its last words.
JOBS = "/run/rocminfra"

# Where the host's own programs look.
UNITS = "/etc/systemd/system"
DOCKER_DROP_IN = f"{UNITS}/docker.service.d/50-rocminfra-scratch.conf"
SYSTEMD_ENVIRONMENT = "/etc/systemd/system.conf.d/50-rocminfra.conf"
PROFILE = "/etc/profile.d/rocminfra.sh"
USER_ENVIRONMENT = "/etc/environment.d/50-rocminfra.conf"
UDEV_RULES = "/etc/udev/rules.d/70-rocminfra-gpu.rules"
SYSCTL = "/etc/sysctl.d/60-rocminfra.conf"


def guidellm_environment(version: str) -> str:
    """Folder of GuideLLM's Python environment.

    + version: of GuideLLM, such as ``0.8.1``
    """
    return f"{ENVIRONMENTS}/guidellm-{version}"


def hub_environment(version: str) -> str:
    """Folder of the Python environment that downloads models.

    + version: of huggingface_hub
    """
    return f"{ENVIRONMENTS}/hub-{version}"
