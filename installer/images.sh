# shellcheck shell=bash
# How images of machines are made from the distribution's packages, in the cache. Sourced, after packages.sh, by build-guest.sh and the lab.

digest() { sha256sum | cut -c1-12; }

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

# Finds the modules below kernel directory $1 for add_module.
index_modules() {
  declare -gA modules=() builtin=()
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

# Prints directory $1 as an initramfs.
pack() { (cd "$1" && find . -mindepth 1 | LC_ALL=C sort | cpio -o -H newc -R 0:0 --quiet); }

# Makes the cache and takes the lock of images of kind $1 ($2 for people); sets $cache. What an ended build left behind goes, and what
# no one has used for a month.
open_cache() {
  cache=${XDG_CACHE_HOME:-$HOME/.cache}/kvmswitch
  work=
  mkdir -p "$cache"
  trap 'if [ -n "$work" ]; then rm -rf "$work"; fi' EXIT
  exec 9>"$cache/build-$1.lock"
  flock -n 9 || { say "Waiting for another build of $2"; flock 9; }
  rm -rf "$cache/building-$1".*
  find "$cache" -maxdepth 1 -name "$1-*" -mtime +30 -exec rm -rf {} +
  kind=$1
}

# Builds directory $1 by running the rest of the arguments with a directory to fill; whole or not at all.
build_once() {
  local target=$1
  shift
  if [ -d "$target" ]; then touch "$target"; return; fi
  work=$(mktemp -d "$cache/building-$kind.XXXXXX")
  "$1" "$work" "${@:2}"
  mv -T "$work" "$target"
  work=
}

# Links the files $2... into directory $1, each at once.
link_into() {
  local out=$1 file
  shift
  mkdir -p "$out"
  for file in "$@"; do
    ln -sfn "$file" "$out/.${file##*/}.$$"
    mv -T "$out/.${file##*/}.$$" "$out/${file##*/}"
  done
}
