# shellcheck shell=bash
# What building and testing need, and the Debian or Ubuntu package of each. Sourced by try.sh and tests/run.sh.

say() { printf '%s\n' "$*" >&2; }
die() { say "${0##*/}: $*"; exit 1; }
have() { PATH="$PATH:/usr/sbin:/sbin" command -v "$1" >/dev/null 2>&1; }
# No "grep -q": it ends at the first match, and ldconfig with it, as failed.
have_library() { PATH="$PATH:/usr/sbin:/sbin" ldconfig -p | grep -F "$1" >/dev/null; }

# Debian's package "busybox" is linked dynamically and can't be the guest's user land.
have_static_busybox() { [ -x /bin/busybox ] && ! ldd /bin/busybox >/dev/null 2>&1; }
have_japanese_font() { have fc-list && fc-list :lang=ja | grep . >/dev/null; }
have_c_headers() { [ -e /usr/include/stdio.h ]; }

# One line for each missing package.
missing_packages() {
  have qemu-system-x86_64 || echo qemu-system-x86
  have_static_busybox || echo busybox-static
  have cpio || echo cpio
  have mke2fs || echo e2fsprogs
  have gcc || echo gcc
  have_c_headers || echo libc6-dev
  have_library libssl.so.3 || echo openssl
  have xz || echo xz-utils
  have zstd || echo zstd
  have flock || echo util-linux
  have xorrisofs || echo xorriso
}

# The same for the tests that run on this machine, beside those.
missing_test_packages() {
  have dbus-daemon || echo dbus-daemon
}

# The same for the lab, beside the first.
missing_lab_packages() {
  have mmdebstrap || echo mmdebstrap
  have socat || echo socat
  [ -e /usr/share/keyrings/debian-archive-keyring.gpg ] || echo debian-archive-keyring
}

# The same for the windows tier, beside the first.
missing_windows_packages() {
  have wine || echo wine
  [ -x /usr/lib/wine/wine64 ] || have wine64 || echo wine64
  have Xvfb || echo xvfb
  have xdotool || echo xdotool
  have import || echo imagemagick
  have wixl || echo wixl
  have msiinfo || echo msitools
  have xorriso || echo xorriso
  have_japanese_font || echo fonts-vlgothic
  have faketime || echo faketime
}

# Prints the prefix that makes a command run as root ("" or "sudo -n"), or fails.
as_root() {
  if [ "$(id -u)" = 0 ]; then echo ""; return; fi
  if have sudo && sudo -n true 2>/dev/null; then echo "sudo -n"; return; fi
  return 1
}

require_dotnet() {
  if ! have dotnet; then
    die "the .NET 10 SDK is missing: install it with 'apt-get install dotnet-sdk-10.0' where your distribution has it, else from https://dot.net/download, and run this again."
  fi
  if ! dotnet --list-sdks | grep -q '^10\.'; then
    die "the .NET SDK here is not version 10 (found: $(dotnet --list-sdks | cut -d' ' -f1 | paste -sd' ' -)): install .NET SDK 10 from https://dot.net/download and run this again."
  fi
}

# Installs packages $*, or says in one sentence how to do it and fails.
install_packages() {
  local root command="apt-get install --no-install-recommends $*" log
  have apt-get || { say "${0##*/}: these are missing and there is no apt-get to install them: $*; install them with your own package manager and run this again."; return 1; }
  root=$(as_root) || { say "${0##*/}: some packages are missing; run 'sudo $command' and start this again."; return 1; }
  say "Installing $*"
  log=$(mktemp)
  # shellcheck disable=SC2086 # $root is zero or two words on purpose
  if ! { $root apt-get -q update && DEBIAN_FRONTEND=noninteractive $root $command -y -q; } </dev/null >"$log" 2>&1; then
    tail -n 20 "$log" >&2
    rm -f "$log"
    say "${0##*/}: apt-get could not install $*: see its output above."
    return 1
  fi
  rm -f "$log"
}

# Installs what the lists $2... name, or ends with status $1.
require_listed() {
  local status=$1 list missing
  shift
  mapfile -t missing < <(for list in "$@"; do "$list"; done)
  [ ${#missing[@]} = 0 ] || install_packages "${missing[@]}" || exit "$status"
}

require_packages() { require_listed 1 missing_packages; }
require_test_packages() { require_listed 1 missing_packages missing_test_packages; }

# These end with 3, "can't be had here".
require_lab_packages() { require_listed 3 missing_lab_packages; }
require_windows_packages() { require_listed 3 missing_windows_packages; }
