#!/usr/bin/env bash
# Measures the programs against their floors in one run and prints a table.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=installer/packages.sh
. "$root/installer/packages.sh"

usage() {
  cat <<USAGE
Usage: ${0##*/} [--rounds N] [--json FILE]
       ${0##*/} lab [--rounds N] [--json FILE] [--only PART,PART...]
The first measures the programs with QEMU's virtual devices and the demo guest. The second measures the routes with the kernel's real
interfaces in the lab (see tests/lab/lab.sh), beside QMP by hand and libvirt; parts are usb, controller, optical, input, relay and virsh.
Exit status 3: the lab can't be had on this computer, with the reason on standard error.
USAGE
}

build_benchmarks() {
  local log=$root/artifacts/build/benchmarks.log
  if ! dotnet build "$project/KvmSwitch.Benchmarks.csproj" -c Release --nologo -v quiet </dev/null >"$log" 2>&1; then
    grep error "$log" | sort -u | head -n 20 >&2
    die "the benchmarks did not build: the whole output is in ${log#"$root"/}."
  fi
}

# What runs in the lab's host, linked statically because its libraries are others than here. The lab must be up.
put_lab_programs() {
  local name
  for name in stopwatch keys; do
    gcc -O2 -static -o "$root/artifacts/build/lab-$name" "$root/tests/lab/bench/$name.c"
    "$root/tests/lab/lab.sh" put "$root/artifacts/build/lab-$name" "/lab/bin/lab-$name"
  done
}

lab() {
  require_lab_packages
  "$root/installer/build.sh" kvmswitchd kvmswitch kvmswitch-agent
  build_benchmarks
  "$root/tests/lab/lab.sh" down
  trap '"$root/tests/lab/lab.sh" down' EXIT
  "$root/tests/lab/lab.sh" up >/dev/null
  put_lab_programs
  dotnet "$project/bin/Release/net10.0/KvmSwitch.Benchmarks.dll" lab "$@" </dev/null
}

case ${1-} in
  -h | --help) usage; exit 0 ;;
esac

require_dotnet
require_packages
export DOTNET_CLI_TELEMETRY_OPTOUT=1 DOTNET_NOLOGO=1 DOTNET_CLI_USE_MSBUILD_SERVER=0 MSBUILDDISABLENODEREUSE=1 UseSharedCompilation=false
project=$root/tests/KvmSwitch.Benchmarks
if [ "${1-}" = lab ]; then
  shift
  lab "$@"
  exit
fi
"$root/installer/build.sh" kvmswitchd kvmswitch kvmswitch-agent demo
KVMSWITCH_GUEST=$("$root/installer/demo/build-guest.sh")
export KVMSWITCH_GUEST KVMSWITCH_PROGRAMS=$root/artifacts/publish
build_benchmarks
exec dotnet "$project/bin/Release/net10.0/KvmSwitch.Benchmarks.dll" "$@" </dev/null
