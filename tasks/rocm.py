"""ROCm: who may open the GPU, and the kernel setting that AMD's guide asks for."""

from rocminfra.host_paths import SYSCTL, UDEV_RULES
from rocminfra.operations import prerequisites, rocm, system
from rocminfra.operations.host_files import HostFile
from rocminfra.operations.host_settings import current
from rocminfra.rendering import render

settings = current()
prerequisites.tell_release()
rocm.gate(gpu_count=settings.rocm.gpu_count)

rocm.access(
    name="Give users access to the GPU devices",
    users=settings.rocm.users,
    rule=HostFile(UDEV_RULES, render("udev.rules.j2", {"group": rocm.GROUP})),
)

numa_balancing = "1" if settings.rocm.numa_balancing else "0"
system.kernel_setting(
    name="Set automatic NUMA balancing",
    key="kernel.numa_balancing",
    value=numa_balancing,
    file=HostFile(
        SYSCTL,
        render("sysctl.conf.j2", {"numa_balancing": numa_balancing}),
    ),
)
