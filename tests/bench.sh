#!/usr/bin/env bash
# Measures the programs against their floors in one run and prints a table.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=installer/packages.sh
. "$root/installer/packages.sh"

case ${1-} in
  -h | --help) echo "Usage: ${0##*/} [ARGUMENT...]   (arguments go to tests/KvmSwitch.Benchmarks)"; exit 0 ;;
esac

require_dotnet
require_packages
export DOTNET_CLI_TELEMETRY_OPTOUT=1 DOTNET_NOLOGO=1 DOTNET_CLI_USE_MSBUILD_SERVER=0 MSBUILDDISABLENODEREUSE=1 UseSharedCompilation=false
"$root/installer/build.sh" kvmswitchd kvmswitch kvmswitch-agent demo
KVMSWITCH_GUEST=$("$root/installer/demo/build-guest.sh")
export KVMSWITCH_GUEST KVMSWITCH_PROGRAMS=$root/artifacts/publish
project=$root/tests/KvmSwitch.Benchmarks
log=$root/artifacts/build/benchmarks.log
if ! dotnet build "$project/KvmSwitch.Benchmarks.csproj" -c Release --nologo -v quiet </dev/null >"$log" 2>&1; then
  grep error "$log" | sort -u | head -n 20 >&2
  die "the benchmarks did not build: the whole output is in ${log#"$root"/}."
fi
exec dotnet "$project/bin/Release/net10.0/KvmSwitch.Benchmarks.dll" "$@" </dev/null
