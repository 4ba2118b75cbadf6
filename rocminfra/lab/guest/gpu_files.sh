#!/bin/sh
# The simulated GPU's figures in sysfs: busy while a process listens on the engine's port, as the
# simulated amd-smi has it. The same figures as there: amd_smi.py.
set -eu

device=${1:-/sys/class/drm/renderD128/device}
hwmon=$device/hwmon/hwmon0
total=$(cat "$device/mem_info_vram_total")
# Port 8000, any address, and the state of a listening socket, in /proc/net/tcp.
engine=':1F40 '
listening=' 0A '

listens() {
    while read -r line; do
        case $line in *"$engine"*"$listening"*) return 0 ;; esac
    done </proc/net/tcp
    return 1
}

put() {
    echo "$2" >"$1"
}

was=
while :; do
    now=idle
    if listens; then now=busy; fi
    if [ "$now" != "$was" ]; then
        if [ "$now" = busy ]; then
            put "$device/mem_info_vram_used" $((total / 100 * 92))
            put "$device/gpu_busy_percent" 94
            put "$device/mem_busy_percent" 61
            put "$hwmon/power1_input" 612000000
            put "$hwmon/temp2_input" 71000
            put "$hwmon/temp3_input" 58000
        else
            put "$device/mem_info_vram_used" $((285 << 20))
            put "$device/gpu_busy_percent" 0
            put "$device/mem_busy_percent" 0
            put "$hwmon/power1_input" 141000000
            put "$hwmon/temp2_input" 44000
            put "$hwmon/temp3_input" 37000
        fi
        was=$now
    fi
    sleep 2
done
