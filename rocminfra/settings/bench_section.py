"""Settings of benchmarks, with their defaults."""

from __future__ import annotations

from pydantic import Field, model_validator

from rocminfra.settings.problems import RuleBroken
from rocminfra.settings.section import Section
from rocminfra.settings.value_types import Address, HomePath, OneLine


class Bench(Section):
    """GuideLLM and its results."""

    scenario: HomePath = Field(
        default="smoke", description="name of a file in benchmarks/, or a path to one"
    )
    guidellm_version: str = Field(default="0.8.1", pattern=r"^\d+\.\d+\.\d+$")
    torch_version: str = Field(default="2.13.0", pattern=r"^\d+\.\d+\.\d+$")
    torch_index_url: OneLine | None = Field(
        default=None,
        description="pip index with CPU builds of torch; without it pip's own configuration counts",
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
    run: str | None = Field(
        default=None,
        pattern=r"^[0-9]{8}T[0-9]{6}Z(-[0-9a-f]{6})?$",
        description="an earlier run to resume; without it a new one begins",
    )

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
