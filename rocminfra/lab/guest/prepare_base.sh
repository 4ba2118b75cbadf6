#!/bin/sh
# Runs once, inside the base root (chroot): everything that all droplets have in common.
set -eu
export DEBIAN_FRONTEND=noninteractive PATH=/usr/sbin:/usr/bin:/sbin:/bin

update-ca-certificates >/dev/null 2>&1

# A surprising gid on purpose: real hosts differ (104, 109, 110, 992, …), so nothing may assume one.
getent group video >/dev/null || groupadd --gid 44 video
if getent group 992 >/dev/null; then
    groupmod --gid 1992 "$(getent group 992 | cut -d: -f1)"
fi
if getent group render >/dev/null; then groupmod --gid 992 render; else groupadd --gid 992 render; fi

useradd --create-home --shell /bin/bash --uid 1000 ops
install -d -m 0700 /root/.ssh
install -d -m 0700 -o ops -g ops /home/ops/.ssh
echo 'ops ALL=(ALL) NOPASSWD:ALL' >/etc/sudoers.d/ops
chmod 0440 /etc/sudoers.d/ops

# What a container cannot or need not do at boot.
systemctl --quiet mask \
    apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer \
    e2scrub_reap.service fstrim.timer systemd-networkd.service systemd-resolved.service \
    networking.service systemd-udevd.service systemd-udev-trigger.service console-getty.service \
    getty.target systemd-logind.service systemd-update-utmp.service \
    systemd-update-utmp-runlevel.service systemd-firstboot.service ssh.socket \
    sys-kernel-config.mount sys-kernel-debug.mount sys-kernel-tracing.mount modprobe@.service
systemctl --quiet enable ssh.service
systemctl --quiet set-default multi-user.target
rm -f /etc/ssh/ssh_host_* /etc/machine-id /var/lib/dbus/machine-id /etc/hostname
rm -f /etc/update-motd.d/* /etc/motd
echo LANG=C.UTF-8 >/etc/default/locale

# The index is the droplet's own, as on an image; the product updates it when it must.
apt-get update -qq
rm -rf /var/cache/apt/archives/*.deb /var/log/apt/* /var/log/dpkg.log /var/log/bootstrap.log
