"""The stages of a scenario: how its load grows, typed and validated."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field, model_validator

from rocminfra.planning.bench.points import MAX_CONCURRENCY, SEARCHES, Stage, StageKind
from rocminfra.settings import Section

# The keys of each profile besides `profile`, and which of them it cannot do without.
_NEEDS: Mapping[str, tuple[str, ...]] = {
    "concurrent": ("streams",),
    "constant": ("rates",),
    "poisson": ("rates",),
    "bursts": ("burst_requests", "every_seconds"),
    "knee": ("streams",),
}
_MAY: Mapping[str, tuple[str, ...]] = {
    "synchronous": ("native",),
    "throughput": ("native", "max_concurrency", "ramp_seconds"),
    "concurrent": ("native", "streams", "ramp_seconds"),
    "constant": ("native", "rates", "max_concurrency", "ramp_seconds"),
    "poisson": ("native", "rates", "max_concurrency"),
    "sweep": ("native", "size", "max_concurrency"),
    "bursts": ("burst_requests", "every_seconds"),
    "goodput": ("target_attainment", "initial_streams", "max_streams", "tolerance", "max_probes"),
    "knee": ("streams", "adaptive"),
}
# Ours by GuideLLM's name.
_SEARCH_KEYS = (
    *("target_attainment", "initial_streams", "max_streams", "tolerance", "max_probes"),
    "adaptive",
)


class ScenarioStage(Section):
    """One load profile, with a point for each of its streams, rates or steps."""

    profile: StageKind
    streams: list[Annotated[int, Field(ge=1)]] = Field(
        default=[], description="requests in flight; of knee, at least five, increasing"
    )
    rates: list[Annotated[float, Field(gt=0)]] = Field(default=[], description="requests a second")
    size: int = Field(default=10, ge=3, description="points of a sweep, including the first two")
    max_concurrency: int = Field(default=MAX_CONCURRENCY, ge=1)
    native: bool = Field(
        default=False, description="one GuideLLM process for the whole stage, as GuideLLM does it"
    )
    ramp_seconds: float = Field(
        default=0, ge=0, description="time in which the load grows to its full size"
    )
    burst_requests: int = Field(default=0, ge=0, description="requests at once")
    every_seconds: float = Field(default=0, ge=0, description="from one burst to the next")
    target_attainment: float = Field(
        default=0.95, gt=0, lt=1, description="share of requests that meet the slo"
    )
    initial_streams: int = Field(default=4, ge=1)
    max_streams: int = Field(default=1024, ge=1)
    tolerance: float = Field(default=0.1, gt=0, le=1)
    max_probes: int = Field(default=15, ge=1)
    adaptive: bool = Field(default=False, description="a second pass around the knee")

    @model_validator(mode="after")
    def _has_what_it_needs(self) -> ScenarioStage:
        needs = _NEEDS.get(self.profile, ())
        for name in needs:
            if not getattr(self, name):
                raise ValueError(f"profile {self.profile} needs {name}")
        for name in sorted(self.model_fields_set - {"profile", *_MAY[self.profile]}):
            raise ValueError(f"profile {self.profile} does not take {name}")
        for name, given in (("streams", self.streams), ("rates", self.rates)):
            if len(set(given)) != len(given):
                raise ValueError(f"{name} lists a value twice")
        if self.profile == "knee" and (
            len(self.streams) < 5 or self.streams != sorted(self.streams)
        ):
            raise ValueError("profile knee needs at least five streams, in increasing order")
        if self.profile == "goodput" and self.initial_streams > self.max_streams:
            raise ValueError(
                f"initial_streams ({self.initial_streams}) must not be above max_streams "
                f"({self.max_streams})"
            )
        return self

    def plan(self, repeat: int = 1) -> Stage:
        """The stage in the planner's form.

        + repeat: how often each point is measured
        """
        options: dict[str, Any] = {}
        if self.profile in SEARCHES:
            names = [name for name in _MAY[self.profile] if name in _SEARCH_KEYS]
            options = {name: getattr(self, name) for name in names}
        return Stage(
            kind=self.profile,
            streams=tuple(self.streams),
            rates=tuple(self.rates),
            size=self.size,
            max_concurrency=self.max_concurrency,
            native=self.native,
            repeat=repeat,
            ramp_seconds=self.ramp_seconds,
            burst_requests=self.burst_requests,
            every_seconds=self.every_seconds,
            options=options,
        )
