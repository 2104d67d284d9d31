#!/usr/bin/env bash
# Installs what the tests need: Debian packages when they are missing (as root), the Python and npm clients
# into DIR (default .tools beside go.mod). It does nothing when all is there already.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
dir=${1:-$here/../../.tools}
mkdir -p "$dir"
dir=$(cd "$dir" && pwd)

say() { printf 'tools: %s\n' "$*" >&2; }

packages=()
command -v curl >/dev/null || packages+=(curl)
command -v zip >/dev/null || packages+=(zip)
command -v ip >/dev/null || packages+=(iproute2)
[ -x /usr/bin/python3 ] || packages+=(python3)
python3 -c 'import venv, ensurepip' 2>/dev/null || packages+=(python3-venv)
command -v node >/dev/null || packages+=(nodejs npm)
ls /usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1 || packages+=(postgresql) # 15 in Debian 12
if [ ${#packages[@]} -gt 0 ]; then
  say "installing Debian packages: ${packages[*]}"
  sudo=; [ "$(id -u)" = 0 ] || sudo=sudo
  $sudo apt-get update -qq
  DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -qq --no-install-recommends "${packages[@]}" >/dev/null
fi

want=$(cat "$here/requirements.txt" "$here/package.json" "$here/install.sh" | sha256sum)
if [ "$(cat "$dir/.installed" 2>/dev/null || true)" = "$want" ]; then
  exit 0
fi
say "installing the Python clients (AWS CLI, boto3)"
python3 -m venv "$dir/python"
"$dir/python/bin/pip" install --quiet --disable-pip-version-check -r "$here/requirements.txt"
say "installing the npm clients (Serverless Framework 2 and 3, osls, AWS SDK for JavaScript)"
mkdir -p "$dir/npm"
cp "$here/package.json" "$dir/npm/"
(cd "$dir/npm" && npm install --no-audit --no-fund --no-package-lock --loglevel=error >/dev/null)
mkdir -p "$dir/bin"
shim() { printf '#!/bin/sh\nexec %s "$@"\n' "$2" >"$dir/bin/$1"; chmod +x "$dir/bin/$1"; }
shim serverless2 "node $dir/npm/node_modules/serverless2/bin/serverless.js"
shim serverless3 "node $dir/npm/node_modules/serverless/bin/serverless.js"
shim osls "node $dir/npm/node_modules/osls/bin/serverless.js"
shim aws "$dir/python/bin/python $dir/python/bin/aws"
shim boto-python "$dir/python/bin/python"
printf '%s\n' "$want" >"$dir/.installed"
say "ready in $dir"
