#!/usr/bin/env bash
# Runs the tests. The last line is always "N passed, N failed, N skipped", the true totals of all tiers that ran.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=installer/packages.sh
. "$root/installer/packages.sh"

usage() {
  cat <<USAGE
Usage: ${0##*/} [quick|system|lab|windows]...
quick   unit, golden, property and architecture tests; no QEMU, under a minute
system  the programs as they are published, with real QEMU and the demo guest
Without an argument: quick and system.
USAGE
}

passed=0 failed=0 skipped=0 broken=0
results=$root/artifacts/test-results
readonly results

# Attribute $1 of the <assembly> element of xunit's report $2 (format: xunit.net/docs/format-xml-v3).
attribute() { sed 's/</\n</g' "$2" | sed -n "/^<assembly /s/.* $1=\"\([0-9]*\)\".*/\1/p" | head -n 1; }

# Name and reason of each skipped test in report $1.
skips() {
  tr '\n' ' ' < "$1" | sed 's/<test /\n<test /g' | sed -n 's/^<test .*result="Skip".*<reason>\(<!\[CDATA\[\)\{0,1\}\([^]<]*\).*/\2\x01&/p' \
    | sed 's/^\([^\x01]*\)\x01<test .*[^a-z]name="\([^"]*\)".*/  skipped \2: \1/; s/&quot;/"/g; s/&apos;/'\''/g; s/&lt;/</g; s/&gt;/>/g; s/&amp;/\&/g'
}

# Builds and runs test project $2 of tier $1, within $3 seconds, and adds its counts.
run_tier() {
  local tier=$1 project=$2 limit=$3 report=$results/$1.xml started=$SECONDS status=0
  rm -f "$report"
  say "== $tier: building"
  if ! dotnet build "$root/tests/$project/$project.csproj" -c Release --nologo -v quiet </dev/null >"$results/$tier.build.log" 2>&1; then
    grep -E 'error' "$results/$tier.build.log" | sort -u | head -n 20 >&2 || tail -n 20 "$results/$tier.build.log" >&2
    say "$tier: the tests did not build; the whole output is in ${results#"$root"/}/$tier.build.log."
    broken=1
    return
  fi
  say "== $tier: running"
  timeout --kill-after=10 "$limit" dotnet "$root/tests/$project/bin/Release/net10.0/$project.dll" \
    -result-xml "$report" -noColor -noLogo </dev/null >&2 || status=$?
  count "$tier" "$report" "$status" "$limit"
  say "== $tier: $((SECONDS - started)) s"
}

# Adds report $2 of tier $1, whose runner ended with status $3 (limit $4 s). No report, or no test in it, is a failure.
count() {
  local tier=$1 report=$2 status=$3 pass fail skip
  if [ "$status" = 124 ] || [ "$status" = 137 ]; then say "$tier: the tests were stopped after $4 s."; broken=1; fi
  if [ ! -s "$report" ]; then say "$tier: the runner ended with $status and left no report."; broken=1; return; fi
  pass=$(attribute passed "$report") fail=$(attribute failed "$report") skip=$(attribute skipped "$report")
  if [ $((${pass:-0} + ${fail:-0} + ${skip:-0})) = 0 ]; then say "$tier: no test ran."; broken=1; return; fi
  passed=$((passed + pass)) failed=$((failed + fail)) skipped=$((skipped + skip))
  skips "$report" >&2
  if [ "$status" != 0 ] && [ "$fail" = 0 ]; then say "$tier: the runner ended with $status although no test failed."; broken=1; fi
}

quick() { run_tier quick KvmSwitch.Tests 300; }

system() {
  if ! "$root/installer/build.sh" || ! KVMSWITCH_GUEST=$("$root/installer/demo/build-guest.sh"); then
    say "system: the programs or the demo guest could not be built, so no system test ran."
    broken=1
    return
  fi
  export KVMSWITCH_GUEST KVMSWITCH_PROGRAMS=$root/artifacts/publish
  run_tier system KvmSwitch.SystemTests 900
}

tiers=()
for argument in "$@"; do
  case $argument in
    -h | --help) usage; exit 0 ;;
    quick | system) tiers+=("$argument") ;;
    lab | windows) say "The $argument tier does not exist yet: run 'tests/run.sh quick' or 'tests/run.sh system'."; exit 2 ;;
    *) usage >&2; exit 2 ;;
  esac
done
if [ ${#tiers[@]} = 0 ]; then tiers=(quick system); fi

require_dotnet
require_packages
# No build server outlives the run.
export DOTNET_CLI_TELEMETRY_OPTOUT=1 DOTNET_NOLOGO=1 DOTNET_CLI_USE_MSBUILD_SERVER=0 MSBUILDDISABLENODEREUSE=1 UseSharedCompilation=false
mkdir -p "$results"
for tier in "${tiers[@]}"; do "$tier"; done
if [ "$broken" != 0 ] && [ "$failed" = 0 ]; then failed=1; fi
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ]
