"""The playbook: which tasks, in which order.

pyinfra -y inventory/amd_cloud.py deploy.py
"""

from pyinfra import local

from rocminfra.operations import load_generator

# A host that only sends the load of others serves no engine: `rocminfra bench` prepares it.
if load_generator.serves():
    local.include("tasks/fresh_host.py")
    local.include("tasks/storage.py")
    local.include("tasks/rocm.py")
    local.include("tasks/docker.py")
    local.include("tasks/image.py")
    local.include("tasks/guidellm.py")
    local.include("tasks/huggingface.py")
    local.include("tasks/vllm.py")
