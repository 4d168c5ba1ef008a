#!/bin/sh
# make uninstall: removes the program; configuration, keys, logs and state stay. As root.
set -eu
[ "$(id -u)" = 0 ] || { echo "removing needs root: sudo make uninstall" >&2; exit 77; }
if [ -d /run/systemd/system ]; then
    systemctl disable --now v2g-gateway.service v2g-firewall.service || true
fi
for command in /opt/v2g/bin/v2g-*; do rm -f "/usr/local/bin/$(basename "$command")"; done
rm -rf /opt/v2g /usr/local/lib/systemd/system/v2g-*.service \
    /usr/local/lib/systemd/system/v2g-.service.d \
    /usr/local/lib/sysusers.d/v2g-agent.conf /usr/local/lib/tmpfiles.d/v2g-agent.conf \
    /etc/apparmor.d/v2g-agent /etc/apparmor.d/abstractions/v2g \
    /usr/share/man/man[158]/v2g-*.[158] /usr/share/man/man5/agent.toml.5 \
    /usr/share/man/man5/power-profile.conf.5 \
    /usr/share/bash-completion/completions/v2g-*
[ ! -d /run/systemd/system ] || systemctl daemon-reload
echo "Removed. Kept: /etc/v2g /var/log/v2g /var/lib/v2g"
