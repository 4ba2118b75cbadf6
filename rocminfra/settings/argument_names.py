"""Which setting the playbook gives to which argument of an operation.

A failure names an operation's own argument, because operations work in anyone's deploy. The
playbook's users know settings, so its front end prints those (``rocminfra.failure.Argument``).
"""

from __future__ import annotations

from collections.abc import Mapping

from rocminfra.failure import Argument

SETTING_OF: Mapping[Argument, str] = {
    Argument("disk", "device"): "storage.device",
    Argument("disk", "mount_point"): "storage.mount_point",
    Argument("disk", "label"): "storage.label",
    Argument("disk", "expected_size_gib"): "storage.expected_size_gib",
    Argument("docker", "leave_behind"): "docker.leave_behind",
    Argument("docker", "package"): "docker.package",
    Argument("rocm", "users"): "rocm.users",
    Argument("rocm", "gpu_count"): "rocm.gpu_count",
    Argument("model_folder", "source"): "model.source",
    Argument("engine", "reference"): "engine.image",
    Argument("engine", "arguments"): "vllm.extra_args",
    Argument("engine", "port"): "vllm.port",
    Argument("engine", "timeout_s"): "engine.ready_timeout_s",
    Argument("bench", "results_dir"): "bench.results_dir",
    Argument("capacity", "utilization"): "vllm.gpu_memory_utilization",
    Argument("capacity", "max_model_len"): "vllm.max_model_len",
    Argument("capacity", "kv_cache_dtype"): "vllm.kv_cache_dtype",
    Argument("capacity", "tensor_parallel"): "vllm.tensor_parallel_size",
}
