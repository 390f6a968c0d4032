#!/usr/bin/env bash
# The lab: a Linux host with real USB, VFIO and evdev, on a computer that has none of them. QEMU emulates the host (L1: Debian with systemd,
# an IOMMU, three USB controllers in groups of their own, the devices of the file "hardware"); kvmswitchd runs in it, and starts the guest
# (L2: the demo guest, with KVM) as it would on a user's computer. One lab at a time runs on a computer: whoever comes second waits.
#
#   installer/build.sh && tests/lab/lab.sh up && tests/lab/lab.sh guest      boots all of it, two minutes after the images are made
#   tests/lab/lab.sh run 'kvmswitch give left && lsusb -t'                   a command in L1
#   tests/lab/lab.sh key twin-left a                                         a person presses a key
#   tests/lab/lab.sh unplug stick; tests/lab/lab.sh plug stick               a person pulls a plug
#   tests/lab/lab.sh down
#
# To try another configuration, write it to /etc/kvmswitch/kvmswitch.toml in L1 (lab-configure there puts in the names of ports) and
# 'systemctl restart kvmswitchd'. After a change of our programs: installer/build.sh and 'lab.sh push', no new boot.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
# shellcheck source=installer/packages.sh
. "$root/installer/packages.sh"

usage() {
  cat <<USAGE
Usage: ${0##*/} COMMAND
up                   build what is missing and boot L1; prints its directory (qmp.sock, port, serial.log, qemu.pid)
guest                start kvmswitchd in L1 with kvmswitch.toml.in, boot the guest and pair it
run COMMAND          run a shell command in L1, with its output, errors and exit status (deadline: \$LAB_DEADLINE seconds, 60)
stream COMMAND       the same with input and output passed on at once
put FILE PATH        copy a file into L1
push                 copy the programs of artifacts/publish, and what L1 itself runs, into L1
qmp JSON             a command to the QEMU that L1 runs in, such as '{"execute": "query-status"}'
plug NAME            plug in, or pull out, a device of the file "hardware"
unplug NAME
key NAME KEY...      press and let go of keys (QEMU's names) on a keyboard
disc FILE | --none   put a disc (disc1.img to disc3.img in the lab's directory, or any image) into the drive, or take it out
alive                whether L1 still answers, within a minute: its exit status
autopsy              what an L1 that doesn't still tells: its processors, its console; it is dead afterwards
down                 end L1 and all in it
Exit status 3: the lab can't be had on this computer, with the reason on standard error.
USAGE
}

readonly memory=4096 unavailable=3 images=$root/artifacts/lab
readonly cache=${XDG_CACHE_HOME:-$HOME/.cache}/kvmswitch
patience=${LAB_PATIENCE:-1800}

cannot() { say "$*"; exit "$unavailable"; }

directory() {
  local run
  run=$(readlink "$images/run") && [ -e "$run/qemu.pid" ] && kill -0 "$(cat "$run/qemu.pid")" 2>/dev/null && echo "$run"
}
running() { directory || die "no lab runs: start it with 'tests/lab/lab.sh up'."; }

# Sends L1 one request (see l1/lab-serve): verb $1, deadline $2 in seconds, script $3, input of $4 bytes on standard input.
request() {
  local run port status output errors
  run=$(running)
  port=$(cat "$run/port")
  exec 8<>"/dev/tcp/127.0.0.1/$port"
  printf '%s %d %d %d\n%s' "$1" "$2" "$(printf %s "$3" | wc -c)" "$4" "$3" >&8
  if [ "$1" = stream ]; then
    cat <&0 >&8 &
    cat <&8
    kill $! 2>/dev/null || true
    return
  fi
  head -c "$4" >&8
  read -r status output errors <&8 || { exec 8>&-; return 125; }
  head -c "$output" <&8
  head -c "$errors" <&8 >&2
  exec 8>&-
  return "$status"
}

run() { request run "${LAB_DEADLINE:-60}" "$1" 0 </dev/null; }

# Copies file $1 to $2 in L1, whole or not at all.
put() {
  local size mode
  size=$(stat -L -c %s "$1")
  mode=$(stat -L -c %a "$1")
  request run 60 "cat > '$2.new' && chmod $mode '$2.new' && mv '$2.new' '$2'" "$size" <"$1"
}

# Prints the answer to a QMP command, and fails when it is an error.
qmp() {
  local run answer
  run=$(running)
  answer=$(printf '{"execute":"qmp_capabilities"}\n%s\n' "$1" | timeout 20 socat -t 10 - "UNIX-CONNECT:$run/tools.sock" \
    | { grep -v '"event":' || true; } | sed -n 3p)
  echo "$answer"
  [[ $answer == '{"return"'* ]]
}

# What QEMU's own monitor says to a line; it says nothing when all is well.
monitor() {
  local answer
  answer=$(qmp "{\"execute\": \"human-monitor-command\", \"arguments\": {\"command-line\": \"$1\"}}" | tr -d '\r')
  [ "$answer" = '{"return": ""}' ] || die "QEMU says to '$1': $answer"
}

hardware() { sed -n 's/^\([a-z][a-z-]*\)  *\([a-z0-9-]*\),\(.*\)$/\1 \2,id=\1,\3/p' "$here/hardware"; }
hardware_named() { hardware | sed -n "s/^$1 //p" | grep . || die "the file hardware has no '$1'."; }

arguments() {
  local name options slot=0
  # Without nested paging (npt), because an emulated processor now and then keeps a part of the guest's state when it leaves that, and without
  # five levels of pages, which cost time; about the rest of what keeps it from breaking down see l1/lab-start. A panic tells what all processors do, and a processor that
  # hangs for a minute ends in one, so that the tests need not wait for it.
  # shellcheck disable=SC2054 # the commas are QEMU's
  args=(
    -name kvmswitch-lab -daemonize -pidfile "$run/qemu.pid" -machine q35,kernel-irqchip=split,i8042=off -accel tcg,thread=multi -cpu max,la57=off -smp 2 -m "$memory"
    -nodefaults -no-user-config -display none -no-reboot -serial "file:$run/serial.log"
    -qmp "unix:$run/qmp.sock,server=on,wait=off" -qmp "unix:$run/tools.sock,server=on,wait=off"
    -device intel-iommu,intremap=on,caching-mode=on
    -kernel "$images/vmlinux" -initrd "$images/initrd.img"
    -append "console=ttyS0 quiet panic=-1 mitigations=off intel_iommu=on iommu=nopt tsc=reliable no_timer_check maxcpus=1 sysctl.net.core.bpf_jit_enable=0 kvm_amd.npt=0 unknown_nmi_panic softlockup_panic=1 watchdog_thresh=30 panic_print=0x40 net.ifnames=0 systemd.show_status=no audit=0 apparmor=0 cryptomgr.notests"
    -drive "if=none,id=root,file=$(realpath "$images/root.img"),format=raw,cache=unsafe,snapshot=on" -device virtio-blk-pci,drive=root
    -drive "if=none,id=programs,file=$images/programs.img,format=raw,cache=unsafe,snapshot=on" -device virtio-blk-pci,drive=programs
    -netdev user,id=net,net=10.77.0.0/24,dhcpstart=10.77.0.15,restrict=on,hostfwd=tcp:127.0.0.1:0-:2222 -device virtio-net-pci,netdev=net,romfile=
    -audiodev none,id=silence -blockdev "raw,node-name=stick-file,file.driver=file,file.filename=$run/stick.img"
    -device virtio-scsi-pci,id=scsi -device scsi-cd,id=drive,bus=scsi.0,serial=DRIVE1
  )
  for name in qemu-xhci,id=desk qemu-xhci,id=rear nec-usb-xhci,id=card; do
    slot=$((slot + 1))
    args+=(-device "pcie-root-port,id=slot$slot,bus=pcie.0,addr=0x$((slot + 9)),chassis=$slot,slot=$slot" -device "$name,bus=slot$slot,p2=8,p3=8")
  done
  while read -r name; do args+=(-device "bochs-display,id=$name,vgamem=4M"); done < <(sed -n 's/.*display=\([a-z-]*\).*/\1/p' "$here/hardware")
  while read -r name options; do args+=(-device "$options"); done < <(hardware)
}

boot() {
  local args=() started=$SECONDS disc
  run=$(mktemp -d "${TMPDIR:-/tmp}/kvmswitch-lab.XXXXXX")
  mkdir "$run/content"
  gcc -O2 -static -o "$run/content/eject" "$here/eject.c"
  for disc in stick disc1 disc2 disc3; do
    truncate -s 32M "$run/$disc.img"
    PATH="$PATH:/usr/sbin:/sbin" mke2fs -q -t ext2 -b 4096 -L "$disc" -d "$run/content" "$run/$disc.img"
  done
  arguments
  qemu-system-x86_64 "${args[@]}" </dev/null >&2 || die "QEMU could not start the lab: its words are above."
  mkdir -p "$images"
  ln -sfn "$run" "$images/run"
  sed -n 's/.*TCP\[HOST_FORWARD\]\s*[0-9]*\s*127\.0\.0\.1\s*\([0-9]*\).*/\1/p' \
    < <(qmp '{"execute": "human-monitor-command", "arguments": {"command-line": "info usernet"}}' | sed 's/\\r\\n/\n/g') > "$run/port"
  [ -s "$run/port" ] || die "QEMU told no port for the way into the lab."
  say "  L1 boots"
  # In a shell of its own, because bash ends when it can't connect.
  until (run 'systemctl is-system-running --wait >/dev/null; udevadm settle --timeout=50') 2>/dev/null; do
    if ! directory >/dev/null; then tail -n 20 "$run/serial.log" >&2; die "L1 ended while it booted: its console is above."; fi
    if grep -q 'lab-start: line' "$run/serial.log"; then tail -n 20 "$run/serial.log" >&2; die "L1 could not make itself ready: its console is above."; fi
    if [ $((SECONDS - started)) -gt 240 ]; then tail -n 20 "$run/serial.log" >&2; die "L1 was not up within 240 s: its console is above."; fi
    sleep 0.5
  done
  say "  L1 is up after $((SECONDS - started)) s"
}

up() {
  local available status=0
  if directory; then say "The lab runs already."; return; fi
  for program in qemu-system-x86_64 socat flock gcc; do have "$program" || cannot "$program is missing: run 'apt-get install qemu-system-x86 socat util-linux gcc libc6-dev' as root"; done
  available=$(($(sed -n 's/^MemAvailable: *\([0-9]*\) kB/\1/p' /proc/meminfo) / 1024))
  [ "$available" -gt $((memory + 1024)) ] || cannot "the lab needs $((memory + 1024)) MiB of free memory and $available are free"
  mkdir -p "$cache"
  # QEMU inherits the lock, so that it is held for as long as the lab lives.
  exec 9>>"$cache/lab.lock"
  flock -n 9 || { say "Waiting for the lab of another working tree to end"; flock -w "$patience" 9 || cannot "another working tree's lab ran for longer than $patience s"; }
  "$here/build-lab.sh" 9>&- >/dev/null || status=$?
  [ "$status" = 0 ] || exit "$status"
  boot
  echo "$run"
}

guest() { LAB_DEADLINE=600 run lab-guest >&2; }

alive() { timeout 60 "$here/lab.sh" run true; }

# At this interrupt that it doesn't know, L1's kernel prints what each processor does, and panics.
autopsy() {
  local run
  if run=$(directory); then
    qmp '{"execute": "query-status"}' || true
    qmp '{"execute": "human-monitor-command", "arguments": {"command-line": "info registers -a"}}' | sed 's/\\r\\n/\n/g' | grep -E 'CPU#|RIP=' || true
    qmp '{"execute": "inject-nmi"}' || true
    timeout 30 tail --pid="$(cat "$run/qemu.pid")" -f /dev/null || true
  fi
  tail -n 80 "$images/run/serial.log" | tr -d '\r'
}

down() {
  local run pid
  run=$(readlink "$images/run") || return 0
  if directory >/dev/null; then
    pid=$(cat "$run/qemu.pid")
    kill "$pid" 2>/dev/null || true
    timeout 20 tail --pid="$pid" -f /dev/null || kill -9 "$pid"
  fi
  rm -rf "$run" "$images/run"
}

case ${1-} in
  up | guest | alive | autopsy | down) "$1" ;;
  run | qmp) [ $# = 2 ] || { usage >&2; exit 2; }; "$1" "$2" ;;
  stream) [ $# = 2 ] || { usage >&2; exit 2; }; request stream "${LAB_DEADLINE:-60}" "$2" 0 ;;
  put) [ $# = 3 ] || { usage >&2; exit 2; }; put "$2" "$3" ;;
  push)
    for file in "$root"/artifacts/publish/kvmswitch{d,,-agent} "$here"/l1/lab-*; do put "$file" "/lab/bin/${file##*/}"; done
    put "$here/kvmswitch.toml.in" /lab/kvmswitch.toml.in
    ;;
  plug) monitor "device_add $(hardware_named "$2")" ;;
  unplug) monitor "device_del $2" ;;
  key)
    for key in "${@:3}"; do
      for down in true false; do
        qmp "{\"execute\": \"input-send-event\", \"arguments\": {\"device\": \"$2-view\", \"events\": [{\"type\": \"key\", \"data\": {\"down\": $down, \"key\": {\"type\": \"qcode\", \"data\": \"$key\"}}}]}}" >/dev/null \
          || die "QEMU did not take key $key for $2."
      done
    done
    ;;
  disc)
    if [ "$2" = --none ]; then qmp '{"execute": "eject", "arguments": {"id": "drive", "force": true}}'
    else qmp "{\"execute\": \"blockdev-change-medium\", \"arguments\": {\"id\": \"drive\", \"filename\": \"$(realpath "$2")\", \"format\": \"raw\", \"read-only-mode\": \"read-only\"}}"; fi
    ;;
  -h | --help) usage ;;
  *) usage >&2; exit 2 ;;
esac
