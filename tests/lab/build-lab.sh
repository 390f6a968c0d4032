#!/usr/bin/env bash
# Makes the lab's Linux host from packages: its kernel, an initramfs and a root file system, in the cache, and beside them a small
# disk with our own programs, which change more often. See lab.sh for what the lab is.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
# shellcheck source=installer/packages.sh
. "$root/installer/packages.sh"
# shellcheck source=installer/images.sh
. "$root/installer/images.sh"

usage() {
  cat <<USAGE
Usage: ${0##*/} [OUTDIR]
Makes OUTDIR (default artifacts/lab) with vmlinux, initrd.img and root.img, links into the cache (\${XDG_CACHE_HOME:-~/.cache}/kvmswitch),
and programs.img, made anew each time from artifacts/publish and artifacts/guest; prints OUTDIR. Exit status 3: it can't be had here, with
the reason on standard error.
USAGE
}

readonly suite=trixie unavailable=3
packages=(
  linux-image-amd64 tiny-initramfs systemd-sysv udev dbus udisks2 polkitd kmod procps strace eject e2fsprogs usbutils pciutils iproute2 util-linux busybox-static socat evtest
  qemu-system-x86 qemu-utils seabios ovmf libvirt-daemon-system libvirt-clients
)
# What no machine of the lab has. drivers/media stays, because sound over USB needs a part of it.
unused_modules=(
  drivers/gpu drivers/net/wireless drivers/net/ethernet drivers/infiniband drivers/isdn drivers/iio drivers/staging drivers/nfc
  drivers/bluetooth net/bluetooth sound/soc sound/pci fs/xfs fs/btrfs fs/ocfs2 fs/ceph fs/gfs2 drivers/media/usb drivers/media/pci
)
# Would only take the emulated processor's time. libvirt is started by the benchmark alone.
unused_units=(
  getty@tty1.service serial-getty@ttyS0.service apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer e2scrub_reap.service
  fstrim.timer systemd-timesyncd.service systemd-networkd.service libvirt-guests.service remote-fs.target systemd-random-seed.service
  systemd-journal-flush.service systemd-pstore.service ldconfig.service
)
idle_units=(
  libvirtd.service libvirtd.socket libvirtd-ro.socket libvirtd-admin.socket virtlogd.service virtlockd.service virtlogd.socket virtlogd-admin.socket virtlockd.socket
  virtlockd-admin.socket udisks2.service
)

cannot() { say "$*"; exit "$unavailable"; }

# The Debian archive that this machine's own packages come from.
mirror() {
  # shellcheck disable=SC2016 # apt-get's own variables
  apt-get indextargets --format '$(LABEL) $(COMPONENT) $(REPO_URI)' 'Created-By: Packages' 2>/dev/null | sed -n 's/^Debian main //p' | head -n 1
}

require() {
  [ "$(uname -m)" = x86_64 ] || cannot "the lab is made for x86_64 and this machine is $(uname -m)"
  prefix=$(as_root) || cannot "making the lab's root file system needs root, or sudo without a password"
  have mmdebstrap || cannot "mmdebstrap is missing: run 'apt-get install mmdebstrap' as root"
  archive=$(mirror)
  [ -n "$archive" ] || cannot "apt's sources name no Debian archive (or 'apt-get update' has not been run), and the lab's Linux host is Debian $suite"
  keyring=/usr/share/keyrings/debian-archive-keyring.gpg
  [ -e "$keyring" ] || cannot "$keyring is missing: run 'apt-get install debian-archive-keyring' as root"
}

# Unmounts what a bootstrap that was killed has left in directories $*, before anything is removed there: that would go on in the
# computer's own /proc and /sys.
unmount_below() {
  local directory as
  as=$(as_root) || return 0
  for directory; do
    # shellcheck disable=SC2086 # $as is zero or two words
    awk -v under="$directory/" 'index($2, under) == 1 { print $2 }' /proc/mounts | tac | xargs -r $as umount
  done
}

# Unpacks the packages into $1/tree.
bootstrap() {
  local list
  list=$(IFS=,; echo "${packages[*]}")
  # shellcheck disable=SC2086,SC2016 # $prefix is zero or two words; $1 is the hook's
  $prefix timeout 900 mmdebstrap --variant=minbase --mode=root --quiet --keyring="$keyring" \
    --aptopt='Apt::Install-Recommends "false"' --aptopt='Acquire::Languages "none"' \
    --dpkgopt='path-exclude=/usr/share/{doc,man,locale,info,qemu/edk2-a*,qemu/edk2-l*,qemu/edk2-r*}/*' --include="$list" \
    --customize-hook='chroot "$1" groupadd --system kvmswitch' \
    --customize-hook='chroot "$1" useradd --system --groups kvm --home-dir /nonexistent --no-create-home --shell /usr/sbin/nologin kvmswitch-qemu' \
    --customize-hook="chroot \"\$1\" systemctl --quiet mask ${unused_units[*]}" \
    --customize-hook="chroot \"\$1\" systemctl --quiet disable ${idle_units[*]}" \
    --customize-hook="copy-in '$here/l1/lab.service' /etc/systemd/system" \
    --customize-hook='chroot "$1" systemctl --quiet enable lab.service; mkdir "$1/lab"; echo lab > "$1/etc/hostname"; touch "$1/etc/.updated" "$1/var/.updated"' \
    "$suite" "$1/tree" "deb $archive $suite main" </dev/null >"$1/bootstrap.log" 2>&1
}

# Unpacks the modules, so that nothing is unpacked under emulation, without those that the lab never needs.
slim_modules() {
  local kernel directory
  kernel=$(echo "$1"/tree/usr/lib/modules/*)
  for directory in "${unused_modules[@]}"; do $prefix rm -rf "$kernel/kernel/$directory"; done
  # shellcheck disable=SC2086
  find "$kernel" -name '*.ko.xz' -print0 | $prefix xargs -0 -P "$(nproc)" -n 64 xz -d
  # shellcheck disable=SC2086
  $prefix chroot "$1/tree" depmod "${kernel##*/}"
}

pack_initramfs() {
  local tree=$1/initramfs name
  mkdir -p "$tree"/{bin,modules,proc,sys,dev,root}
  index_modules "$1/tree/usr/lib/modules"
  for name in virtio_pci virtio_blk ext4 crc32c_generic?; do add_module "$tree/modules" "$name"; done > "$tree/modules/order"
  cp "$1/tree/usr/bin/busybox" "$tree/bin/busybox"
  for name in sh mount insmod switch_root poweroff; do ln -s busybox "$tree/bin/$name"; done
  install -m 755 "$here/l1/init" "$tree/init"
  # QEMU puts it at the top of the memory, where SeaBIOS then writes what it found on the USB: zeros are no loss.
  { pack "$tree"; head -c 1M /dev/zero; } > "$1/initrd.img"
}

build_host() {
  local into=$1
  say "Making the lab's Linux host from Debian $suite (a few minutes, once)"
  if ! bootstrap "$into"; then
    tail -n 5 "$into/bootstrap.log" >&2
    $prefix rm -rf "$into/tree"
    cannot "mmdebstrap could not make Debian $suite from the archive of apt's sources; its last lines are above"
  fi
  say "  modules, initramfs and image"
  slim_modules "$into"
  pack_initramfs "$into"
  extract_kernel "$(echo "$into"/tree/boot/vmlinuz-*)" "$into/vmlinux"
  truncate -s 2500M "$into/root.img"
  # shellcheck disable=SC2086
  PATH="$PATH:/usr/sbin:/sbin" $prefix mke2fs -q -t ext4 -O ^has_journal -d "$into/tree" "$into/root.img"
  # shellcheck disable=SC2086
  $prefix rm -rf "$into/tree" "$into/initramfs"
  $prefix chown "$(id -u):$(id -g)" "$into/root.img"
}

# Makes the small disk with what is ours.
build_programs() {
  local out=$1 tree
  tree=$(mktemp -d "$out/programs.XXXXXX")
  mkdir -p "$tree"/{bin,guest}
  cp "$root"/artifacts/publish/{kvmswitchd,kvmswitch,kvmswitch-agent} "$tree/bin/"
  install -m 755 "$here"/l1/lab-* "$tree/bin/"
  cp -L "$root"/artifacts/guest/{vmlinux,initrd.img,cmdline,state.img} "$tree/guest/"
  cp "$here/kvmswitch.toml.in" "$here/l1/kvmswitchd.service" "$root/installer/linux/60-kvmswitch-input.rules" "$tree/"
  rm -f "$out/programs.img"
  truncate -s 256M "$out/programs.img"
  PATH="$PATH:/usr/sbin:/sbin" mke2fs -q -t ext4 -O ^has_journal -E root_owner=0:0 -d "$tree" "$out/programs.img"
  rm -rf "$tree"
}

case ${1-} in
  -h | --help) usage; exit 0 ;;
  -*) usage >&2; exit 2 ;;
esac
out=${1:-$root/artifacts/lab}
[ -x "$root/artifacts/publish/kvmswitchd" ] || die "there are no programs in artifacts/publish: run installer/build.sh first."
mkdir -p "$out"
"$root/installer/demo/build-guest.sh" >/dev/null

cache=${XDG_CACHE_HOME:-$HOME/.cache}/kvmswitch
mkdir -p "$cache"
# With the lock of the builds, so that none that still runs is hit.
(flock 9; unmount_below "$cache"/building-lab.*) 9>>"$cache/build-lab.lock"
open_cache lab "the lab"
trap 'if [ -n "$work" ]; then unmount_below "$work"; rm -rf --one-file-system "$work"; fi' EXIT
# The recipe, without the packages' versions: they are those of the day it is made.
target=$cache/lab-$({
  declare -p suite packages unused_modules unused_units idle_units
  declare -f bootstrap slim_modules pack_initramfs build_host
  cat "$root/installer/images.sh" "$here/l1/init" "$here/l1/lab.service"
} | digest)
if [ ! -d "$target" ]; then require; fi
build_once "$target" build_host
link_into "$out" "$target"/{vmlinux,initrd.img,root.img}
build_programs "$out"
# Two recipes are kept for other working trees.
find "$cache" -maxdepth 1 -name 'lab-*' -printf '%T@ %p\n' | sort -rn | tail -n +3 | cut -d' ' -f2- | xargs -r rm -rf
echo "$out"
