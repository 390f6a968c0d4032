#!/usr/bin/env bash
# Runs the tests. The last line is always "N passed, N failed, N skipped", the true totals of all tiers that ran.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=installer/packages.sh
. "$root/installer/packages.sh"

usage() {
  cat <<USAGE
Usage: ${0##*/} [quick|system|lab|windows]... [--chaos N]
quick   unit, golden, property and architecture tests; no QEMU, under a minute
system  the programs as they are published, with real QEMU and the demo guest
lab     a whole Linux host with real USB in QEMU, our programs in it, and their guest in that (see tests/lab/lab.sh); 5 GiB of memory
windows the Windows agent, its tray and its installer under Wine, on a screen of their own (screenshots in artifacts/test-results/windows)
Without an argument: all four, in this order. The lab's chaos has N steps (default 40); KVMSWITCH_LAB_SEED=S takes other ones.
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

# Builds test project $2 of tier $1.
build_tests() {
  local tier=$1 project=$2
  say "== $tier: building"
  if dotnet build "$root/tests/$project/$project.csproj" -c Release --nologo -v quiet </dev/null >"$results/$tier.build.log" 2>&1; then return; fi
  grep -E 'error' "$results/$tier.build.log" | sort -u | head -n 20 >&2 || tail -n 20 "$results/$tier.build.log" >&2
  say "$tier: the tests did not build; the whole output is in ${results#"$root"/}/$tier.build.log."
  broken=1
  return 1
}

# Runs the tests of project $2 that xunit's options $4... select as tier $1, within $3 seconds, and adds their counts.
run_tests() {
  local tier=$1 project=$2 limit=$3 report=$results/$1.xml started=$SECONDS status=0
  rm -f "$report"
  say "== $tier: running"
  timeout --kill-after=10 "$limit" dotnet "$root/tests/$project/bin/Release/net10.0/$project.dll" \
    -result-xml "$report" -noColor -noLogo "${@:4}" </dev/null >&2 || status=$?
  count "$tier" "$report" "$status" "$limit"
  say "== $tier: $((SECONDS - started)) s"
}

# The tests of report $1 that failed, as -method takes them.
failures() {
  tr '\n' ' ' < "$1" | sed 's/<test /\n<test /g' | sed -n 's/^<test .*result="Fail".* type="\([^"]*\)" method="\([^"]*\)".*/\1.\2/p' | sort -u
}

# How many tests of report $1 passed whose method has no failure with other data.
passed_whole() {
  tr '\n' ' ' < "$1" | sed 's/<test /\n<test /g' | sed -n 's/^<test .*result="Pass".* type="\([^"]*\)" method="\([^"]*\)".*/\1.\2/p' \
    | grep -cvxF -f <(failures "$1") || true
}

# On an emulated computer any deadline passes now and then: the few tests of tier $1 that failed there run once more, by themselves, and
# those that pass then are told. One that fails again has failed.
second_attempt() {
  local tier=$1 project=$2 report=$results/$1.xml again=$results/$1.again.xml first=() name before after recovered
  if [ ! -s "$report" ]; then return; fi
  mapfile -t first < <(failures "$report")
  if [ ${#first[@]} = 0 ] || [ ${#first[@]} -gt 5 ]; then return; fi
  say "== $tier: once more: ${first[*]##*.}"
  rm -f "$again"
  timeout --kill-after=10 900 dotnet "$root/tests/$project/bin/Release/net10.0/$project.dll" \
    -result-xml "$again" -noColor -noLogo $(printf -- '-method %s ' "${first[@]}") </dev/null >&2 || true
  if [ ! -s "$again" ] || [ "$(attribute total "$again")" -lt ${#first[@]} ]; then return; fi
  for name in "${first[@]}"; do
    if ! failures "$again" | grep -qxF "$name"; then say "  $tier: passed only at the second attempt: $name"; fi
  done
  before=$(attribute failed "$report") after=$(attribute failed "$again")
  recovered=$((${before:-0} - ${after:-${before:-0}}))
  if [ "$recovered" -gt 0 ]; then passed=$((passed + recovered)) failed=$((failed - recovered)); fi
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

# Most of these tests wait for something most of the time, so more run at once than there are processors.
quick() { if build_tests quick KvmSwitch.Tests; then run_tests quick KvmSwitch.Tests 300 -maxThreads 2x; fi; }

system() {
  if ! "$root/installer/build.sh" kvmswitchd kvmswitch kvmswitch-agent demo || ! KVMSWITCH_GUEST=$("$root/installer/demo/build-guest.sh"); then
    say "system: the programs or the demo guest could not be built, so no system test ran."
    broken=1
    return
  fi
  export KVMSWITCH_GUEST KVMSWITCH_PROGRAMS=$root/artifacts/publish
  build_tests system KvmSwitch.SystemTests || return 0
  run_tests system KvmSwitch.SystemTests 900 -namespace- 'KvmSwitch.SystemTests.Lab*' -namespace- 'KvmSwitch.SystemTests.Windows*'
  second_attempt system KvmSwitch.SystemTests
}

# The emulated computer of the lab breaks down now and then, and what its tests say from then on is no word about the programs: those that
# have not passed run on a new one. $1 is the number of the attempt, the rest selects the tests.
lab() {
  local attempt=${1-1} selection=(-namespace 'KvmSwitch.SystemTests.Lab*') status=0 log=$results/lab.log
  if [ $# -gt 1 ]; then selection=("${@:2}"); fi
  if ! "$root/installer/build.sh" kvmswitchd kvmswitch kvmswitch-agent; then
    say "lab: the programs could not be built, so no test of the lab ran."
    broken=1
    return
  fi
  build_tests lab KvmSwitch.SystemTests || return 0
  { (require_lab_packages) && "$root/tests/lab/lab.sh" down && "$root/tests/lab/lab.sh" up; } >/dev/null 2> >(tee "$log" >&2) || status=$?
  case $status in
    0) ;;
    3)
      say "  skipped lab: $(tail -n 1 "$log")"
      skipped=$((skipped + 1))
      return
      ;;
    *)
      if [ "$attempt" -lt 3 ]; then say "lab: it did not come up; once more"; lab $((attempt + 1)) "${selection[@]}"; return; fi
      say "lab: the lab did not come up, so no test of it ran."
      broken=1
      return
      ;;
  esac
  trap '"$root/tests/lab/lab.sh" down' EXIT
  local before=("$passed" "$failed" "$broken") breakdown
  run_tests lab KvmSwitch.SystemTests $((1500 + 15 * ${KVMSWITCH_LAB_CHAOS:-40})) "${selection[@]}"
  breakdown=$(grep -a -m 1 'Kernel panic' "$root/artifacts/lab/run/serial.log" || "$root/tests/lab/lab.sh" alive 2>/dev/null || echo 'it answers no more')
  if [ -n "$breakdown" ]; then "$root/tests/lab/lab.sh" autopsy 2>&1 | tee "$results/lab.autopsy.log" | tail -n 60 >&2 || true
  else second_attempt lab KvmSwitch.SystemTests; fi
  "$root/tests/lab/lab.sh" down
  trap - EXIT
  if [ -z "$breakdown" ]; then return; fi
  say "  the lab's emulated computer broke down (${breakdown#*] })"
  if [ "$attempt" = 3 ]; then broken=1; return; fi
  if [ -s "$results/lab.xml" ]; then
    mapfile -t selection < <(failures "$results/lab.xml" | sed 's/^/-method\n/')
    before[0]=$((before[0] + $(passed_whole "$results/lab.xml")))
  fi
  passed=${before[0]} failed=${before[1]} broken=${before[2]}
  if [ ${#selection[@]} = 0 ]; then return; fi
  say "  what has not passed runs on a new one"
  lab $((attempt + 1)) "${selection[@]}"
}

windows() {
  local status=0 log=$results/windows.log
  (require_windows_packages) 2> >(tee "$log" >&2) || status=$?
  if [ "$status" != 0 ]; then
    say "  skipped windows: $(tail -n 1 "$log")"
    skipped=$((skipped + 1))
    return
  fi
  if ! "$root/installer/build.sh" || ! KVMSWITCH_GUEST=$("$root/installer/demo/build-guest.sh"); then
    say "windows: the programs could not be built, so no test of the Windows side ran."
    broken=1
    return
  fi
  if ! dotnet publish "$root/tests/KvmSwitch.PipeBridge" -c Release -r win-x64 --self-contained -o "$root/artifacts/tests/pipe-bridge" --nologo -v quiet </dev/null >"$results/windows.bridge.log" 2>&1; then
    tail -n 20 "$results/windows.bridge.log" >&2
    say "windows: the pipe's bridge could not be built, so no test of the Windows side ran."
    broken=1
    return
  fi
  export KVMSWITCH_GUEST KVMSWITCH_PROGRAMS=$root/artifacts/publish
  build_tests windows KvmSwitch.SystemTests || return 0
  run_tests windows KvmSwitch.SystemTests 900 -namespace 'KvmSwitch.SystemTests.Windows*'
  second_attempt windows KvmSwitch.SystemTests
}

tiers=()
while [ $# -gt 0 ]; do
  case $1 in
    -h | --help) usage; exit 0 ;;
    quick | system | lab | windows) tiers+=("$1") ;;
    --chaos)
      case ${2-} in '' | *[!0-9]*) say "--chaos needs a number of steps, as in '--chaos 500'."; exit 2 ;; esac
      export KVMSWITCH_LAB_CHAOS=$2
      shift
      ;;
    *) usage >&2; exit 2 ;;
  esac
  shift
done
if [ ${#tiers[@]} = 0 ]; then tiers=(quick system lab windows); fi

require_dotnet
require_test_packages
# No build server outlives the run.
export DOTNET_CLI_TELEMETRY_OPTOUT=1 DOTNET_NOLOGO=1 DOTNET_CLI_USE_MSBUILD_SERVER=0 MSBUILDDISABLENODEREUSE=1 UseSharedCompilation=false
mkdir -p "$results"
for tier in "${tiers[@]}"; do "$tier"; done
if [ "$broken" != 0 ] && [ "$failed" = 0 ]; then failed=1; fi
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ]
