#!/usr/bin/env bash
# Makes the agent's Windows installer, artifacts/publish/kvmswitch-agent.msi, from the published KvmSwitch.Agent.exe.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
# shellcheck source=installer/packages.sh
. "$root/installer/packages.sh"

exe=$root/artifacts/publish/KvmSwitch.Agent.exe
version=$(sed -n 's|.*<VersionPrefix>\([0-9][0-9.]*\)</VersionPrefix>.*|\1|p' "$root/Directory.Build.props")
out=

usage() {
  cat <<USAGE
Usage: ${0##*/} [--exe FILE] [--version A.B.C] [OUT]
Makes OUT (default artifacts/publish/kvmswitch-agent.msi). FILE is the agent (default artifacts/publish/KvmSwitch.Agent.exe), the version is
Directory.Build.props' (${version:-none}). The same inputs make the same product: installing it twice changes nothing.
On Windows: msiexec /i kvmswitch-agent.msi [/qn] [CODE=ksw1-...] [HOST=address:port]
USAGE
}

while [ $# -gt 0 ]; do
  case $1 in
    -h | --help) usage; exit 0 ;;
    --exe) [ $# -ge 2 ] || die "--exe needs a file."; exe=$2; shift ;;
    --version) [ $# -ge 2 ] || die "--version needs a version."; version=$2; shift ;;
    -*) usage >&2; exit 2 ;;
    *) [ -z "$out" ] || { usage >&2; exit 2; }; out=$1 ;;
  esac
  shift
done
out=${out:-$root/artifacts/publish/kvmswitch-agent.msi}
[[ $version =~ ^[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,5}$ ]] || die "'$version' is no version that Windows Installer compares: write it like 1.2.3."
[ -f "$exe" ] || die "there is no agent at $exe: run 'installer/build.sh KvmSwitch.Agent.exe' first, or name one with --exe."
for program in wixl msibuild; do
  have "$program" || die "$program is missing: run 'apt-get install wixl msitools' as root."
done

# A GUID from all that goes in (RFC 9562, version 8), with $1 to tell two from each other.
guid() {
  local hash
  hash=$({ echo "$1 $version"; cat "$exe" "$here/agent.wxs" "${BASH_SOURCE[0]}"; } | sha256sum | tr a-f A-F)
  echo "${hash:0:8}-${hash:8:4}-8${hash:13:3}-A${hash:17:3}-${hash:20:12}"
}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
product=$(guid product) package=$(guid package)
# wixl finds files below the working directory alone.
cp "$exe" "$work/KvmSwitch.Agent.exe"
if ! (cd "$work" && wixl -a x64 -D Version="$version" -D ProductCode="$product" -o agent.msi "$here/agent.wxs") >"$work/log" 2>&1; then
  cat "$work/log" >&2
  die "wixl could not make the package."
fi
if grep WARNING "$work/log" >&2; then die "wixl left something out (above)."; fi

upgrade=$(sed -n 's/.*UpgradeCode="\([^"]*\)".*/{\1}/p' "$here/agent.wxs")
queries=()
sql() { queries+=("$1"); }

# The code of CODE= is kept out of logs, and both reach the part of msiexec that runs with rights.
sql "INSERT INTO \`Property\` (\`Property\`, \`Value\`) VALUES ('MsiHiddenProperties', 'CODE')"
sql "UPDATE \`Property\` SET \`Value\` = 'OLDERFOUND;NEWERFOUND;CODE;HOST' WHERE \`Property\` = 'SecureCustomProperties'"
sql "UPDATE \`Component\` SET \`Condition\` = 'CODE' WHERE \`Component\` = 'JoinCode'"
# Another build of the same version replaces what is there as well: 0x300 includes both ends. The old one goes before anything of the new.
sql "DELETE FROM \`Upgrade\` WHERE \`ActionProperty\` = 'OLDERFOUND'"
sql "INSERT INTO \`Upgrade\` (\`UpgradeCode\`, \`VersionMin\`, \`VersionMax\`, \`Attributes\`, \`ActionProperty\`) VALUES ('$upgrade', '0.0.0', '$version', 768, 'OLDERFOUND')"
sql "UPDATE \`InstallExecuteSequence\` SET \`Sequence\` = 1450 WHERE \`Action\` = 'RemoveExistingProducts'"
# An upgrade leaves the service registered: one that is deleted while somebody still looks at it can't be made anew (error 1072).
sql "UPDATE \`InstallExecuteSequence\` SET \`Condition\` = 'VersionNT AND NOT UPGRADINGPRODUCTCODE' WHERE \`Action\` = 'DeleteServices'"
# Windows Installer's MsiServiceConfig and MsiServiceConfigFailureActions tables. 3 is SERVICE_CONFIG_DELAYED_AUTO_START_INFO; action 1 restarts,
# after 1, 5 and then always 30 s, and a day without a failure forgets the earlier ones; the service sets the same itself. Event 5: when installed or reinstalled.
sql "CREATE TABLE \`MsiServiceConfig\` (\`MsiServiceConfig\` CHAR(72) NOT NULL, \`Name\` CHAR(255) NOT NULL LOCALIZABLE, \`Event\` INT NOT NULL, \`ConfigType\` LONG NOT NULL, \`Argument\` LONGCHAR, \`Component_\` CHAR(72) NOT NULL PRIMARY KEY \`MsiServiceConfig\`)"
sql "INSERT INTO \`MsiServiceConfig\` (\`MsiServiceConfig\`, \`Name\`, \`Event\`, \`ConfigType\`, \`Argument\`, \`Component_\`) VALUES ('AgentDelayed', 'KvmSwitchAgent', 5, 3, '1', 'Agent')"
sql "CREATE TABLE \`MsiServiceConfigFailureActions\` (\`MsiServiceConfigFailureActions\` CHAR(72) NOT NULL, \`Name\` CHAR(255) NOT NULL LOCALIZABLE, \`Event\` INT NOT NULL, \`ResetPeriod\` LONG, \`RebootMessage\` CHAR(255) LOCALIZABLE, \`Command\` CHAR(255) LOCALIZABLE, \`Actions\` LONGCHAR, \`DelayActions\` LONGCHAR, \`Component_\` CHAR(72) NOT NULL PRIMARY KEY \`MsiServiceConfigFailureActions\`)"
sql "INSERT INTO \`MsiServiceConfigFailureActions\` (\`MsiServiceConfigFailureActions\`, \`Name\`, \`Event\`, \`ResetPeriod\`, \`Actions\`, \`DelayActions\`, \`Component_\`) VALUES ('AgentRestart', 'KvmSwitchAgent', 5, 86400, '1[~]1[~]1', '1000[~]5000[~]30000', 'Agent')"
sql "INSERT INTO \`InstallExecuteSequence\` (\`Action\`, \`Condition\`, \`Sequence\`) VALUES ('MsiConfigureServices', 'VersionMsi >= \"5.00\"', 5850)"
msibuild "$work/agent.msi" -q "${queries[@]}" || die "msibuild could not add to the package what wixl has no element for."
msibuild "$work/agent.msi" -s 'KvmSwitch Agent' KvmSwitch 'x64;1033' "{$package}" || die "msibuild could not write the summary."

mkdir -p "$(dirname "$out")"
mv "$work/agent.msi" "$out"
say "  ${out#"$root"/}, version $version"
