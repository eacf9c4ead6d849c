#!/bin/sh
# Runs a TypeScript file on the Node that package.json pins, whatever Node the machine has, and installs what is missing first.
#   with-node.sh run FILE [ARGUMENT...]   needs the runtime packages
#   with-node.sh dev FILE [ARGUMENT...]   needs the development packages too
# node_modules/.cairn-installed says what is installed: the kind, the platform, and the checksum of package-lock.json.
set -eu

mode=$1
file=$2
shift 2
root=$(cd "$(dirname "$0")/.." && pwd -P)
modules=$root/node_modules
stamp=$modules/.cairn-installed
lock=$root/.install-lock
node=$modules/.bin/node
wait_s_max=600

say() { echo "cairn: $*" >&2; }

# True when what is installed is enough for this mode. Sets $identity and $kind.
installed() {
  kind=none
  [ -x "$node" ] || return 1
  [ -f "$root/package-lock.json" ] || return 0 # installed as a package: npm has put everything in place
  identity="$(uname -sm) $(cksum <"$root/package-lock.json")"
  [ -f "$stamp" ] || return 1
  { read -r stamped_kind && read -r stamped_identity; } <"$stamp" || return 1
  [ "$stamped_identity" = "$identity" ] || return 1
  kind=$stamped_kind
  [ "$kind" = full ] || [ "$mode" = run ]
}

# One install at a time; a lock whose owner is gone is taken over.
take_lock() {
  waited_s=0
  while ! mkdir "$lock" 2>/dev/null; do
    [ -d "$lock" ] || { say "cannot write to $root"; exit 1; }
    [ $waited_s -gt 0 ] || say 'waiting for another install to finish'
    owner=$(cat "$lock/pid" 2>/dev/null || echo '')
    if [ $waited_s -ge 5 ] && { [ -z "$owner" ] || ! kill -0 "$owner" 2>/dev/null; }; then
      mv "$lock" "$lock.$$" 2>/dev/null && rm -rf "$lock.$$"
      continue
    fi
    [ $waited_s -lt $wait_s_max ] || { say "still locked after $wait_s_max s: remove $lock"; exit 1; }
    sleep 1
    waited_s=$((waited_s + 1))
  done
  echo $$ >"$lock/pid"
  trap 'rm -rf "$lock"' EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM
}

install() {
  command -v npm >/dev/null 2>&1 || { say 'npm is needed to install (any Node from 18 on brings it)'; exit 1; }
  # `npm install`, not `npm ci`: a registry that lacks the package of some other platform must not stop this one.
  # A runtime install is completed in place: a server may be running from it.
  case $mode-$kind in
    run-*) what='runtime packages'; arguments='install --no-save --omit=dev' ;;
    dev-runtime) what='development packages'; arguments='install --no-save --include=dev' ;;
    *) what='packages'; arguments='install --no-save --include=dev' ;;
  esac
  say "installing $what with npm (once)"
  mkdir -p "$modules"
  log=$lock/npm.log
  # shellcheck disable=SC2086 # the arguments are words
  if ! (cd "$root" && npm $arguments --ignore-scripts --loglevel=error --no-audit --no-fund >"$log" 2>&1 </dev/null); then
    cat "$log" >&2
    say 'the install failed'
    exit 1
  fi
  [ -x "$node" ] || { say "there is no Node 26 package for this platform ($(uname -sm))"; exit 1; }
  if [ "$mode" = dev ]; then kind=full; else kind=runtime; fi
  printf '%s\n%s\n' "$kind" "$(uname -sm) $(cksum <"$root/package-lock.json")" >"$stamp.$$"
  mv "$stamp.$$" "$stamp"
}

if ! installed; then
  take_lock
  installed || install
  rm -rf "$lock"
  trap - EXIT INT TERM
fi

if [ "$mode" = dev ]; then
  PATH=$modules/.bin:$PATH
  export PATH
fi
# What Node has stripped of types and compiled is kept: the next start is quicker, and each thread needs less memory.
NODE_COMPILE_CACHE=${NODE_COMPILE_CACHE:-$modules/.cache/node}
export NODE_COMPILE_CACHE
exec "$node" "$file" "$@"
