"""Everything of a droplet that went wrong, in one text."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

from rocminfra.lab import container, droplet_record, keys, processes
from rocminfra.lab.paths import LabPaths

# Runs inside; each part says what it shows, also when there is nothing.
_SCRIPT = r"""
part() { printf '\n== %s\n' "$1"; }
part 'failed units'
systemctl list-units --failed --no-legend --plain --no-pager
for unit in $(systemctl list-units --failed --no-legend --plain --no-pager | cut -d ' ' -f 1); do
    part "$unit (last 20)"
    journalctl --unit "$unit" --lines 20 --no-pager --quiet --output cat
done
part 'errors in the journal (last 50)'
journalctl --priority err --lines 50 --no-pager --quiet
part 'vllm.service (last 60)'
journalctl --unit vllm.service --lines 60 --no-pager --quiet
part 'warnings of docker.service (last 20)'
journalctl --unit docker.service --no-pager --quiet | grep -E 'level=(warning|error|fatal)' |
    tail -n 20
if command -v docker >/dev/null; then
    for id in $(docker ps --all --quiet 2>/dev/null); do
        part "container $(docker inspect --format '{{.Name}} {{.State.Status}}' "$id")"
        docker logs --tail 60 "$id" 2>&1
    done
fi
part 'disk'
df --human-readable --output=target,size,used,avail / /mnt/models 2>/dev/null
part 'memory killer'
dmesg 2>/dev/null | grep -i 'killed process' | tail -5
exit 0
"""
TIMEOUT_S = 60


def collect(paths: LabPaths, name: str) -> Iterator[str]:
    """Lines of what went wrong on droplet ``name``; of a dead one, what its console said.

    Raises :class:`FailedError` when there is no such droplet.
    """
    folder = paths.droplet(name)
    droplet = droplet_record.load(paths, name)
    yield f"== droplet {name}: {droplet.address}, made {droplet.created}"
    if name not in processes.running(paths):
        yield "its system does not run"
    elif not container.answers(droplet.address):
        yield f"its system runs, but no SSH answers at {droplet.address}"
    else:
        yield from _inside(keys.ssh_command(paths, droplet))
    yield "\n== console (last 30)"
    yield from container.console_tail(folder, 30)
    way_out = folder / "slirp4netns.log"
    if way_out.is_file():
        yield "\n== way out to the network (last 10)"
        yield from way_out.read_text(encoding="utf-8", errors="replace").splitlines()[-10:]


def _inside(ssh: list[str]) -> Iterator[str]:
    try:
        result = subprocess.run(
            [*ssh, _SCRIPT],
            check=False,
            text=True,
            errors="replace",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=TIMEOUT_S,
        )
    except subprocess.TimeoutExpired:
        yield f"no answer over SSH within {TIMEOUT_S} s"
        return
    yield from result.stdout.splitlines()
