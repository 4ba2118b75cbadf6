"""Typed settings: the one home of every default.

The defaults are the published reference run: Qwen2-VL-72B in bf16 on one MI300X, served by
vLLM 0.20.1. A host may override any of them (``inventory/hosts.example.yaml`` lists all), and
so may ``--data section.key=value`` and the environment. Unknown keys, wrong types and
impossible values are errors; nothing is coerced and nothing is ignored (:mod:`.load`).
"""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    Field,
    model_validator,
)

from rocminfra import reference_run
from rocminfra.settings import extra_args, rules
from rocminfra.settings.addresses import asked_at
from rocminfra.settings.bench_section import Bench
from rocminfra.settings.host_folders import is_systems
from rocminfra.settings.problems import RuleBroken
from rocminfra.settings.section import Section
from rocminfra.settings.value_types import (
    AbsolutePath,
    Address,
    ContainerName,
    Count,
    Device,
    EnvironmentName,
    HubUrl,
    ImageName,
    Label,
    LocalPath,
    MemorySize,
    MountOption,
    OneLine,
    OneLineOrEmpty,
    PackageName,
    RepositoryOrFolder,
    Revision,
    Seconds,
    ServedName,
    UserName,
    no_token,
    usable_arguments,
    usable_variables,
)


def _name_of_source(model: dict[str, Any]) -> str:
    source = model.get("source")
    if not isinstance(source, str):
        # What is wrong with it is said elsewhere.
        return ""
    return PurePosixPath(source).name if source.startswith("/") else source


class Storage(Section):
    """The scratch disk and where it is mounted."""

    device: Device = Field(
        default="auto",
        description="'auto' chooses the scratch disk by rule; or a path such as /dev/vdc or "
        "/dev/disk/by-id/…",
    )
    mount_point: AbsolutePath = "/mnt/models"
    label: Label = Field(
        default="rocm-models", description="XFS label, at most 12 bytes (mkfs.xfs(8), -L)"
    )
    mount_options: list[MountOption] = Field(default=["nofail", "noatime"], min_length=1)
    expected_size_gib: float | None = Field(
        default=None,
        gt=0,
        le=10**9,
        description="size of the scratch disk in GiB when it is known (5120 on one MI300X); "
        "a disk that differs by more than 5 % is never chosen",
    )
    owner: UserName = Field(default="root", description="user that owns the mount point's root")

    @model_validator(mode="after")
    def _mount_point_is_its_own(self) -> Storage:
        if is_systems(self.mount_point):
            raise RuleBroken(
                f"mount_point {self.mount_point} belongs to the system", "storage.mount_point"
            )
        return self


class Model(Section):
    """What is served."""

    source: RepositoryOrFolder = Field(
        default="Qwen/Qwen2-VL-72B-Instruct",
        description="a Hugging Face repository, or a folder on the operator's machine (it begins "
        "with /, ./, ../ or ~) that is copied to the host",
    )
    # After `source`, which it follows: a Llama must not be served under another model's name.
    name: ServedName = Field(
        default_factory=_name_of_source,
        description="name under which clients ask for it; unless it is set, the repository of "
        "'source', or the name of its folder",
    )
    revision: Revision | None = Field(default=None, description="commit, tag or branch of the hub")
    planned_as: RepositoryOrFolder | None = Field(
        default=None,
        description="model whose size is planned with, where that of 'source' does not tell: a "
        "repository or a folder (the practice droplet's toy model stands in for a large one)",
    )

    @property
    def is_local_folder(self) -> bool:
        """Whether ``source`` is a folder to copy and not a repository to download."""
        return self.source.startswith("/")


class HuggingFace(Section):
    """Caches, and the token by reference."""

    home: AbsolutePath = "/mnt/models/huggingface"
    token_env: Annotated[EnvironmentName, AfterValidator(no_token)] = Field(
        default="HF_TOKEN", description="environment variable of the operator that holds the token"
    )
    token_file: LocalPath | None = Field(
        default=None, description="file on the operator's machine that holds the token"
    )
    endpoint: HubUrl | None = Field(
        default=None, description="a mirror of huggingface.co, over https"
    )


class Rocm(Section):
    """Access to the GPU's device nodes."""

    users: list[UserName] = Field(default=[], description="users that may open the GPU")
    numa_balancing: bool = Field(
        default=False,
        description="the kernel's automatic NUMA balancing; AMD's MI300X guide says off",
    )
    gpu_count: int = Field(default=1, ge=1, le=16)


class Docker(Section):
    """Docker with its data on the scratch disk."""

    data_root: AbsolutePath = "/mnt/models/docker"
    package: PackageName = Field(
        default="docker.io", description="installed when no docker is there"
    )
    leave_behind: bool = Field(
        default=False,
        description="move data_root although a running Docker has containers or volumes elsewhere; "
        "they stay there, stopped and out of sight",
    )


class Engine(Section):
    """Life cycle of the engine's container and unit."""

    image: ImageName = "vllm/vllm-openai-rocm:v0.20.1"
    image_source: Literal["registry", "archive"] = "registry"
    image_archive: AbsolutePath | None = Field(
        default=None, description="`docker save` archive on the host, for image_source: archive"
    )
    container_name: ContainerName = "vllm-qwen2-vl-72b"
    ready_timeout_s: Seconds = Field(default=1800, gt=0)
    stop_timeout_s: Seconds = Field(
        default=90, ge=10, description="grace of `docker stop`; longer than shutdown_timeout_s"
    )
    shutdown_timeout_s: Seconds = Field(
        default=60, ge=0, description="vLLM's own --shutdown-timeout for requests in flight"
    )
    restart_delay_s: Seconds = Field(default=20, ge=1)
    start_limit_burst: Count = Field(default=3, ge=1)
    start_limit_interval_s: Seconds = Field(default=1800, ge=1)
    vram_clean_percent: float = Field(
        default=10.0, gt=0, le=100, description="VRAM in use above which no engine is started"
    )
    vram_clean_timeout_s: Seconds = Field(default=900, ge=0)
    environment: Annotated[
        dict[EnvironmentName, OneLineOrEmpty], AfterValidator(usable_variables)
    ] = Field(default={}, description="extra environment of the container; no secrets")

    @model_validator(mode="after")
    def _consistent(self) -> Engine:
        rules.of_image_source(self)
        rules.of_stopping(self)
        return self


class Vllm(Section):
    """Arguments of ``vllm serve``; names are vLLM's own."""

    host: Address = Field(
        default="127.0.0.1", description="address of the host that the engine listens on"
    )
    port: int = Field(default=8000, ge=1, le=65535)
    dtype: Literal["auto", "bfloat16", "float16", "float32"] = "bfloat16"
    gpu_memory_utilization: float = Field(default=reference_run.GPU_MEMORY_UTILIZATION, gt=0, le=1)
    max_model_len: Count = Field(default=reference_run.MAX_MODEL_LEN, ge=1)
    max_num_seqs: Count = Field(default=reference_run.MAX_NUM_SEQS, ge=1)
    max_num_batched_tokens: Count = Field(default=reference_run.MAX_NUM_BATCHED_TOKENS, ge=1)
    enable_chunked_prefill: bool = True
    tensor_parallel_size: Count = Field(default=1, ge=1)
    kv_cache_dtype: Literal["auto", "fp8", "fp8_e4m3", "fp8_e5m2"] = "auto"
    max_pixels: Count | None = Field(
        default=None, ge=1, description="cap of an image's pixels (mm-processor-kwargs)"
    )
    ipc_host: bool = True
    shm_size: MemorySize | None = Field(default=None, description="used when ipc_host is off")
    extra_args: Annotated[list[OneLine], AfterValidator(usable_arguments)] = Field(
        default=[],
        description="further arguments, one an item; none that a setting gives, and no secrets",
    )

    @property
    def loads_files(self) -> bool:
        """Whether the engine loads weights from the model's own files, as far as is known."""
        return not extra_args.has_option(self.extra_args, "--load-format")

    @property
    def asked_at(self) -> str:
        """Address at which programs on the host ask the engine."""
        return asked_at(self.host)

    @model_validator(mode="after")
    def _consistent(self) -> Vllm:
        rules.of_batches(self)
        rules.of_extra_args(self)
        return self


class Cost(Section):
    """Prices that reports use."""

    usd_per_hour: float = Field(
        default=reference_run.USD_PER_HOUR, ge=0, le=10**6, description="price of the whole node"
    )


class Settings(Section):
    """Every setting of a host."""

    storage: Storage = Storage()
    model: Model = Model()
    huggingface: HuggingFace = HuggingFace()
    rocm: Rocm = Rocm()
    docker: Docker = Docker()
    engine: Engine = Engine()
    vllm: Vllm = Vllm()
    bench: Bench = Bench()
    cost: Cost = Cost()
    wipe: list[OneLine] = Field(
        default=[], description="wipe tokens (HOST:DISK:…); the only way to destroy data"
    )

    @model_validator(mode="after")
    def _consistent(self) -> Settings:
        rules.of_folders(self)
        rules.of_visible_gpus(self)
        rules.of_own_port(self)
        return self

    @model_validator(mode="after")
    def _engine_listens_where_the_load_comes_from(self) -> Settings:
        address, listening = self.bench.engine_address, self.vllm.host
        if address is not None and listening not in (address, "0.0.0.0", "::"):
            raise RuleBroken(
                f"the engine listens on vllm.host ({listening}), so that bench.engine_address "
                f"({address}) does not reach it; set vllm.host to that address and run "
                "rocminfra apply, or leave engine_address out for an SSH tunnel",
                "bench.engine_address",
                "vllm.host",
            )
        return self

    @property
    def caches_dir(self) -> str:
        """Folder of the compile caches (vLLM, Triton, AITER, MIOpen)."""
        return f"{self.storage.mount_point}/caches"

    @property
    def models_dir(self) -> str:
        """Folder into which local model folders are copied."""
        return f"{self.storage.mount_point}/models"

    @property
    def model_argument(self) -> str:
        """What ``vllm serve`` is given: a path on the host, or a repository's name."""
        if self.model.is_local_folder:
            return f"{self.models_dir}/{PurePosixPath(self.model.source).name}"
        return self.model.source


SECTIONS: dict[str, type[Section]] = {
    "storage": Storage,
    "model": Model,
    "huggingface": HuggingFace,
    "rocm": Rocm,
    "docker": Docker,
    "engine": Engine,
    "vllm": Vllm,
    "bench": Bench,
    "cost": Cost,
}
