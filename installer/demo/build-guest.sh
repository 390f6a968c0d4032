#!/usr/bin/env bash
# Makes the demo guest from the distribution's own packages, in the cache and without root: nothing is installed.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
# shellcheck source=installer/packages.sh
. "$root/installer/packages.sh"
# shellcheck source=installer/images.sh
. "$root/installer/images.sh"

usage() {
  cat <<USAGE
Usage: ${0##*/} [--agent FILE | --no-agent] [OUTDIR]
Makes OUTDIR (default artifacts/guest) with vmlinux, initrd.img, cmdline and state.img, links into the cache
(\${XDG_CACHE_HOME:-~/.cache}/kvmswitch), and prints its path. Copy state.img before you give it to a guest: it is an empty
ext4 file system for the agent's state. FILE is the agent to put in (default artifacts/publish/kvmswitch-agent).
USAGE
}

# Loaded before the guest says that it is ready, and after. "?" marks what a kernel may lack or have built in under another name.
early_modules=(virtio_pci virtio_blk ext4 crc32c_generic? virtio_net xhci_pci usbhid hid_generic evdev button? qemu_fw_cfg? pvpanic_pci? pvpanic?)
late_modules=(usb_storage sd_mod snd_usb_audio? virtio_console? atkbd? psmouse? uas? virtio_scsi? sr_mod? isofs?)
command_line='console=ttyS0 panic=-1 quiet tsc=reliable no_timer_check mitigations=off cryptomgr.notests audit=0 apparmor=0'

# The newest generic kernel's image package, and the packages with its modules (Ubuntu splits them).
kernel_packages() {
  local meta image version
  for meta in linux-image-generic linux-image-amd64; do
    image=$(apt-cache depends "$meta" 2>/dev/null | sed -n 's/^ *Depends: \(linux-image-[0-9].*\)$/\1/p' | head -n 1)
    if [ -n "$image" ]; then break; fi
  done
  [ -n "$image" ] || return 1
  echo "$image"
  version=${image#linux-image-}
  apt-cache --names-only search "^linux-modules-(extra-)?${version//./\\.}\$" | cut -d' ' -f1
}

# Prints the key of apt's lists, then the kernel's packages with their versions, from memory when the lists have not changed.
resolve_kernel() {
  local memory=$cache/kernel key packages
  key=$(stat -c '%n %y' /var/lib/apt/lists 2>&1 | digest)
  if [ -e "$memory" ] && [ "$(head -n 1 "$memory")" = "$key" ]; then cat "$memory"; return; fi
  mapfile -t packages < <(kernel_packages)
  if [ ${#packages[@]} -gt 0 ]; then
    { echo "$key"; apt-cache show --no-all-versions "${packages[@]}" | awk '$1 == "Package:" { p = $2 } $1 == "Version:" { print p "=" $2 }' | sort -u; } > "$memory.new"
    mv "$memory.new" "$memory"
  fi
  [ -e "$memory" ] || die "apt knows no generic kernel (linux-image-amd64 or linux-image-generic): run 'apt-get update' as root and try again."
  cat "$memory"
}

# Unpacks the kernel packages into $1.
unpack_kernel() {
  local into=$1 deb
  shift
  say "Downloading $*"
  (cd "$into" && apt-get -q -o APT::Sandbox::User=root download "$@" >apt.log 2>&1) \
    || { tail -n 5 "$into/apt.log" >&2; die "apt-get could not download $*: run 'apt-get update' as root and try again."; }
  for deb in "$into"/*.deb; do dpkg-deb -x "$deb" "$into/kernel"; done
}

# Makes the part that needs no agent in $1: vmlinux, cmdline, base.cpio, state.img.
build_base() {
  local into=$1 tree=$1/tree name
  shift
  unpack_kernel "$into" "$@"
  index_modules "$into/kernel"
  mkdir -p "$tree"/{bin,modules,proc,sys,dev,run,tmp,etc/acpi/PWRF,var/lib/kvmswitch-agent}
  for name in "${early_modules[@]}"; do add_module "$tree/modules" "$name"; done > "$tree/modules/early"
  for name in "${late_modules[@]}"; do add_module "$tree/modules" "$name"; done > "$tree/modules/late"
  cp /bin/busybox "$tree/bin/busybox"
  for name in $(/bin/busybox --list); do [ "$name" = busybox ] || ln -s busybox "$tree/bin/$name"; done
  printf '#!/bin/sh\nexec poweroff -f\n' > "$tree/etc/acpi/PWRF/00000080"
  chmod 755 "$tree/etc/acpi/PWRF/00000080"
  pack "$tree" > "$into/base.cpio"
  extract_kernel "$(echo "$into"/kernel/boot/vmlinuz-*)" "$into/vmlinux"
  echo "$command_line" > "$into/cmdline"
  truncate -s 16M "$into/state.img"
  PATH="$PATH:/usr/sbin:/sbin" mke2fs -q -t ext4 -L kvmswitch "$into/state.img"
  rm -rf "$into/kernel" "$tree" "$into"/*.deb "$into/apt.log"
}

# The shared libraries of program $1, and OpenSSL, which .NET opens by name.
libraries() {
  ldd "$1" | sed -n 's/^[^/]*\(\/[^ ]*\) (0x.*$/\1/p'
  local name path
  for name in libssl.so.3 libcrypto.so.3; do
    path=$(PATH="$PATH:/usr/sbin:/sbin" ldconfig -p | sed -n "s|^\s*$name (libc6,x86-64.*=> \(.*\)\$|\1|p" | head -n 1)
    [ -n "$path" ] || die "$name is missing: run 'apt-get install openssl' as root."
    echo "$path"
    ldd "$path" | sed -n 's/^[^/]*\(\/[^ ]*\) (0x.*$/\1/p'
  done
}

# Makes initrd.img in $1 from the base in $2, the init and the agent $3 (or nothing).
build_initrd() {
  local into=$1 base=$2 agent=$3 tree=$1/tree library
  mkdir -p "$tree/bin"
  cp "$here/guest/init" "$tree/init"
  chmod 755 "$tree/init"
  if [ -n "$agent" ]; then
    cp "$agent" "$tree/bin/kvmswitch-agent"
    chmod 755 "$tree/bin/kvmswitch-agent"
    libraries "$agent" | sort -u | while read -r library; do
      mkdir -p "$tree${library%/*}"
      cp -L "$library" "$tree$library"
    done
  fi
  { cat "$base"; pack "$tree"; } > "$into/initrd.img"
  rm -rf "$tree"
}

agent=$root/artifacts/publish/kvmswitch-agent out=
while [ $# -gt 0 ]; do
  case $1 in
    -h | --help) usage; exit 0 ;;
    --agent) [ $# -ge 2 ] || die "--agent needs a file."; agent=$2; shift ;;
    --no-agent) agent= ;;
    -*) usage >&2; exit 2 ;;
    *) [ -z "$out" ] || { usage >&2; exit 2; }; out=$1 ;;
  esac
  shift
done
out=${out:-$root/artifacts/guest}
if [ -n "$agent" ] && [ ! -x "$agent" ]; then die "there is no agent at $agent: run installer/build.sh first, or name one with --agent."; fi
[ "$(uname -m)" = x86_64 ] || die "the demo guest is made for x86_64 and this machine is $(uname -m)."
if [ ! -x /bin/busybox ] || ldd /bin/busybox >/dev/null 2>&1; then die "/bin/busybox is missing or not static: run 'apt-get install busybox-static' as root."; fi

open_cache guest "the demo guest"

kernel=$(resolve_kernel)
mapfile -t packages < <(tail -n +2 <<<"$kernel")
base=$cache/guest-$({ printf '%s\n' "${packages[@]}"; cat "${BASH_SOURCE[0]}" "$root/installer/images.sh" /bin/busybox; } | digest)
build_once "$base" build_base "${packages[@]}"
if [ -n "$agent" ]; then inputs=("$agent"); else inputs=(); fi
guest=$base/agent-$({ cat "$here/guest/init" "${inputs[@]}"; } | digest)
build_once "$guest" build_initrd "$base/base.cpio" "$agent"

link_into "$out" "$base"/{vmlinux,cmdline,state.img} "$guest/initrd.img"
# Five agents' images are kept for other working trees, the least recently used ones go.
find "$base" -maxdepth 1 -name 'agent-*' -printf '%T@ %p\n' | sort -rn | tail -n +6 | cut -d' ' -f2- | xargs -r rm -rf
echo "$out"
