#!/bin/sh
# What an installation does on the machine itself, after the files are in place. Repeating it
# changes nothing; nothing that an operator wrote is touched.
#
# ROOT (environment) works below another folder, for images and tests.
set -eu

root=${ROOT:-}
etc=$root/etc/v2g
share=$root/opt/v2g/share/v2g-agent

have() { command -v "$1" >/dev/null 2>&1; }
running() { [ -z "$root" ] && [ -d /run/systemd/system ]; }
keep() { # SOURCE TARGET: the target's content is never replaced
    if [ ! -e "$2" ]; then
        install -D -m 0644 "$1" "$2"
    elif ! cmp -s "$1" "$2"; then
        install -D -m 0644 "$1" "$share/new/$(basename "$2")"
        echo "kept $2; the new default is $share/new/$(basename "$2")"
    fi
}

# Users and folders
have systemd-sysusers && systemd-sysusers ${root:+--root="$root"} v2g-agent.conf
have systemd-tmpfiles && systemd-tmpfiles ${root:+--root="$root"} --create v2g-agent.conf

# Configuration
keep "$share/etc/agent.toml" "$etc/agent.toml"
keep "$share/etc/power-profile.conf" "$etc/power-profile.conf"
keep "$share/etc/station.scd" "$etc/scl/station.scd"
keep "$share/default-v2g-agent" "$root/etc/default/v2g-agent"
if [ ! -e "$etc/pki/audit.key" ]; then
    (umask 077 && head -c 32 /dev/urandom >"$etc/pki/audit.key")
fi

# Cores: the units suit two. With one, nothing is pinned; with four or more, the process bus gets
# the last one, the control the one before, and the workers share the rest.
pin() { # UNIT CORES
    file=$root/etc/systemd/system/$1.service.d/10-v2g-cpu.conf
    [ -e "$file" ] && return
    mkdir -p "$(dirname "$file")"
    printf '# Written by the installation for %s cores.\n[Service]\nCPUAffinity=\n' "$cores" >"$file"
    [ -z "$2" ] || printf 'CPUAffinity=%s\n' "$2" >>"$file"
}
cores=${CORES:-$(nproc)}
workers="v2g-ied v2g-stations v2g-stations@ v2g-field v2g-utility v2g-hmi v2g-bus v2g-secc@"
if [ "$cores" -eq 1 ]; then
    for unit in v2g-processbus v2g-control $workers; do pin "$unit" ""; done
elif [ "$cores" -ge 4 ]; then
    pin v2g-processbus $((cores - 1))
    pin v2g-control $((cores - 2))
    for unit in $workers; do pin "$unit" "0-$((cores - 3))"; done
fi

if running; then
    if have apparmor_parser && [ -d /sys/kernel/security/apparmor ]; then
        apparmor_parser -r /etc/apparmor.d/v2g-agent || echo "the AppArmor profiles were not loaded"
    fi
    systemctl daemon-reload
    systemctl enable v2g-gateway.service
    systemctl try-restart v2g-gateway.service
fi
