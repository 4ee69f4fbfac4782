# Shared by the setup scripts; sourced, never run.
#
# Promises: nothing here changes the machine. `install_packages` is the only function that may, and only when it
# is called as root.

# Bounds: how long to wait for another setup that holds the lock.
readonly LOCK_WAIT_SECONDS=600

say() { printf 'setup: %s\n' "$*" >&2; }
die() { printf 'setup: error: %s\n' "$*" >&2; exit 1; }

is_root() { [ "$(id -u)" -eq 0 ]; }

# Where everything downloaded is kept. As root it must not be below /root, because PostgreSQL refuses to run as
# root and its user could not reach it there. `testkit::cache` computes the same path.
cache_dir() {
    if [ -n "${DBINTEL_CACHE:-}" ]; then
        printf '%s\n' "$DBINTEL_CACHE"
    elif is_root; then
        printf '/var/cache/dbintel\n'
    else
        printf '%s/.cache/dbintel\n' "$HOME"
    fi
}

# One setup at a time per cache: takes file descriptor 9 for the life of the script.
lock_cache() {
    exec 9>"$1/.setup.lock"
    flock --wait "$LOCK_WAIT_SECONDS" 9 || die "another setup has held $1/.setup.lock for $LOCK_WAIT_SECONDS s"
}

# install_packages PACKAGE...: Debian or Ubuntu packages, or a message saying which ones a person must install.
install_packages() {
    command -v apt-get >/dev/null || die "please install: $* (only apt is known to this script)"
    is_root || die "please install as root: apt-get install $*"
    say "installing $*"
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null
}
