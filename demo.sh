#!/usr/bin/env bash
# Builds lambent, starts a cloud, deploys examples/hello with the real Serverless Framework 3, calls the
# function over HTTP and shows its log. Everything is made in a folder of its own and removed at the end.
set -euo pipefail
cd "$(dirname "$0")"
work=$(mktemp -d)
server=
finish() {
  code=$?
  if [ -n "$server" ] && kill -0 "$server" 2>/dev/null; then
    kill "$server"
    wait "$server" || true
  fi
  if [ $code != 0 ] && [ -s "$work/server.log" ]; then
    echo "== the demo failed; the cloud's last lines:" >&2
    tail -20 "$work/server.log" >&2
  fi
  rm -rf "$work"
  exit $code
}
trap finish EXIT
step() { printf '\n== %s\n' "$*"; }

for tool in go node npm curl; do
  command -v $tool >/dev/null || { echo "demo: $tool is missing; on Debian: apt-get install golang nodejs npm curl" >&2; exit 1; }
done

step "building bin/lambent"
CGO_ENABLED=0 go build -trimpath -o bin/lambent ./cmd/lambent

clients=${LAMBENT_TOOLS:-.tools}
tools=$clients/demo
version=3.40.0
if [ -e "$clients/.installed" ] && grep -qs "\"version\": \"$version\"" "$clients/npm/node_modules/serverless/package.json"; then
  tools=$clients/npm # the tests have brought it
elif [ "$(cat "$tools/.installed" 2>/dev/null || true)" != "$version" ]; then # also after a run that was cut off
  step "installing the Serverless Framework 3 (once)"
  rm -rf "$tools"
  mkdir -p "$tools"
  echo "{\"private\":true,\"dependencies\":{\"serverless\":\"$version\"}}" >"$tools/package.json"
  (cd "$tools" && npm install --no-audit --no-fund --no-package-lock --loglevel=error)
  echo "$version" >"$tools/.installed"
fi
serverless=$(cd "$tools" && pwd)/node_modules/serverless/bin/serverless.js

step "starting a cloud with its data in $work/data"
export LAMBENT_DATA=$work/data
bin/lambent serve --listen 127.0.0.1:0 >"$work/ready" 2>"$work/server.log" &
server=$!
for _ in $(seq 300); do
  if [ -s "$work/ready" ] || ! kill -0 "$server" 2>/dev/null; then break; fi
  sleep 0.1
done
[ -s "$work/ready" ] || { echo "demo: the cloud does not serve" >&2; exit 1; }
cat "$work/ready"

step "deploying examples/hello: lambent exec -- serverless deploy"
cp -r examples/hello "$work/hello"
export SLS_TELEMETRY_DISABLED=1 SLS_NOTIFICATIONS_MODE=off
lambent=$PWD/bin/lambent
cd "$work/hello"
"$lambent" exec -- node "$serverless" deploy
url=$("$lambent" status --json | node -p 'JSON.parse(require("fs").readFileSync(0)).apis[0].url + "hello"')

step "calling $url"
answer=$(curl -sS --max-time 30 "$url?name=Lambent")
echo "$answer"

step "the function's log: lambent logs hello-dev-hello"
log=
for _ in $(seq 50); do
  log=$("$lambent" logs hello-dev-hello 2>/dev/null || true)
  case $log in *"saying hello to Lambent"*) break ;; esac
  sleep 0.1
done
echo "$log"

[ "$answer" = '{"message":"Hello, Lambent!"}' ] || { echo "demo: the answer is not the one expected" >&2; exit 1; }
case $log in *"saying hello to Lambent"*) ;; *) echo "demo: the log does not hold the function's line" >&2; exit 1 ;; esac
echo
echo "demo: ok"
