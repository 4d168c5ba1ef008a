#!/bin/sh
# make install: builds below build/stage, copies to /, configures. As root.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
[ "$(id -u)" = 0 ] || { echo "installing needs root: sudo make install" >&2; exit 77; }
stage=$here/../build/stage
mkdir -p "$stage"
stage=$(cd "$stage" && pwd)
"$here/stage.sh" "$stage" usr/local/lib
rm -rf /opt/v2g
cp -r --no-preserve=ownership --preserve=mode,links "$stage"/. /
for command in /opt/v2g/bin/v2g-*; do ln -sf "$command" /usr/local/bin/; done
/opt/v2g/share/v2g-agent/configure.sh
cat <<'END'

Installed. Next:
  1. edit /etc/v2g/agent.toml and /etc/v2g/power-profile.conf
  2. put the substation's SCD at /etc/v2g/scl/station.scd
  3. v2g-ctl check
  4. v2g-ctl firewall --write && systemctl daemon-reload
  5. systemctl start v2g-gateway.service
END
