"""Settings of benchmarks, with their defaults."""

from __future__ import annotations

from pydantic import Field, model_validator

from rocminfra.settings.problems import RuleBroken
from rocminfra.settings.section import Section
from rocminfra.settings.value_types import (
    AbsolutePath,
    Address,
    HomePath,
    IndexUrl,
    OneLine,
    RunName,
    Version,
)


class Bench(Section):
    """GuideLLM and its results."""

    scenario: HomePath = Field(
        default="smoke", description="name of a file in benchmarks/, or a path to one"
    )
    guidellm_version: Version = "0.8.1"
    torch_version: Version = "2.13.0"
    torch_index_url: IndexUrl | None = Field(
        default=None,
        description="pip index with CPU builds of torch; without it pip's own configuration counts",
    )
    wheels: AbsolutePath | None = Field(
        default=None,
        description="folder of wheels on the host that GuideLLM runs on; it is then installed from "
        "there alone",
    )
    prepare: bool = Field(
        default=False,
        description="begin to install GuideLLM while image and model are fetched; "
        "`rocminfra apply --bench` does",
    )
    load_generator: OneLine | None = Field(
        default=None,
        description="another host of the inventory, on which GuideLLM runs; it serves no engine",
    )
    load_generator_address: Address | None = Field(
        default=None,
        description="address at which this host reaches the load generator over SSH; without it "
        "the one in the inventory",
    )
    engine_address: Address | None = Field(
        default=None,
        description="private address at which the load generator reaches the engine; without it "
        "through an SSH tunnel",
    )
    results_dir: HomePath = Field(default="results", description="folder on the operator's machine")
    run: RunName | None = Field(
        default=None, description="an earlier run to resume; without it a new one begins"
    )

    @model_validator(mode="after")
    def _one_source_of_wheels(self) -> Bench:
        if self.wheels is not None and self.torch_index_url is not None:
            raise RuleBroken(
                "torch_index_url is not read with wheels, which needs no index",
                "bench.torch_index_url",
                "bench.wheels",
            )
        return self

    @model_validator(mode="after")
    def _addresses_are_for_a_load_generator(self) -> Bench:
        for key in ("load_generator_address", "engine_address"):
            if self.load_generator is None and getattr(self, key) is not None:
                raise RuleBroken(
                    f"{key} is only used with load_generator",
                    f"bench.{key}",
                    "bench.load_generator",
                )
        return self
