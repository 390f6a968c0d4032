#!/bin/sh
# Installs the KvmSwitch agent from this disc, pairs it with the host (by the file kvmswitch.join beside this one) and starts it.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
program=/usr/local/bin/kvmswitch-agent
unit=/etc/systemd/system/kvmswitch-agent.service

die() { echo "setup.sh: $*" >&2; exit 1; }

# One function, so that the shell has read all of it before the disc goes away.
set_up() {
  [ "$(id -u)" = 0 ] || die "run it as root: sudo sh $here/setup.sh"
  [ -f "$here/kvmswitch-agent" ] || die "kvmswitch-agent is not beside this script; ask the host for the disc again: kvmswitch guest tools"
  mkdir -p "${program%/*}"
  cp "$here/kvmswitch-agent" "$program.new"
  chmod 755 "$program.new"
  mv "$program.new" "$program"
  "$program" join

  if [ ! -d /run/systemd/system ]; then
    echo "There is no systemd here: have '$program run' started as root at boot."
    exit 0
  fi

  cat > "$unit" <<UNIT
[Unit]
Description=KvmSwitch agent: links this guest to the host that runs it
After=network.target

[Service]
ExecStart=$program run
Restart=always
RestartSec=1

[Install]
WantedBy=multi-user.target
UNIT
  systemctl daemon-reload
  systemctl enable kvmswitch-agent.service
  systemctl restart kvmswitch-agent.service
}

set_up
exit
