#!/bin/sh
# Puts everything that is installed under a folder: packaging/stage.sh ROOT [UNIT_PREFIX]
#
# ROOT receives opt/v2g (a private Python environment with the locked dependencies), the units,
# profiles, man pages, completion and the default configuration under opt/v2g/share/v2g-agent/etc.
# UNIT_PREFIX is usr/lib (packages) or usr/local/lib (make install).
# PYTHON is the interpreter that the environment will use on the target.
set -eu

root=${1:?usage: stage.sh ROOT [UNIT_PREFIX]}
prefix=${2:-usr/lib}
source=$(cd "$(dirname "$0")/.." && pwd)
python=${PYTHON:-/usr/bin/python3}
builder=${BUILDER:-$source/.venv/bin/python}

"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
    echo "$python is older than Python 3.11" >&2
    exit 69
}
case $root in /*) ;; *) root=$PWD/$root ;; esac
rm -rf "$root/opt/v2g"
mkdir -p "$root/opt" "$root/$prefix/systemd/system" "$root/$prefix/sysusers.d" \
    "$root/$prefix/tmpfiles.d" "$root/etc/apparmor.d/abstractions" "$root/usr/share/man" \
    "$root/usr/share/bash-completion/completions"

echo "environment"
"$python" -m venv --without-pip "$root/opt/v2g"
wheels=$(mktemp -d)
trap 'rm -rf "$wheels"' EXIT
pip() { "$builder" -m pip --disable-pip-version-check "$@"; }
add() { pip --python "$root/opt/v2g/bin/python" install -qq --no-compile "$@"; }
pip wheel -qq --no-deps --no-build-isolation -w "$wheels" "$source"
add -r "$source/requirements.lock"
add --no-deps -r "$source/requirements-secc.lock"
add --no-deps "$wheels"/*.whl
# Scripts name the interpreter by its place at build time.
find "$root/opt/v2g/bin" -maxdepth 1 -type f -exec sed -i "1s|^#!$root/|#!/|" {} +
sed -i "s|$root/|/|g" "$root/opt/v2g/pyvenv.cfg"
rm -f "$root"/opt/v2g/bin/[Aa]ctivate*

echo "units, profiles, data, documentation"
share=$root/opt/v2g/share
mkdir -p "$share/v2g-agent" "$share/doc"
cp -r "$source/mappings" "$source/scl" "$source/packaging/etc" "$share/v2g-agent/"
cp "$source/scl/sample-station.scd" "$share/v2g-agent/etc/station.scd"
cp "$source/packaging/configure.sh" "$source/packaging/default-v2g-agent" "$share/v2g-agent/"
cp "$source"/docs/*.md "$source/LICENSE" "$share/doc/"
cp -r "$source"/systemd/*.service "$source/systemd/v2g-.service.d" "$root/$prefix/systemd/system/"
cp "$source"/systemd/sysusers.d/* "$root/$prefix/sysusers.d/"
cp "$source"/systemd/tmpfiles.d/* "$root/$prefix/tmpfiles.d/"
cp "$source/systemd/apparmor.d/v2g-agent" "$root/etc/apparmor.d/"
cp "$source/systemd/apparmor.d/abstractions/v2g" "$root/etc/apparmor.d/abstractions/"

echo "man pages and completion"
(cd "$source" && "$builder" packaging/manpages.py "$root/usr/share/man")
(cd "$source" && "$builder" packaging/completion.py "$root/usr/share/bash-completion/completions")
chmod -R u=rwX,go=rX "$root"
