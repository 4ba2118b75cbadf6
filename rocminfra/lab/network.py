"""A droplet's network: a namespace of its own, a wire to this machine, and a way out.

Nothing of this machine's own network changes: no forwarding, no packet filter. The way out is
slirp4netns, a user-mode network stack.
"""

from __future__ import annotations

import ipaddress
import json
import os
import select
import subprocess
from collections.abc import Iterable
from pathlib import Path

from rocminfra.failure import Do, FailedError, Fault
from rocminfra.lab.commands import run, succeeds
from rocminfra.lab.droplet_record import Droplet

SUBNET = "10.83"
SUBNET_VARIABLE = "ROCMINFRA_LAB_SUBNET"
NUMBERS = range(1, 251)
NAMESPACE_PREFIX = "rocminfra-lab-"
INTERFACE_PREFIX = "rmlab"
# slirp4netns answers within milliseconds; a machine that is swapping may take longer.
WAY_OUT_TIMEOUT_S = 20


def subnet() -> str:
    """First two parts of the lab's addresses; ``ROCMINFRA_LAB_SUBNET`` overrides them.

    Raises :class:`FailedError` when the variable is not one.
    """
    value = os.environ.get(SUBNET_VARIABLE, SUBNET).strip()
    try:
        network = ipaddress.IPv4Network(f"{value}.0.0/16")
    except ValueError:
        network = None
    if network is None or not network.is_private:
        raise FailedError(
            Fault.LAB_OPTION_INVALID,
            f"{SUBNET_VARIABLE}={value} is not the first half of a private IPv4 address",
            next=Do(f"export {SUBNET_VARIABLE}={SUBNET}"),
        )
    return value


def routed() -> tuple[ipaddress.IPv4Network, ...]:
    """Networks that this machine has routes to, the default route left out."""
    listed = json.loads(run(["ip", "-4", "-j", "route", "show", "table", "all"]) or "[]")
    networks = []
    for route in listed:
        destination = str(route.get("dst", "default"))
        if destination == "default" or route.get("dev", "").startswith(INTERFACE_PREFIX):
            continue
        try:
            networks.append(ipaddress.IPv4Network(destination, strict=False))
        except ValueError:
            continue
    return tuple(networks)


def free_number(
    wanted_subnet: str, taken: Iterable[int], routes: Iterable[ipaddress.IPv4Network]
) -> int:
    """The first number whose /30 nobody uses.

    + taken: numbers of other droplets
    + routes: what this machine has routes to

    Raises :class:`FailedError` when there is none.
    """
    used = set(taken)
    known = tuple(routes)
    blocking: list[str] = []
    for number in NUMBERS:
        if number in used:
            continue
        wire = ipaddress.IPv4Network(f"{wanted_subnet}.{number}.0/30")
        others = [str(route) for route in known if route.overlaps(wire)]
        if not others:
            return number
        blocking += [other for other in others if other not in blocking]
    raise FailedError(
        Fault.LAB_SUBNET_TAKEN,
        f"the lab's addresses {wanted_subnet}.0.0/16 are taken on this machine",
        tuple(f"route to {route}" for route in blocking[:5]),
        Do(f"export {SUBNET_VARIABLE}=172.31   # or another half that is free here"),
    )


def make(droplet: Droplet) -> None:
    """Namespace, wire and addresses of ``droplet``.

    Raises :class:`FailedError`.
    """
    namespace, outside = droplet.namespace, droplet.interface
    run(["ip", "netns", "add", namespace])
    run(
        ["ip", "link", "add", outside, "type", "veth", "peer", "name", "eth0", "netns", namespace],
        next_step="see whether this kernel has veth: modprobe veth",
    )
    run(["ip", "addr", "add", f"{droplet.gateway}/30", "dev", outside])
    run(["ip", "link", "set", outside, "up"])
    inside = ["ip", "-n", namespace]
    run([*inside, "link", "set", "lo", "up"])
    run([*inside, "addr", "add", f"{droplet.address}/30", "dev", "eth0"])
    run([*inside, "link", "set", "eth0", "up"])
    # Before boot: /proc/sys is read-only inside by then, and dockerd refuses to start without it.
    run(["ip", "netns", "exec", namespace, "sysctl", "-q", "-w", "net.ipv4.ip_forward=1"])


def start_way_out(droplet: Droplet, log: Path) -> None:
    """Start slirp4netns for ``droplet`` and wait until its interface is there.

    + log: file for what it says

    Raises :class:`FailedError` when it does not start.
    """
    reader, writer = os.pipe()
    try:
        with log.open("ab") as output:
            process = subprocess.Popen(
                [
                    "slirp4netns",
                    "--netns-type=path",
                    "--configure",
                    "--mtu=1500",
                    "--disable-host-loopback",
                    f"--ready-fd={writer}",
                    f"/run/netns/{droplet.namespace}",
                    "tap0",
                ],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                pass_fds=(writer,),
                # Nothing of this process: it belongs to the droplet from now on.
                env={"PATH": os.environ.get("PATH", os.defpath)},
                cwd="/",
                start_new_session=True,
            )
        os.close(writer)
        writer = -1
        ready, _, _ = select.select([reader], [], [], WAY_OUT_TIMEOUT_S)
        if not ready or os.read(reader, 1) != b"1":
            process.kill()
            said = log.read_text(encoding="utf-8", errors="replace").splitlines()[-5:]
            raise FailedError(
                Fault.LAB_DROPLET_NOT_UP,
                "slirp4netns did not connect the droplet to the network",
                tuple(said),
                Do("see whether /dev/net/tun is there: modprobe tun"),
            )
    finally:
        os.close(reader)
        if writer >= 0:
            os.close(writer)


def namespaces() -> tuple[str, ...]:
    """Names of the lab's network namespaces, of dead droplets too."""
    folder = Path("/run/netns")
    if not folder.is_dir():
        return ()
    names = (entry.name for entry in folder.iterdir())
    return tuple(sorted(name for name in names if name.startswith(NAMESPACE_PREFIX)))


def interfaces() -> tuple[str, ...]:
    """Names of this machine's ends of the lab's wires."""
    listed = json.loads(run(["ip", "-j", "link", "show", "type", "veth"]) or "[]")
    names = (str(link.get("ifname", "")) for link in listed)
    prefix = INTERFACE_PREFIX
    return tuple(
        sorted(n for n in names if n.startswith(prefix) and n.removeprefix(prefix).isdigit())
    )


def remove_interface(name: str) -> None:
    """Remove a wire, both of its ends; it may be gone already."""
    succeeds(["ip", "link", "del", name])


def remove_namespace(name: str) -> None:
    """Remove a network namespace; it may be gone already."""
    if not succeeds(["ip", "netns", "del", name]):
        # A run that was killed between the file and the mount leaves the file.
        Path("/run/netns", name).unlink(missing_ok=True)
