#!/usr/bin/env bash
# Publishes every program into artifacts/publish: kvmswitchd, kvmswitch and kvmswitch-agent as native programs, KvmSwitch.Agent.exe for Windows, and the demo.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=installer/packages.sh
. "$root/installer/packages.sh"

publish=$root/artifacts/publish
state=$root/artifacts/build

usage() {
  cat <<USAGE
Usage: ${0##*/} [PROGRAM...]
Publishes the programs (default: all of kvmswitchd kvmswitch kvmswitch-agent KvmSwitch.Agent.exe demo) into artifacts/publish, and skips those whose
sources have not changed.
USAGE
}

project_of() {
  case $1 in
    kvmswitchd) echo host/KvmSwitch.Daemon ;;
    kvmswitch) echo host/KvmSwitch.Cli ;;
    kvmswitch-agent | KvmSwitch.Agent.exe) echo guest-agent/KvmSwitch.Agent ;;
    demo) echo installer/demo/KvmSwitch.Demo ;;
    *) usage >&2; exit 2 ;;
  esac
}

# Project directory $1 and those that it refers to, one a line, relative to the root.
projects() {
  local reference
  echo "$1"
  sed -n 's/.*<ProjectReference Include="\([^"]*\)".*/\1/p' "$root/$1"/*.csproj | while read -r reference; do
    projects "$(realpath -m --relative-to="$root" "$root/$1/${reference%/*}")"
  done
}

# One hash of all that program $1 is made from: names and contents of sources, build files and the SDK's version.
inputs() {
  local directories
  mapfile -t directories < <(projects "$1" | sort -u)
  (
    cd "$root"
    dotnet_version
    sha256sum Directory.Build.props Directory.Build.targets Directory.Packages.props .editorconfig global.json installer/build.sh
    find "${directories[@]}" \( -name bin -o -name obj \) -prune -o -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum
  ) | sha256sum | cut -d' ' -f1
}

dotnet_version() { find "$(dirname "$(realpath "$(command -v dotnet)")")/sdk" -mindepth 1 -maxdepth 1 -printf '%f\n' 2>/dev/null | sort || true; }

# Publishes project $2 into $3; native where its project says so.
publish_program() {
  local options=(-c Release --nologo -v quiet -o "$3" -p:DebugType=none -p:UseSharedCompilation=false --artifacts-path "$state/intermediate")
  case $1 in
    demo) ;;
    *.exe) options+=(-r win-x64) ;;
    *)
      options+=(-r linux-x64 -p:StripSymbols=true)
      if ! have clang; then options+=(-p:CppCompilerAndLinker=gcc); fi
      ;;
  esac
  dotnet publish "$root/$2" "${options[@]}" </dev/null
}

build() {
  local program=$1 project stamp hash started log work
  project=$(project_of "$program")
  stamp=$state/$program.stamp
  hash=$(inputs "$project")
  if [ -e "$publish/$program" ] && [ "$(cat "$stamp" 2>/dev/null)" = "$hash" ]; then say "  $program is up to date"; return; fi
  started=$SECONDS
  log=$state/$program.log
  work=$state/$program.new
  rm -rf "$work" "$stamp"
  if ! publish_program "$program" "$project" "$work" >"$log" 2>&1; then
    grep -E 'error|warning' "$log" | sort -u | head -n 20 >&2 || tail -n 20 "$log" >&2
    die "$program did not build: the whole output is in ${log#"$root"/}."
  fi
  if grep -E 'warning IL[0-9]+' "$log" | sort -u >&2; then die "$program has trimming or AOT warnings (above)."; fi
  if [ "$program" = demo ]; then
    rm -rf "$publish/demo"
    mv "$work" "$publish/demo"
  else
    mv "$work/$program" "$publish/$program"
    rm -rf "$work"
  fi
  echo "$hash" > "$stamp"
  say "  $program built in $((SECONDS - started)) s"
}

programs=()
for argument in "$@"; do
  case $argument in
    -h | --help) usage; exit 0 ;;
    *) project_of "$argument" >/dev/null; programs+=("$argument") ;;
  esac
done
if [ ${#programs[@]} = 0 ]; then programs=(kvmswitchd kvmswitch kvmswitch-agent KvmSwitch.Agent.exe demo); fi

require_dotnet
have gcc || have clang || die "a C compiler is missing: run 'apt-get install gcc libc6-dev' as root."
export DOTNET_CLI_TELEMETRY_OPTOUT=1 DOTNET_NOLOGO=1 DOTNET_CLI_USE_MSBUILD_SERVER=0 MSBUILDDISABLENODEREUSE=1
mkdir -p "$publish" "$state"
exec 9>"$state/lock"
flock -n 9 || { say "Waiting for another build of this tree"; flock 9; }
for program in "${programs[@]}"; do build "$program" 9>&-; done
