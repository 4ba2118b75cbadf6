"""Benchmarks that run on a host, as systemd sees them."""

from __future__ import annotations

from rocminfra.facts.host_fact import HostFact

# What rocminfra.bench.job calls the unit of a run.
PREFIX = "rocminfra-bench-"


class RunningBenchmarks(HostFact[tuple[str, ...]]):
    """Ids of the runs that are under way; empty without any, or without systemd."""

    @staticmethod
    def default() -> tuple[str, ...]:
        return ()

    def command(self) -> str:
        states = "--state=active,activating,deactivating"
        return f"systemctl list-units --plain --no-legend {states} '{PREFIX}*' || true"

    def process(self, output: list[str]) -> tuple[str, ...]:
        units = [line.split()[0] for line in output if line.strip()]
        return tuple(unit.removeprefix(PREFIX).removesuffix(".service") for unit in units)
