#!/bin/sh
# make deb: build/v2g-agent_VERSION_ARCH.deb
set -eu
here=$(cd "$(dirname "$0")" && pwd)
python=${PYTHON:-/usr/bin/python3}
builder=${BUILDER:-$here/../.venv/bin/python}
version=${VERSION:-$(sed -n 's/^version = "\(.*\)"/\1/p' "$here/../pyproject.toml")}
architecture=$(dpkg --print-architecture)
root=$here/../build/deb
rm -rf "$root"
mkdir -p "$root/DEBIAN" "$root/usr/bin"
root=$(cd "$root" && pwd)
BUILDER=$builder PYTHON=$python "$here/stage.sh" "$root" usr/lib
for command in "$root"/opt/v2g/bin/v2g-*; do
    ln -s "/opt/v2g/bin/$(basename "$command")" "$root/usr/bin/"
done
# The environment's compiled modules fit one minor version of Python.
minor=$("$python" -c 'import sys; print(sys.version_info.minor)')
sed -e "s/@VERSION@/$version/" -e "s/@ARCHITECTURE@/$architecture/" \
    -e "s/@PYTHON@/python3 (>= 3.$minor), python3 (<< 3.$((minor + 1))~)/" \
    -e "s/@SIZE@/$(du -sk "$root" | cut -f1)/" "$here/debian/control" >"$root/DEBIAN/control"
for script in postinst prerm postrm; do
    install -m 0755 "$here/debian/$script" "$root/DEBIAN/$script"
done
printf '/etc/apparmor.d/v2g-agent\n/etc/apparmor.d/abstractions/v2g\n' >"$root/DEBIAN/conffiles"
gzip -9n "$root"/usr/share/man/man*/*
package=$here/../build/v2g-agent_${version}_$architecture.deb
# zstd: xz takes minutes for this much, and saves little.
dpkg-deb -Zzstd --root-owner-group --build "$root" "$package"
