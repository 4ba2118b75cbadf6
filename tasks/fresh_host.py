"""A host that has just booted: cloud-init, apt's locks, a reboot pending, somebody's container."""

from rocminfra.operations import fresh_host
from rocminfra.operations.host_settings import current

settings = current()
fresh_host.gate(engine=settings.engine.container_name, port=settings.vllm.port)
