#!/usr/bin/env bash
# Installs what the tests need: Debian packages when they are missing (as root), the Python, npm, Go and Java clients
# into DIR (default .tools beside go.mod). It does nothing when all is there already, and begins the clients
# anew when an earlier run did not come to its end.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
dir=${1:-$here/../../.tools}
mkdir -p "$dir"
dir=$(cd "$dir" && pwd)

say() { printf 'tools: %s\n' "$*" >&2; }
has() { command -v "$1" >/dev/null || [ -x "/usr/sbin/$1" ] || [ -x "/sbin/$1" ]; }

packages=()
has curl || packages+=(curl ca-certificates)
has zip || packages+=(zip)
has ip || packages+=(iproute2)
has node || packages+=(nodejs)
has npm || packages+=(npm) # Debian's nodejs comes without it
[ -x /usr/bin/python3 ] || packages+=(python3) # the one that functions run on
python3 -c 'import venv, ensurepip' 2>/dev/null || packages+=(python3-venv)
has javac || packages+=(default-jdk-headless)
has mvn || packages+=(maven)
has ruby || packages+=(ruby)
/usr/bin/python3 -c 'import venv, ensurepip' 2>/dev/null || packages+=(python3-venv)
has autoreconf || packages+=(autoconf automake)
has libtoolize || packages+=(libtool)
has cmake || packages+=(cmake)
has g++ || packages+=(g++)
has make || packages+=(make)
has mcs || packages+=(mono-mcs)
has mono || packages+=(mono-runtime)
ls /usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1 || packages+=(postgresql) # 15 in Debian 12
if [ ${#packages[@]} -gt 0 ]; then
  as_root=()
  if [ "$(id -u)" != 0 ]; then
    if ! has sudo || ! has apt-get; then
      say "missing, and this user cannot install them: ${packages[*]}"
      exit 1
    fi
    as_root=(sudo)
  fi
  say "installing Debian packages: ${packages[*]}"
  "${as_root[@]}" apt-get update -qq
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${packages[@]}" >/dev/null
fi
if ! node -e 'const [a, b] = process.versions.node.split("."); process.exit(a > 20 || a == 20 && b >= 19 ? 0 : 1)'; then
  say "the clients need Node.js 20.19 or newer, and $(command -v node) is $(node --version)"
  exit 1
fi

mkdir -p "$dir/bin"
shim() { printf '#!/bin/sh\nexec %s "$@"\n' "$2" >"$dir/bin/$1.new"; chmod +x "$dir/bin/$1.new"; mv "$dir/bin/$1.new" "$dir/bin/$1"; }
shim serverless2 "node '$dir/npm/node_modules/serverless2/bin/serverless.js'"
shim serverless3 "node '$dir/npm/node_modules/serverless/bin/serverless.js'"
shim osls "node '$dir/npm/node_modules/osls/bin/serverless.js'"
shim aws "'$dir/python/bin/python' '$dir/python/bin/aws'"
shim boto-python "'$dir/python/bin/python'"
shim java-uploads "java -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -cp '$dir/java/classes:$dir/java/*' Uploads"

# What lambent runtimes add brings, and what the functions of the tests carry with them.
runtimes=$here/../../runtimes
want=$(cat "$runtimes"/java/pom.xml "$runtimes"/java/testdata/pom.xml "$runtimes"/dotnet/client/Client.cs | sha256sum)
if [ "$(cat "$dir/.installed-runtimes" 2>/dev/null || true)" != "$want" ]; then
  rm -rf "$dir/.installed-runtimes" "$dir/runtimes" "$dir/java-events"
  say "installing AWS's runtime client for Java"
  mvn -q -B -f "$runtimes/java/pom.xml" dependency:copy-dependencies -DoutputDirectory="$dir/runtimes/java" -DincludeScope=runtime >/dev/null
  mvn -q -B -f "$runtimes/java/testdata/pom.xml" dependency:copy-dependencies -DoutputDirectory="$dir/java-events" -DincludeScope=runtime >/dev/null
  say "compiling the runtime client for .NET"
  mkdir -p "$dir/runtimes/dotnet"
  mcs -optimize+ -r:System.Runtime.Serialization.dll -out:"$dir/runtimes/dotnet/lambent-runtime.exe" "$runtimes/dotnet/client/Client.cs"
  printf '%s\n' "$want" >"$dir/.installed-runtimes"
fi

clients=$here/../clients
# AWS's own runtime clients, as functions that bring their runtime have them. The one for Node.js builds its native
# part, which takes some minutes and what autotools and cmake need.
want=$(cat "$clients"/ric/*/* | sha256sum)
if [ "$(cat "$dir/.installed-ric" 2>/dev/null || true)" != "$want" ]; then
  rm -rf "$dir/.installed-ric" "$dir/ric" "$dir/ric-build"
  mkdir -p "$dir/ric/go" "$dir/ric/node" "$dir/ric/python" "$dir/ric-build"
  say "building AWS's runtime clients (Go, Python, Node.js: some minutes)"
  (cd "$clients/ric/go" && CGO_ENABLED=0 go build -o "$dir/ric/go/bootstrap" .)
  # For the Python that functions see, which may be another than the first in PATH.
  /usr/bin/python3 -m venv "$dir/ric-build/python"
  "$dir/ric-build/python/bin/pip" install --quiet --disable-pip-version-check --target "$dir/ric/python" -r "$clients/ric/python/requirements.txt"
  cp "$clients/ric/node/package.json" "$dir/ric-build/"
  (cd "$dir/ric-build" && npm install --no-audit --no-fund --no-package-lock --loglevel=error >/dev/null)
  (cd "$dir/ric-build/node_modules/aws-lambda-ric" && cp -r bin dist package.json "$dir/ric/node/")
  rm -rf "$dir/ric-build"
  printf '%s\n' "$want" >"$dir/.installed-ric"
fi

want=$(cat "$here/requirements.txt" "$here/package.json" "$clients"/go/* "$clients"/java/* | sha256sum)
if [ "$(cat "$dir/.installed" 2>/dev/null || true)" = "$want" ]; then
  exit 0
fi
rm -rf "$dir/.installed" "$dir/python" "$dir/npm" "$dir/java"
say "installing the Python clients (AWS CLI, boto3)"
python3 -m venv "$dir/python"
"$dir/python/bin/pip" install --quiet --disable-pip-version-check -r "$here/requirements.txt"
say "installing the npm clients (Serverless Framework 2 and 3, osls, AWS SDK for JavaScript)"
mkdir -p "$dir/npm"
cp "$here/package.json" "$dir/npm/"
(cd "$dir/npm" && npm install --no-audit --no-fund --no-package-lock --loglevel=error >/dev/null)
say "building the clients in Go and Java (AWS SDK for Go v2 and for Java v2)"
(cd "$clients/go" && CGO_ENABLED=0 go build -o "$dir/bin/go-uploads" .)
(cd "$clients/java" && mvn -q -B dependency:copy-dependencies -DoutputDirectory="$dir/java" -DincludeScope=runtime >/dev/null &&
  javac -cp "$dir/java/*" -d "$dir/java/classes" Uploads.java)
printf '%s\n' "$want" >"$dir/.installed"
say "ready in $dir"
