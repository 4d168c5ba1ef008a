#!/bin/bash
# Runs inside a booted system with the package installed; writes one `name=value` a line.
exec >/results 2>/results.log
set -x
say() { echo "$1=$2"; }
pid() { systemctl show -p MainPID --value "v2g-$1.service"; }
state() { systemctl show -p ActiveState --value "v2g-$1.service"; }
until_true() { # SECONDS COMMAND...
    local end=$((SECONDS + $1)); shift
    until "$@"; do [ $SECONDS -lt $end ] || return 1; sleep 0.2; done
}
active() { [ "$(state "$1")" = active ]; }
other_pid() { local now; now=$(pid "$1"); [ "$now" != 0 ] && [ "$now" != "$2" ]; }

ip link add eth0 type veth peer name eth0p
ip link set eth0 up; ip link set eth0p up

systemctl start v2g-gateway.service
say start $?
all_active() { active control && active stations && active processbus && active ied; }
until_true 90 all_active
for name in gateway control processbus ied stations field utility hmi; do
    say "state_$name" "$(state $name)"
done
say control_user "$(ps -o user= -p "$(pid control)")"
say control_class "$(ps -o cls= -p "$(pid control)")"
say processbus_class "$(ps -o cls= -p "$(pid processbus)")"
say control_files "$(stat -c '%U %a' /var/log/v2g/stability-audit.log)"
say status_answers "$(v2g-ctl status --json | grep -c loop)"
say impostor_answers "$(setpriv --reuid=v2g-hmi --regid=v2g --clear-groups v2g-ctl status --json 2>/dev/null | grep -c loop)"
say reload "$(systemctl reload v2g-gateway.service && echo yes)"
say status_line "$(systemctl show -p StatusText --value v2g-control)"
say stations_keys "$(nsenter -t "$(pid stations)" -m ls /etc/v2g/pki/ 2>/dev/null | wc -l)"
say control_sockets "$(nsenter -t "$(pid control)" -n ss -Htuln | wc -l)"
for name in control processbus ied stations; do
    say "exposure_$name" "$(systemd-analyze security --no-pager "v2g-$name.service" | sed -n 's/.*level for .*: \([0-9.]*\).*/\1/p')"
done

stations=$(pid stations); processbus=$(pid processbus); ied=$(pid ied); control=$(pid control)
kill -KILL "$control"
until_true 30 other_pid control "$control"
until_true 30 active control
say killed_control_returns "$(state control)"
say killed_control_leaves_workers "$([ "$(pid stations) $(pid processbus) $(pid ied)" = "$stations $processbus $ied" ] && echo yes)"

control=$(pid control)
kill -STOP "$control"
until_true 60 other_pid control "$control"
say stopped_control_is_replaced "$(other_pid control "$control" && echo yes)"

[ "$stations" = 0 ] || kill -KILL "$(pid stations)"
until_true 30 other_pid stations "$stations"
say killed_worker_returns "$(other_pid stations "$stations" && echo yes)"

until_true 30 active control
stations=$(pid stations); control=$(pid control)
systemctl restart v2g-gateway.service
say restart $?
until_true 90 all_active
say restart_replaces_all "$(other_pid stations "$stations" && other_pid control "$control" && echo yes)"

# Capture by XDP: the rights that the setting asks for, beside everything that the unit forbids.
sed -i 's/^\[process_bus\]/&\ncapture = "xdp"/' /etc/v2g/agent.toml
v2g-ctl firewall --write; systemctl daemon-reload; systemctl restart v2g-processbus.service
until_true 30 active processbus
/opt/v2g/bin/python -m agent.processbus.simulated --interface eth0p --dip-every 0 >/dev/null &
merging_unit=$!
by_xdp() { v2g-ctl status --json | grep -Eo '"xdp": *[0-9.]+' | grep -Eq '[1-9]'; }
until_true 30 by_xdp
say xdp_frames "$(by_xdp && echo yes)"
say xdp_program "$(ip link show eth0 | grep -c prog/xdp)"
kill $merging_unit
sed -i '/^capture = "xdp"$/d' /etc/v2g/agent.toml
v2g-ctl firewall --write; systemctl daemon-reload; systemctl restart v2g-processbus.service
until_true 30 active processbus
say xdp_gone "$(ip link show eth0 | grep -c prog/xdp) $(ls /etc/systemd/system/v2g-processbus.service.d 2>/dev/null | grep -c xdp)"

v2g-ctl audit verify --key /etc/v2g/pki/audit.key >/results.audit
say audit_verify $?

systemctl stop v2g-gateway.service
say stopped "$(for n in gateway control processbus ied stations; do state $n; done | sort -u | tr '\n' ' ')"

echo 'nonsense = 1' >>/etc/v2g/agent.toml
systemctl start v2g-gateway.service
say start_broken $?
say broken_exit "$(systemctl show -p ExecMainStatus --value v2g-gateway.service)"
say broken_control "$(state control)"
sed -i '$d' /etc/v2g/agent.toml

systemctl reset-failed
systemctl start v2g-gateway.service
until_true 90 all_active
echo 'nonsense = 1' >>/etc/v2g/agent.toml
kill -KILL "$(pid control)"
failed() { [ "$(state control)" = failed ]; }
until_true 60 failed
sleep 2
say control_exit "$(systemctl show -p ExecMainStatus --value v2g-control.service)"
say control_restarts "$(systemctl show -p NRestarts --value v2g-control.service)"
say workers_stay "$(state stations)"
sed -i '$d' /etc/v2g/agent.toml
journalctl --no-pager -u 'v2g-*' -o cat >/results.journal
sync
systemctl poweroff
