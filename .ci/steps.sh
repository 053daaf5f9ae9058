# Steps with headings and times, and the tools that they need. Sourced by run and nightly, in the root
# of the repository.

export CARGO_TERM_COLOR=never
if [[ ${CI:-} == true ]]; then
    # Everything is built once, and no debugger looks at it: a panic names file and line all the same.
    export CARGO_INCREMENTAL=0 CARGO_PROFILE_DEV_DEBUG=0
fi

target=${CARGO_TARGET_DIR:-target}
cache=${GCE_AUTH_CI_CACHE:-${XDG_CACHE_HOME:-${HOME:-/tmp}/.cache}/gce-auth-ci}
mkdir -p "$target" "$cache"
export PATH="$cache/bin:$PATH"

CARGO_DENY=0.20.2
CARGO_HACK=0.6.46
CARGO_MUTANTS=27.1.0
CARGO_SEMVER_CHECKS=0.51.0
MDBOOK=0.5.4
UV=0.13.9
ZIG=0.17.1
ZIGBUILD=0.24.1

# --- Headings and times -------------------------------------------------------------------------

name='' began=0 times=() unchecked=()

step() {
    finish_step
    name=$1 began=$SECONDS
    printf '\n=== %s\n' "$name"
}

# Ends a run: how long each step took, and what this machine could not check.
finish() {
    finish_step
    printf '\n=== all checks passed in %d s\n' "$SECONDS"
    printf '%s\n' "${times[@]}"
    local gap
    for gap in "${unchecked[@]}"; do
        printf 'NOT CHECKED: %s\n' "$gap"
    done
}

finish_step() {
    if [[ -n $name ]]; then
        times+=("$(printf '%5d s  %s' $((SECONDS - began)) "$name")")
        printf -- '--- %s: done in %d s\n' "$name" $((SECONDS - began))
    fi
    name=''
}

on_exit() {
    local status=$?
    if ((status != 0)); then
        printf '\nFAILED: %s (exit code %d, after %d s)\n' "${name:-preparing}" "$status" "$SECONDS"
    fi
}
trap on_exit EXIT

# Something that this machine can't check: said where it happens, and again at the end.
not_checked() {
    unchecked+=("$*")
    printf 'NOT CHECKED: %s\n' "$*"
}

die() {
    printf '%s\n' "$*" >&2
    exit 1
}

# --- What the steps need ------------------------------------------------------------------------

need() {
    command -v "$1" >/dev/null || die "$1 is missing: $2"
}

tools() {
    need cargo 'install Rust (stable) with rustup'
    need cc 'install a C compiler'
    need python3 'install Python 3'
    cargo fmt --version || die 'install the rustup component rustfmt'
    cargo clippy --version || die 'install the rustup component clippy'
    rustc --version
    compiled_c_is_kept

    install_tool cargo-deny "$CARGO_DENY"
    install_tool cargo-hack "$CARGO_HACK"
    install_tool cargo-mutants "$CARGO_MUTANTS"
    install_tool mdbook "$MDBOOK" --no-default-features --features search

    if ! python3 -c 'import ensurepip, venv' 2>/dev/null && [[ $(id -u) == 0 ]] && command -v apt-get >/dev/null; then
        apt-get -q update && apt-get -qy install python3-venv
    fi
}

# Installs packages of the system, where this is root on a Debian; elsewhere the step says what it misses.
packages() {
    if [[ $(id -u) == 0 ]] && command -v apt-get >/dev/null && ! dpkg -s "$@" >/dev/null 2>&1; then
        apt-get -qq update && apt-get -qqy install "$@" || true
    fi
}

# Many folders of builds compile the same C, that of aws-lc, which takes longer than all else: once will do.
compiled_c_is_kept() {
    local host
    packages ccache
    if command -v ccache >/dev/null; then
        host=$(rustc -vV | sed -n 's/^host: //p')
        export CCACHE_DIR=$cache/ccache "CC_${host//-/_}=ccache cc"
    fi
}

install_tool() {
    local tool=$1 version=$2 said
    shift 2
    said=$("$tool" --version 2>/dev/null || cargo "${tool#cargo-}" --version 2>/dev/null || true)
    if [[ $said == *[\ v]"$version"* ]]; then
        printf '%s %s is there\n' "$tool" "$version"
    else
        cargo install --locked --quiet --root "$cache" --target-dir "$cache/build" --version "$version" "$@" "$tool"
        rm -rf "$cache/build"
    fi
}
