#!/bin/sh
# The droplet's own view of its devices, at boot and again after the disk was reset or partitioned.
#
# /sys is the host's: without this, lsblk shows the host's disks and loopN, never vdc.
# /etc/rocminfra-lab/disk holds the name of the loop device.
set -eu

remount_read_write() {
    mount -o remount,rw,bind "$1" 2>/dev/null || true
}

case "${1:-refresh}" in
boot)
    # Docker makes control groups of its own.
    for folder in /sys/fs/cgroup /sys/fs/cgroup/*; do
        if mountpoint -q "$folder"; then remount_read_write "$folder"; fi
    done
    # Of /proc/sys only what belongs to this network namespace. Everything else is the host's:
    # a droplet gets its own copy of what the playbook sets, and cannot set the rest.
    mount --bind /proc/sys/net /proc/sys/net
    remount_read_write /proc/sys/net
    if [ -e /proc/sys/kernel/numa_balancing ]; then
        echo 1 >/run/rocminfra-lab-numa_balancing
        mount --bind /run/rocminfra-lab-numa_balancing /proc/sys/kernel/numa_balancing
    fi
    # The host's disks and swap show in these as well.
    mkdir -p /run/rocminfra-lab-proc
    head -n 1 /proc/swaps >/run/rocminfra-lab-proc/swaps
    : >/run/rocminfra-lab-proc/partitions
    mount --bind /run/rocminfra-lab-proc/swaps /proc/swaps
    mount --bind /run/rocminfra-lab-proc/partitions /proc/partitions
    mkdir -p /run/rocminfra-lab-sys
    mount -t tmpfs -o mode=755,size=16m tmpfs /run/rocminfra-lab-sys
    mkdir -p /run/rocminfra-lab-sys/block /run/rocminfra-lab-sys/dev /run/rocminfra-lab-sys/class
    # A folder cannot be made in sysfs, and without a driver there is none for GPUs. So the classes
    # are the same links (no files: reading zram-control/hot_add makes the host a disk), and with
    # them what amdgpu says of the GPU.
    mkdir -p /run/rocminfra-lab-sys/classes
    for class in /sys/class/*; do
        mkdir "/run/rocminfra-lab-sys/classes/${class##*/}"
        # A device may go while it is looked at.
        find "$class" -maxdepth 1 -mindepth 1 -type l -exec \
            cp -d -t "/run/rocminfra-lab-sys/classes/${class##*/}" {} + 2>/dev/null || true
    done
    rm -rf /run/rocminfra-lab-sys/classes/drm
    mkdir -p /run/rocminfra-lab-sys/classes/drm/renderD128/device
    vram_mib=$(sed -n 's/.*"vram_mib": *\([0-9]*\).*/\1/p' /etc/rocminfra-lab/gpu.json)
    device=/run/rocminfra-lab-sys/classes/drm/renderD128/device
    echo $((vram_mib << 20)) >$device/mem_info_vram_total
    # What an MI300X guest has: labels, and no power1_average. gpu_files.sh writes the figures.
    mkdir -p $device/hwmon/hwmon0
    echo amdgpu >$device/hwmon/hwmon0/name
    echo PPT >$device/hwmon/hwmon0/power1_label
    echo junction >$device/hwmon/hwmon0/temp2_label
    echo mem >$device/hwmon/hwmon0/temp3_label
    mount --bind /run/rocminfra-lab-sys/classes /sys/class
    mount --bind /run/rocminfra-lab-sys/block /sys/block
    mount --bind /run/rocminfra-lab-sys/dev /sys/dev/block
    mount --bind /run/rocminfra-lab-sys/class /sys/class/block
    # Network interfaces in /sys are those of whoever mounted it.
    mkdir -p /run/rocminfra-lab-net
    mount -t sysfs -o ro sysfs /run/rocminfra-lab-net
    mount --bind /run/rocminfra-lab-net/class/net /sys/class/net
    mount --bind /run/rocminfra-lab-net/devices/virtual/net /sys/devices/virtual/net
    umount --lazy /run/rocminfra-lab-net
    # Harmless character devices (those of /dev/null) with the owners and modes of a real host.
    mkdir -p /dev/dri
    mknod -m 0660 /dev/kfd c 1 3
    mknod -m 0660 /dev/dri/card0 c 1 3
    mknod -m 0660 /dev/dri/renderD128 c 1 3
    chown root:render /dev/kfd /dev/dri/renderD128
    chown root:video /dev/dri/card0
    ;;
refresh) ;;
*)
    echo "usage: devices.sh [boot|refresh]" >&2
    exit 2
    ;;
esac

# The kernel may know no GPT; partx reads the table itself and tells it.
if [ -b /dev/vdc ]; then
    partx --update /dev/vdc 2>/dev/null || partx --delete /dev/vdc 2>/dev/null || true
fi

loop=$(cat /etc/rocminfra-lab/disk)
source=/sys/devices/virtual/block/$loop

# attributes FROM TO: copy readable attributes; what a loop device alone has is left out.
attributes() {
    mkdir -p "$2" "$2/holders" "$2/slaves"
    for entry in "$1"/*; do
        if [ -f "$entry" ]; then cat "$entry" >"$2/${entry##*/}" 2>/dev/null || true; fi
    done
    if [ -d "$1/queue" ]; then
        mkdir -p "$2/queue"
        for entry in "$1"/queue/*; do
            if [ -f "$entry" ]; then cat "$entry" >"$2/queue/${entry##*/}" 2>/dev/null || true; fi
        done
    fi
    sed -i "s/^DEVNAME=${loop}p*/DEVNAME=vdc/" "$2/uevent"
}

# node NAME FOLDER: device node, and the links by number and by class.
node() {
    number=$(cat "$2/dev")
    if [ ! -b "/dev/$1" ]; then
        mknod -m 0660 "/dev/$1" b "${number%:*}" "${number#*:}"
        chgrp disk "/dev/$1"
    fi
    ln -sfn "../../${2#/sys/}" "/sys/dev/block/$number"
    ln -sfn "../../${2#/sys/}" "/sys/class/block/$1"
    printf '%4d %8d %10d %s\n' "${number%:*}" "${number#*:}" $(($(cat "$2/size") / 2)) "$1" \
        >>/run/rocminfra-lab-proc/partitions
}

printf 'major minor  #blocks  name\n\n' >/run/rocminfra-lab-proc/partitions
rm -rf /sys/block/vdc /sys/dev/block/* /sys/class/block/* /dev/vdc?*
attributes "$source" /sys/block/vdc
node vdc /sys/block/vdc
for part in "$source/$loop"p*; do
    if [ -d "$part" ]; then
        name=vdc${part##*"$loop"p}
        attributes "$part" "/sys/block/vdc/$name"
        node "$name" "/sys/block/vdc/$name"
    fi
done
