#!/usr/bin/env bash
# Packs an already built static program into an image, without a network and without a base image.
#
#   RUSTFLAGS="-C target-feature=+crt-static" \
#       cargo build --locked --profile dist --package dbintel --bin dbintel --target x86_64-unknown-linux-gnu
#   deploy/image.sh target/x86_64-unknown-linux-gnu/dist/dbintel
#
#   image.sh PROGRAM [NAME]     NAME is dbintel:VERSION unless given; VERSION is what the program says
#   CA_FILE=...                 certificates to trust, PEM; by default those of this machine
#   REVISION=...                for the label org.opencontainers.image.revision
#   SOURCE_DATE_EPOCH=...       time of the image; 0 by default, so that the same input gives the same image
#   BUILDAH_ISOLATION, STORAGE_DRIVER and the like are buildah's own; as root in a container BUILDAH_ISOLATION=chroot
#   is needed.
#
# Promises: a program that is not static is refused; what the image says of itself (user, ports, labels) is taken from
# Containerfile and written nowhere else; nothing is pushed; nothing is left behind but the image.
set -euo pipefail
umask 022

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
readonly here

die() { printf 'image: error: %s\n' "$*" >&2; exit 1; }
need() { command -v "$1" >/dev/null || die "$1 is missing: install $2"; }

main() {
    [ $# -ge 1 ] && [ $# -le 2 ] || die "usage: image.sh PROGRAM [NAME]"
    local program=$1 ca_file=${CA_FILE:-/etc/ssl/certs/ca-certificates.crt} version work
    need readelf binutils
    check_static "$program"
    grep -q 'BEGIN CERTIFICATE' "$ca_file" || die "no certificates in $ca_file: install ca-certificates, or set CA_FILE"
    need buildah "buildah (Debian: buildah crun fuse-overlayfs), or build with a network, see deploy/Containerfile"
    version=$("$program" --version) || die "$program does not run here"
    version=${version##* }

    work=$(mktemp -d)
    # shellcheck disable=SC2064  # the path is wanted as it is now
    trap "rm -rf '$work'" EXIT
    lay_out "$work" "$program" "$ca_file"
    buildah bud --quiet --layers=false --timestamp "${SOURCE_DATE_EPOCH:-0}" \
        --build-arg "VERSION=$version" --build-arg "REVISION=${REVISION:-unknown}" \
        --tag "${2:-dbintel:$version}" --file "$work/Containerfile" "$work"
    printf 'image: made %s\n' "${2:-dbintel:$version}" >&2
}

# check_static PROGRAM: a program that asks for a dynamic loader cannot run where there is none.
check_static() {
    [ -f "$1" ] && [ -x "$1" ] || die "$1 is no program"
    local headers
    headers=$(LC_ALL=C readelf --program-headers --wide "$1" 2>/dev/null) || die "$1 is no ELF program"
    case $headers in
        *INTERP*) die "$1 is not static: build it with RUSTFLAGS='-C target-feature=+crt-static' and --target" ;;
    esac
}

# lay_out DIRECTORY PROGRAM CA_FILE: the files of the image, and the part of Containerfile that describes it.
lay_out() {
    install -D -m 0755 "$2" "$1/image/dbintel"
    install -D -m 0644 "$here/../LICENSE" "$1/image/LICENSE"
    install -D -m 0644 "$3" "$1/image/etc/ssl/certs/ca-certificates.crt"
    printf 'hosts: files dns\n' >"$1/image/etc/nsswitch.conf"
    chmod 0644 "$1/image/etc/nsswitch.conf"
    sed -n '/^FROM scratch/,$ s/^COPY --from=build /COPY /; /^FROM scratch/,$ p' "$here/Containerfile" >"$1/Containerfile"
    grep -q '^COPY /image/ /$' "$1/Containerfile" || die "Containerfile has changed: expected COPY --from=build /image/ /"
}

main "$@"
