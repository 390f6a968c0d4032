#!/usr/bin/env bash
# From a clean clone to a device that moves to a real guest and back: installs what is missing, builds, and runs the demo.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=installer/packages.sh
. "$root/installer/packages.sh"

usage() {
  cat <<USAGE
Usage: ${0##*/} [--stay]
Builds everything, boots the demo guest, and hands a keyboard and a mouse over and back, with the time of each step.
--stay leaves the daemon and the guest running and says what to try next. Works without root once the packages are there.
USAGE
}

options=()
for argument in "$@"; do
  case $argument in
    -h | --help) usage; exit 0 ;;
    --stay) options+=(--stay) ;;
    *) usage >&2; exit 2 ;;
  esac
done

[ "$(uname -s) $(uname -m)" = "Linux x86_64" ] || die "the demo runs on Linux on x86_64, and this is $(uname -s) on $(uname -m)."
require_dotnet
require_packages
say "Building the programs"
"$root/installer/build.sh" kvmswitchd kvmswitch kvmswitch-agent demo
say "Making the demo guest"
guest=$("$root/installer/demo/build-guest.sh")
exec dotnet "$root/artifacts/publish/demo/KvmSwitch.Demo.dll" --programs "$root/artifacts/publish" --guest "$guest" "${options[@]}"
