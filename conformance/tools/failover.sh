#!/usr/bin/env bash
# Brings what conformance/failover needs into DIR (default .tools/failover beside go.mod): Patroni from PyPI in an
# environment of the system's Python, which the user postgres can read, and Debian's etcd, unpacked and not
# installed, so that no service begins to run.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
dir=${1:-$here/../../.tools/failover}
mkdir -p "$dir"
cd "$dir"
[ -e .installed ] && exit 0
if ! [ -x root/usr/bin/etcd ]; then
  echo "failover: unpacking Debian's etcd" >&2
  apt-get download -qq etcd-server
  dpkg -x etcd-server_*.deb root
  rm -f ./*.deb
fi
rm -rf python
echo "failover: installing Patroni" >&2
/usr/bin/python3 -m venv python
./python/bin/pip install --quiet --disable-pip-version-check 'patroni[etcd3]==4.1.5' 'psycopg[binary]==3.3.9'
touch .installed
