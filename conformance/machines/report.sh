# What the checks say. Sourced by checks.sh and isolated.sh.

failed=0
good() { printf 'good  %s\n' "$*"; }
bad() {
    printf 'BAD   %s\n' "$*"
    failed=1
}

# Waits until a command succeeds, for 20 s.
until_true() {
    for _ in $(seq 100); do
        "$@" >/dev/null 2>&1 && return 0
        sleep 0.2
    done
    return 1
}

version() { dpkg-query -W -f '${Package} ${Version}' "$1"; }
