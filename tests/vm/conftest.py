"""One virtual machine for all tests here; its disks are other ones from boot to boot."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import vm_image
from storage_machine import StorageMachine, make_disks
from vm import Vm

from rocminfra.lab.paths import default_paths


@pytest.fixture(scope="session")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StorageMachine]:
    """The machine, off, with its disks as files."""
    folder = tmp_path_factory.mktemp("vm")
    vm = Vm(vm_image.ensure(default_paths().cache), folder)
    try:
        made = StorageMachine(vm)
        make_disks(vm)
        yield made
    finally:
        vm.kill()
