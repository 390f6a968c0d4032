#!/usr/bin/env bash
# Makes the demo guest from the distribution's own packages, in the cache and without root: nothing is installed.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)

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
late_modules=(usb_storage sd_mod snd_usb_audio? virtio_console? atkbd? uas?)
command_line='console=ttyS0 panic=-1 quiet tsc=reliable no_timer_check mitigations=off cryptomgr.notests audit=0 apparmor=0'

say() { printf '%s\n' "$*" >&2; }
die() { say "${0##*/}: $*"; exit 1; }
digest() { sha256sum | cut -c1-12; }

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

# Writes module $2 and all that it needs into $1, decompressed, and prints their names in load order.
add_module() {
  local into=$1 name=${2%\?} file need
  name=${name//-/_}
  if [ -e "$into/$name.ko" ]; then return; fi
  file=${modules[$name]:-}
  if [ -z "$file" ]; then
    if [[ $2 == *\? ]] || [ -n "${builtin[$name]:-}" ]; then return; fi
    die "the kernel package has no module $name."
  fi
  case $file in
    *.xz) xz -dc "$file" ;;
    *.zst) zstd -dqc "$file" ;;
    *) cat "$file" ;;
  esac > "$into/$name.ko"
  for need in $(tr '\0' '\n' < "$into/$name.ko" | sed -n 's/^depends=//p' | tr ',' ' '); do add_module "$into" "$need"; done
  echo "$name.ko"
}

index_modules() {
  local file name
  while read -r file; do
    name=${file##*/}; name=${name%%.ko*}; modules[${name//-/_}]=$file
  done < <(find "$1" -name '*.ko' -o -name '*.ko.xz' -o -name '*.ko.zst')
  while read -r file; do
    name=${file##*/}; name=${name%.ko}; builtin[${name//-/_}]=1
  done < <(find "$1" -name modules.builtin -exec cat {} +)
}

# Prints the ELF kernel inside bzImage $1. QEMU enters it directly (PVH), which spares the guest three seconds of unpacking
# itself under emulation. Offsets: Documentation/arch/x86/boot.rst, setup_sects, payload_offset and payload_length; the
# payload's last four bytes are its unpacked size.
elf_kernel() {
  local sectors offset length
  sectors=$(od -An -tu1 -j497 -N1 "$1")
  offset=$(od -An -tu4 -j584 -N4 "$1")
  length=$(od -An -tu4 -j588 -N4 "$1")
  payload() { dd if="$1" iflag=skip_bytes,count_bytes skip=$(((sectors + 1) * 512 + offset)) count="$2" bs=1M status=none; }
  case $(payload "$1" 4 | od -An -tx1 | tr -d ' ') in
    fd377a58) payload "$1" $((length - 4)) | xz -dc ;;
    28b52ffd) payload "$1" $((length - 4)) | zstd -dqc ;;
    1f8b*) payload "$1" $((length - 4)) | gzip -dc ;;
    *) return 1 ;;
  esac
}

# Copies the kernel to $2: unpacked where this script knows how and the kernel has the PVH entry (an ELF note), else as it is.
extract_kernel() {
  if elf_kernel "$1" > "$2" 2>/dev/null && LC_ALL=C grep -q -a -P '\x04\x00\x00\x00[\x04\x08]\x00\x00\x00\x12\x00\x00\x00Xen\x00' "$2"; then return; fi
  cp "$1" "$2"
}

pack() { (cd "$1" && find . -mindepth 1 | LC_ALL=C sort | cpio -o -H newc -R 0:0 --quiet); }

# Makes the part that needs no agent in $1: vmlinux, cmdline, base.cpio, state.img.
build_base() {
  local into=$1 tree=$1/tree name
  shift
  declare -gA modules=() builtin=()
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

# Builds directory $1 by running the rest of the arguments with a directory to fill; whole or not at all.
build_once() {
  local target=$1
  shift
  if [ -d "$target" ]; then touch "$target"; return; fi
  work=$(mktemp -d "$cache/building.XXXXXX")
  "$1" "$work" "${@:2}"
  mv -T "$work" "$target"
  work=
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

cache=${XDG_CACHE_HOME:-$HOME/.cache}/kvmswitch
mkdir -p "$cache"
work=
trap 'if [ -n "$work" ]; then rm -rf "$work"; fi' EXIT
exec 9>"$cache/build-guest.lock"
flock -n 9 || { say "Waiting for another build of the demo guest"; flock 9; }
# What an ended build left behind, and what no one has used for a month.
rm -rf "$cache"/building.*
find "$cache" -maxdepth 1 -name 'guest-*' -mtime +30 -exec rm -rf {} +

kernel=$(resolve_kernel)
mapfile -t packages < <(tail -n +2 <<<"$kernel")
base=$cache/guest-$({ printf '%s\n' "${packages[@]}"; cat "${BASH_SOURCE[0]}" /bin/busybox; } | digest)
build_once "$base" build_base "${packages[@]}"
if [ -n "$agent" ]; then inputs=("$agent"); else inputs=(); fi
guest=$base/agent-$({ cat "$here/guest/init" "${inputs[@]}"; } | digest)
build_once "$guest" build_initrd "$base/base.cpio" "$agent"

mkdir -p "$out"
for file in "$base"/{vmlinux,cmdline,state.img} "$guest/initrd.img"; do
  ln -sfn "$file" "$out/.${file##*/}.$$"
  mv -T "$out/.${file##*/}.$$" "$out/${file##*/}"
done
# Five agents' images are kept for other working trees, the least recently used ones go.
find "$base" -maxdepth 1 -name 'agent-*' -printf '%T@ %p\n' | sort -rn | tail -n +6 | cut -d' ' -f2- | xargs -r rm -rf
echo "$out"
