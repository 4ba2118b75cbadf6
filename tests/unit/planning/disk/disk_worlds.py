"""Hosts with disks, made up: builders for the tests of the disk decision, and a model of acting.

``acted`` is what carrying out a decision does to what can be observed. It is written against the
meaning of the steps, not against the code that carries them out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from hypothesis import strategies as st

from rocminfra.planning.disk.decide import Format, Mount, decide
from rocminfra.planning.disk.mounting import Step
from rocminfra.planning.disk.observation import (
    INTERRUPTED,
    PROBES,
    Desired,
    Device,
    Finding,
    FstabLine,
    Identity,
    Look,
    MountPoint,
    Observed,
    Signature,
)
from rocminfra.planning.disk.observation import Mount as LiveMount
from rocminfra.planning.disk.wipe import tokens

GIB = 1024**3
HOST = "mi300x-1"
UUID = "7d0e4f0a-92a1-4c3e-8f9b-0c7f5a1b2c3d"
OTHER_UUID = "11111111-2222-4333-8444-555555555555"
BLANK = tuple(Look(probe, Finding.BLANK, "nothing") for probe in PROBES)


def signed(*signatures: Signature, content: str = "data at byte 0") -> tuple[Look, ...]:
    """What the probes say of a free device with these signatures."""
    return (
        Look("partitions", Finding.BLANK, "0 partitions"),
        Look("blkid", Finding.DATA, "something", signatures),
        Look("wipefs", Finding.DATA, "something", signatures),
        Look("content", Finding.DATA, content),
        Look("exclusive open", Finding.BLANK, "granted"),
        Look("users", Finding.BLANK, "none"),
    )


def scratch_fs(uuid: str = UUID, label: str = "rocm-models") -> tuple[Look, ...]:
    """What the probes say of our own file system."""
    return signed(Signature("xfs", uuid, label))


def disk(name: str = "vdc", number: str = "252:32", **changes: object) -> Device:
    """A blank whole disk that nothing uses."""
    device = Device(
        number=number,
        name=name,
        path=f"/dev/{name}",
        kind="disk",
        size=5120 * GIB,
        identity=Identity(None, None, f"pci-0000:00:0{number[-1]}.0", 5120 * GIB),
        looks=BLANK,
    )
    return replace(device, **changes)  # type: ignore[arg-type]


ROOT = disk("vda", "252:0", looks=BLANK[:1])
ROOT_PART = disk("vda1", "252:1", kind="part", parent="252:0", looks=scratch_fs(OTHER_UUID, "root"))
CONFIG = disk(
    "vdb", "252:16", size=474 * 1024, looks=signed(Signature("iso9660", "2026-01", "config-2"))
)
ROOT_MOUNT = LiveMount("252:1", "/", "/", "ext4", ("rw", "relatime"))


def host(*disks: Device, **changes: object) -> Observed:
    """A droplet with its boot disk, its config drive and ``disks``."""
    observed = Observed(
        devices=(ROOT, ROOT_PART, CONFIG, *disks),
        mounts=(ROOT_MOUNT,),
        swaps=(),
        fstab=(FstabLine("UUID=" + OTHER_UUID, "/", "ext4", ("defaults",)),),
        mount_point=MountPoint(False, "/mnt/models"),
        nodes=tuple((d.path, d.number) for d in (ROOT, ROOT_PART, CONFIG, *disks)),
    )
    return replace(observed, **changes)  # type: ignore[arg-type]


def wanted(**changes: object) -> Desired:
    """The default scratch disk on our host."""
    return replace(Desired(host=HOST), **changes)  # type: ignore[arg-type]


def settled(device: Device, uuid: str = UUID) -> Observed:
    """A host whose scratch disk is right in every respect."""
    used = replace(device, looks=scratch_fs(uuid)[:3])
    return host(
        used,
        mounts=(ROOT_MOUNT, LiveMount(device.number, "/", "/mnt/models", "xfs", ("rw", "noatime"))),
        fstab=(FstabLine(f"UUID={uuid}", "/mnt/models", "xfs", ("nofail", "noatime")),),
        mount_point=MountPoint(True, "/mnt/models", mode=0o755, sentinel=f"{uuid}\n"),
    )


def acted(observed: Observed, desired: Desired, plan: Format | Mount) -> Observed:
    """What would be seen after ``plan`` was carried out."""
    after = observed
    device = plan.device
    if isinstance(plan, Format):
        looks = scratch_fs(plan.uuid, desired.label)
        gone = {part.number for part in observed.partitions(device)}
        device = replace(device, looks=looks, problems=())
        after = replace(
            after,
            devices=tuple(
                device if d.number == device.number else d
                for d in after.devices
                if d.number not in gone
            ),
        )
    for step in plan.steps:
        after = _stepped(after, desired, device, plan.uuid, step)
    return after


def _stepped(
    observed: Observed, desired: Desired, device: Device, uuid: str, step: Step
) -> Observed:
    path = desired.mount_point
    place = observed.mount_point
    if step is Step.MOUNT_POINT:
        return replace(observed, mount_point=MountPoint(True, path, mode=0o555, immutable=True))
    if step is Step.FSTAB:
        kept = tuple(line for line in observed.fstab if line.target != path)
        line = FstabLine(f"UUID={uuid}", path, "xfs", desired.mount_options)
        return replace(observed, fstab=(*kept, line))
    if step in (Step.MOUNT, Step.REMOUNT):
        others = tuple(m for m in observed.mounts if m.target != path)
        options = ("rw", *(o for o in desired.mount_options if o != "nofail"))
        live = LiveMount(device.number, "/", path, "xfs", options)
        mode = 0o755 if step is Step.MOUNT else place.mode
        place = replace(place, exists=True, real=path, folder=True, mode=mode)
        # A mounted disk is not looked into any more.
        looked = tuple(
            replace(d, looks=tuple(k for k in d.looks if k.probe in PROBES[:3]))
            if d.number == device.number
            else d
            for d in observed.devices
        )
        return replace(observed, mounts=(*others, live), mount_point=place, devices=looked)
    if step is Step.BELOW:
        return observed  # what is mounted hides it
    if step is Step.OWNER:
        return replace(observed, mount_point=replace(place, owner=desired.owner))
    return replace(observed, mount_point=replace(place, sentinel=f"{uuid}\n"))


# ---- made-up observations -----------------------------------------------------------------
# A start near a state in which something would be done, and up to four changes to it.

World = tuple[Observed, Desired]
Change = Callable[[World], World]


def on_disk(**changes: object) -> Change:
    """Change the first scratch disk."""

    def change(world: World) -> World:
        observed, desired = world
        device = observed.devices[3]
        changed = replace(device, **changes)  # type: ignore[arg-type]
        devices = (*observed.devices[:3], changed, *observed.devices[4:])
        return replace(observed, devices=devices), desired

    return change


def on_part(**changes: object) -> Change:
    """Change the partition ``vdc1``, where there is one."""

    def change(world: World) -> World:
        devices = tuple(
            replace(d, **changes) if d.number == "252:33" else d  # type: ignore[arg-type]
            for d in world[0].devices
        )
        return replace(world[0], devices=devices), world[1]

    return change


def on_host(**changes: object) -> Change:
    return lambda world: (replace(world[0], **changes), world[1])  # type: ignore[arg-type]


def on_wish(**changes: object) -> Change:
    return lambda world: (world[0], replace(world[1], **changes))  # type: ignore[arg-type]


def on_place(**changes: object) -> Change:
    def change(world: World) -> World:
        place = replace(world[0].mount_point, **changes)  # type: ignore[arg-type]
        return replace(world[0], mount_point=place), world[1]

    return change


def with_line(source: str, target: str, kind: str, options: tuple[str, ...]) -> Change:
    line = FstabLine(source, target, kind, options, "252:32" if source[0] == "/" else None)
    return lambda world: (replace(world[0], fstab=(*world[0].fstab, line)), world[1])


def with_mount(number: str, root: str, target: str, kind: str, *options: str) -> Change:
    live = LiveMount(number, root, target, kind, options)
    return lambda world: (replace(world[0], mounts=(*world[0].mounts, live)), world[1])


def with_device(device: Device) -> Change:
    def change(world: World) -> World:
        observed = world[0]
        if observed.device(device.number) is not None:
            return world
        nodes = (*observed.nodes, (device.path, device.number))
        return replace(observed, devices=(*observed.devices, device), nodes=nodes), world[1]

    return change


def with_token(host_name: str, identity: str | None = None) -> Change:
    def change(world: World) -> World:
        observed, desired = world
        given = tokens(host_name, observed.devices[3])[0]
        if identity is not None:
            given = given.rsplit(":", 1)[0] + ":" + identity
        return observed, replace(desired, wipe=(*desired.wipe, given))

    return change


def differing(index: int, finding: Finding | None) -> Change:
    """One of the looks says something else, or was not made."""

    def change(world: World) -> World:
        observed, _ = world
        looks = observed.devices[3].looks
        odd = () if finding is None else (Look(PROBES[index], finding, "this one differs"),)
        changed = tuple(look for look in looks if look.probe != PROBES[index])
        return on_disk(looks=(*changed, *odd))(world)

    return change


FOREIGN = (
    Signature("xfs", OTHER_UUID, "data"),
    Signature("xfs", None, "rocm-models"),
    Signature("ext4", OTHER_UUID, "cloudimg"),
    Signature("gpt"),
    Signature("dos"),
    Signature("LVM2_member", "pv"),
    Signature("crypto_LUKS", "luks"),
    Signature("linux_raid_member", "md"),
    Signature("zfs_member", "pool", "tank"),
    Signature("btrfs", "b"),
    Signature("swap", "s"),
    Signature("iso9660", "2026", "config-2"),
)
PART = disk("vdc1", "252:33", kind="part", parent="252:32")
TABLE = (Look("partitions", Finding.DATA, "1 partitions"), *signed(Signature("gpt"))[1:])
SECOND = disk("nvme0n1", "259:0")
# What the blank disk of the first start is given.
BLANK_UUID = getattr(decide(host(disk()), wanted()), "uuid", "")
STARTS: tuple[World, ...] = (
    (host(disk()), wanted()),
    (host(disk()), wanted(device="/dev/vdc")),
    (host(disk(looks=scratch_fs())), wanted()),
    (host(disk(looks=scratch_fs(label="data"))), wanted(device="/dev/vdc")),
    (settled(disk()), wanted()),
    (host(disk(looks=TABLE), PART), wanted()),
    (host(disk(looks=TABLE), PART), wanted(device="/dev/vdc1")),
    (host(disk(looks=TABLE), replace(PART, looks=scratch_fs())), wanted(device="/dev/vdc")),
    (host(disk(looks=TABLE), replace(PART, looks=scratch_fs(label="data"))), wanted()),
)
CHANGES: tuple[Change, ...] = (
    *(
        differing(index, finding)
        for index in range(len(PROBES))
        for finding in (Finding.BLANK, Finding.DATA, Finding.BUSY, Finding.UNKNOWN, None)
    ),
    *(on_disk(looks=signed(signature)) for signature in FOREIGN),
    on_disk(looks=BLANK),
    on_disk(looks=scratch_fs()),
    on_disk(looks=scratch_fs(OTHER_UUID)),
    on_disk(looks=signed(Signature("xfs", UUID, "rocm-models"), content=INTERRUPTED)),
    on_disk(looks=signed(Signature("xfs", UUID, "rocm-models"), Signature("ext4", OTHER_UUID))),
    on_disk(looks=()),
    on_disk(holders=("dm-0",)),
    on_disk(users=("opened by qemu (pid 7)",)),
    on_disk(read_only=True),
    on_disk(removable=True),
    on_disk(problems=("lsblk says another size",)),
    on_disk(size=100 * 1024**2),
    on_disk(size=5000 * GIB),
    on_disk(size=2000 * GIB),
    *(on_disk(kind=kind) for kind in ("loop", "rom", "lvm", "raid0", "unknown")),
    on_part(users=("opened by qemu (pid 7)",)),
    on_part(holders=("dm-0",)),
    on_part(problems=("lsblk says another size",)),
    on_part(read_only=True),
    on_part(parent="unknown"),
    on_part(looks=()),
    on_part(looks=(*BLANK[:3], Look("content", Finding.UNKNOWN, "short read"), *BLANK[4:])),
    on_part(looks=scratch_fs()),
    on_part(size=100 * 1024**2),
    on_disk(identity=Identity("SERIAL1", None, "pci-1", 5120 * GIB)),
    on_disk(identity=Identity("SERIAL1", "eui.1", "pci-1", 5120 * GIB)),
    on_disk(by_id=("/dev/disk/by-id/virtio-scratch",)),
    on_host(swaps=("252:32",)),
    on_host(problems=("findmnt: exit code 1",)),
    on_host(fstab=()),
    on_host(mounts=()),
    with_mount("252:32", "/", "/data", "xfs", "rw"),
    with_mount("252:32", "/", "/mnt/models", "xfs", "rw", "noatime"),
    with_mount("252:32", "/", "/mnt/models", "xfs", "ro", "noatime"),
    with_mount("252:32", "/", "/mnt/models", "xfs", "rw", "relatime"),
    with_mount("252:32", "/sub", "/mnt/models", "xfs", "rw", "noatime"),
    with_mount("252:32", "/", "/mnt/models", "ext4", "rw", "noatime"),
    with_mount("252:32", "/", "/", "xfs", "rw"),
    with_mount("252:33", "/", "/data", "xfs", "rw"),
    with_mount("259:0", "/", "/mnt/models", "xfs", "rw", "noatime"),
    with_mount("0:99", "/", "/mnt/models", "tmpfs", "rw"),
    with_line(f"UUID={UUID}", "/mnt/models", "xfs", ("nofail", "noatime")),
    with_line(f"UUID={OTHER_UUID}", "/mnt/models", "xfs", ("nofail", "noatime")),
    with_line("UUID=99999999-2222-4333-8444-555555555555", "/mnt/models", "xfs", ("defaults",)),
    with_line("UUID=not-a-uuid", "/mnt/models", "xfs", ("defaults",)),
    with_line(f"UUID={UUID}", "/data", "xfs", ("defaults",)),
    with_line("LABEL=rocm-models", "/mnt/models", "xfs", ("defaults",)),
    with_line("nas:/models", "/mnt/models", "nfs", ("noauto",)),
    with_line("UUID=99999999-2222-4333-8444-555555555555", "/mnt/models", "ext4", ("noauto",)),
    with_line("/dev/vdc", "/mnt/models", "ext4", ("defaults",)),
    with_line("/dev/vdc", "/mnt/scratch", "ext4", ("defaults",)),
    on_place(exists=True, mode=0o755),
    on_place(exists=True, mode=0o555, immutable=True),
    on_place(exists=True, count=3, names=("a", "b", "c")),
    on_place(exists=True, folder=False),
    on_place(real="/data/models"),
    on_place(exists=True, owner="ubuntu"),
    on_place(exists=True, sentinel="else"),
    on_place(exists=True, sentinel=None),
    with_device(SECOND),
    with_device(replace(SECOND, looks=scratch_fs())),
    with_device(replace(SECOND, looks=signed(Signature("xfs", BLANK_UUID, "copy")))),
    with_device(replace(SECOND, looks=(Look("blkid", Finding.UNKNOWN, "I/O error"),))),
    with_device(replace(SECOND, looks=scratch_fs(OTHER_UUID))),
    with_device(replace(SECOND, identity=Identity("SERIAL1", None, "pci-2", 5120 * GIB))),
    with_device(replace(SECOND, identity=Identity("SERIAL1", "eui.1", "pci-2", 5120 * GIB))),
    with_device(PART),
    with_device(replace(PART, looks=signed(Signature("ext4", OTHER_UUID)))),
    with_device(disk("vdc2", "252:34", kind="part", parent="252:32")),
    with_device(disk("dm-0", "253:0", kind="lvm", slaves=("vdc",))),
    with_token(HOST),
    with_token("another"),
    with_token(HOST, "SERIAL9"),
    on_wish(device="auto"),
    on_wish(device="/dev/vdc"),
    on_wish(device="/dev/vdc1"),
    on_wish(device="/dev/nvme0n1"),
    on_wish(device="/dev/vda1"),
    on_wish(device="/dev/nowhere"),
    on_wish(label="data"),
    on_wish(label="much-too-long"),
    on_wish(owner="ubuntu"),
    on_wish(expected_size=5120 * GIB),
    on_wish(mount_options=("noatime", "logbsize=256k")),
    on_wish(wipe=("--yes", HOST, f"{HOST}:/dev/vdc", "")),
)


@st.composite
def worlds(draw: st.DrawFn) -> World:
    """An observation and what is wanted."""
    world = draw(st.sampled_from(STARTS))
    for change in draw(st.lists(st.sampled_from(CHANGES), max_size=4)):
        world = change(world)
    return world
