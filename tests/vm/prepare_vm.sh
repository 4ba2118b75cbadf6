#!/bin/sh
# Runs once, inside a copy of the droplet's base root (chroot): what a machine of its own needs.
set -eu
export DEBIAN_FRONTEND=noninteractive PATH=/usr/sbin:/usr/bin:/sbin:/bin

systemctl --quiet unmask systemd-udevd.service systemd-udev-trigger.service \
    systemd-networkd.service modprobe@.service sys-kernel-config.mount
apt-get install -y -qq --no-install-recommends \
    linux-image-cloud-amd64 initramfs-tools udev lvm2 mdadm dmsetup cryptsetup-bin docker.io iptables
systemctl --quiet enable systemd-networkd.service
cat >/etc/systemd/network/10-lan.network <<'NETWORK'
[Match]
Type=ether
[Network]
Address=10.0.2.15/24
Gateway=10.0.2.2
NETWORK
# Arrays and volume groups are brought up by the tests, when they want them.
systemctl --quiet mask mdmonitor.service systemd-networkd-wait-online.service \
    lvm2-monitor.service
echo 'AUTO -all' >>/etc/mdadm/mdadm.conf
printf 'global { event_activation = 0 }\nactivation { auto_activation_volume_list = [] }\n' \
    >/etc/lvm/lvmlocal.conf
# How long a boot waits for a disk that is not there (90 s otherwise), among others.
mkdir -p /etc/systemd/system.conf.d
printf '[Manager]\nDefaultTimeoutStartSec=40s\nDefaultDeviceTimeoutSec=40s\n' \
    >/etc/systemd/system.conf.d/10-vm.conf
echo '/dev/vda / ext4 rw 0 1' >/etc/fstab
echo storage-vm >/etc/hostname
ssh-keygen -q -t ed25519 -N '' -f /etc/ssh/ssh_host_ed25519_key
rm -rf /var/cache/apt/archives/*.deb
