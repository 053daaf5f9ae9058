# Checks that are more than a command or two. Sourced by run and nightly.

OLDEST_RUST=1.85.0 # the library's rust-version
MAX_LINES=500
MAX_CRATES=20
KUBERNETES_VALIDATE=1.37.0

# --- Checks of the repository itself ------------------------------------------------------------

file_lengths() {
    local long
    long=$(find . -name '*.rs' -not -path '*/tests/*' -not -path '*/target/*' -exec wc -l {} + |
        awk -v max="$MAX_LINES" '$2 != "total" && $1 > max { print $1, $2 }')
    [[ -z $long ]] || die "files over $MAX_LINES lines, to be split:"$'\n'"$long"
    printf 'no file is longer than %d lines\n' "$MAX_LINES"
}

library_tree() {
    local crates count
    crates=$(cargo tree --locked -p gce-auth -e normal --prefix none --target x86_64-unknown-linux-gnu |
        awk 'NF { print $1, $2 }' | sort -u | grep -v '^gce-auth ')
    count=$(wc -l <<<"$crates")
    printf '%s\n' "$crates" | paste -sd, | sed 's/,/, /g'
    ((count <= MAX_CRATES)) || die "the library has $count crates besides itself, at most $MAX_CRATES are allowed"
    if grep -E '^(tokio|hyper|syn) ' <<<"$crates"; then
        die 'the library must not depend on tokio, hyper or syn'
    fi
    printf '%d crates besides the library itself, of %d allowed; no tokio, hyper, syn\n' "$count" "$MAX_CRATES"
    # The README's row counts the library itself, as it counts the others, and what builds the cryptography
    # of credentials files.
    local with_adc
    with_adc=$(cargo tree --locked -p gce-auth --features adc -e normal,build --prefix none --target x86_64-unknown-linux-gnu |
        awk 'NF { print $1, $2 }' | sort -u | wc -l)
    grep -qF "| $((count + 1)); $with_adc with \`adc\` |" README.md ||
        die "README.md does not say that the library is $((count + 1)) crates, and $with_adc with adc"
}

# Advisories of every lock file, where their database can be had.
advisories() {
    local folder
    if ! timeout 120 cargo deny --locked fetch db; then
        not_checked 'security advisories of dependencies: their database cannot be fetched'
        return
    fi
    for folder in . gce-auth-adapters fuzz peers; do
        (cd "$folder" && cargo deny --locked --config "$(ls deny.toml ../deny.toml 2>/dev/null | head -n 1)" check advisories)
    done
}

# --- Tests --------------------------------------------------------------------------------------

# Tests of clients in other languages fail in CI if a toolchain is missing, and are skipped elsewhere.
clients_of_languages() {
    local program
    if [[ ${CI:-} == true ]]; then
        export GCE_AUTH_INTEROP=required
    fi
    command -v gradle >/dev/null || packages gradle
    for program in go java mvn gradle node npm docker kubectl git terraform; do
        command -v "$program" >/dev/null || not_checked "clients that need $program"
    done
    uv_of_tests
}

# uv, which the tests of credential helpers run.
uv_of_tests() {
    if ! command -v uv >/dev/null && python3 -c 'import ensurepip, venv' 2>/dev/null; then
        python3 -m venv "$cache/uv" && "$cache/uv/bin/pip" install --quiet "uv==$UV"
        PATH="$PATH:$cache/uv/bin"
    fi
    command -v uv >/dev/null || not_checked 'credential helpers with uv'
}

# Every interleaving of a few threads. Only the crate itself is compiled for the model: its dependencies are
# those of the other tests.
model_checker() {
    local built program
    built=$(cargo rustc --locked -p gce-auth --lib --profile test --message-format json-render-diagnostics -- \
        --cfg gce_auth_loom)
    program=$(python3 -c '
import json, sys
for message in map(json.loads, sys.stdin):
    if message.get("executable"):
        print(message["executable"])' <<<"$built")
    (cd gce-auth && "$program" model) | tee "$target/model.txt"
    grep -q '^test result: ok. [1-9]' "$target/model.txt" || die 'the model has no tests'
}

# --- Oldest Rust and other platforms ------------------------------------------------------------

oldest_rust() {
    # For each crate: no dependency asks for a newer Rust than the crate itself promises. That the
    # crates' own code keeps the promise is clippy's lint incompatible_msrv, on in the lint step.
    python3 .ci/rust_versions.py

    if ! old_rustc=$(.ci/old-rust "$OLDEST_RUST" "$cache"); then
        old_rustc=''
        not_checked "gce-auth compiled by Rust $OLDEST_RUST"
        return
    fi
    RUSTC=$old_rustc cargo check --locked --target-dir "$target/oldest-rust" -p gce-auth
    RUSTC=$old_rustc cargo check --locked --target-dir "$target/oldest-rust" -p gce-auth --all-features
}

# Every other published crate, compiled by the Rust that it promises: rustup installs that.
oldest_rust_of_each() {
    local crate version
    if ! command -v rustup >/dev/null; then
        not_checked 'other crates than gce-auth, compiled by the Rust that they promise: rustup is missing'
        return
    fi
    while read -r crate version; do
        [[ $version != "${OLDEST_RUST%.*}" ]] || continue
        rustup toolchain install "$version" --profile minimal >/dev/null 2>&1 || {
            not_checked "$crate compiled by Rust $version: rustup cannot install it"
            continue
        }
        RUSTC=$(rustup which --toolchain "$version" rustc) \
            cargo check --locked --target-dir "$target/oldest-rust-$version" -p "$crate"
        printf '%s is compiled by Rust %s\n' "$crate" "$version"
    done < <(cargo metadata --locked --no-deps --format-version 1 | python3 -c '
import json, sys
for package in json.load(sys.stdin)["packages"]:
    if package["publish"] != []:
        print(package["name"], package["rust_version"])')
}

# The library, type-checked for a target without a linker or a C compiler for it: features that
# compile C are left out.
platform() {
    local target_name=$1 features
    features=$(python3 .ci/features_without_c.py "$target_name")
    local check=(cargo check --locked -p gce-auth --features "$features" --target "$target_name")

    if [[ -d $(rustc --print target-libdir --target "$target_name") ]]; then
        "${check[@]}"
    elif [[ -n $old_rustc ]]; then
        # The standard library is compiled from its sources for the target. Only a nightly may do
        # that openly; the variable lets the old Rust do it too.
        RUSTC=$old_rustc RUSTC_BOOTSTRAP=1 "${check[@]}" -Zbuild-std=std,panic_abort --target-dir "$target/oldest-rust"
    else
        not_checked "gce-auth for $target_name: no standard library for it here"
        return
    fi
    printf 'type-checked for %s with the features "%s"; never run there\n' "$target_name" "$features"
    not_checked "features of gce-auth that compile C, for $target_name"
}

# --- Speed --------------------------------------------------------------------------------------

instructions() {
    packages valgrind
    if [[ $(uname -m) != x86_64 ]]; then
        not_checked "instructions of the hot path: the committed counts are of x86_64"
    elif ! command -v valgrind >/dev/null; then
        not_checked 'instructions of the hot path: valgrind is missing'
    else
        python3 .ci/instructions.py
    fi
}

# --- Packages -----------------------------------------------------------------------------------

# Packs every crate that is published, and builds each from its package alone.
package() {
    local crates crate arguments=()
    crates=$(cargo metadata --locked --no-deps --format-version 1 |
        python3 -c 'import json, sys; print(*(p["name"] for p in json.load(sys.stdin)["packages"] if p["publish"] != []))')
    for crate in $crates; do
        arguments+=(--package "$crate")
    done
    # Cargo keeps what it unpacked of an earlier state, which has the same version.
    rm -rf "${CARGO_HOME:-${HOME:-}/.cargo}"/registry/src/-*
    # All in one call, so that each finds the others though none is in a registry yet.
    cargo package --locked --allow-dirty "${arguments[@]}"
    cargo publish --workspace --dry-run --no-verify --locked --allow-dirty
    for crate in $crates; do
        contents "$crate"
    done
    packaging/consumer/run "$target/package" "$target"
    [[ -n $(sed -n 's/^repository = "\(..*\)"/\1/p' Cargo.toml) ]] ||
        not_checked 'the repository of the crates: it is empty in Cargo.toml, and the owner fills it in'
}

# What each package must hold, and what has no place in it.
contents() {
    local crate=$1 package name list manifest
    package=$(ls "$target"/package/"$crate"-[0-9]*.crate)
    list=$(tar -tzf "$package" | sed 's:^[^/]*/::')
    manifest=$(tar -xzOf "$package" --wildcards '*-[0-9]*/Cargo.toml')
    for name in README.md LICENSE-MIT LICENSE-APACHE; do
        grep -qx "$name" <<<"$list" || die "the package $crate has no $name"
    done
    for name in description documentation keywords categories readme license rust-version; do
        grep -q "^$name = " <<<"$manifest" || die "the package $crate has no $name"
    done
    ! grep -E '^(tests|benches|examples)/' <<<"$list" || die "the package $crate holds more than its users need"
}

# --- Fuzzing and mutants ------------------------------------------------------------------------

fuzz() {
    local seconds=$1
    if command -v g++ >/dev/null; then
        fuzz/run --all "$seconds"
    else
        not_checked 'fuzz targets: g++ is missing'
    fi
}

# Runs a check, shows what it prints, and names what it skipped: WHY-IT-FAILS COMMAND..
checked() {
    local why=$1 said gap
    shift
    said=$("$@" 2>&1) || {
        printf '%s\n' "$said"
        die "$why"
    }
    printf '%s\n' "$said"
    while read -r gap; do
        not_checked "${gap#SKIPPED }"
    done < <(grep '^SKIPPED' <<<"$said")
}

# Debian's Chromium, in CI, where it may be installed.
browser() {
    if [[ ${CI:-} == true ]]; then
        packages chromium
    fi
}

# A real browser, misled by DNS, against the emulator and the agent.
rebinding() {
    browser
    cargo build --locked --release -p gce-auth-cli
    checked 'the emulator or the agent answered a page of another origin' conformance/rebinding/run "$target/release/gce-auth"
}

# The emulator's page in a real browser: every control, the console, screenshots in target/page.
page() {
    browser
    cargo build --locked --release -p gce-auth-cli
    checked 'the page is not as it should be' conformance/page/run "$target/release/gce-auth"
}

# Google's daemons for machines, and others, unchanged at the real address.
machines() {
    checked 'a program of a machine found the emulator out' conformance/machines/run "$target/release/gce-auth"
}

# What lies beside the code: units, manifests, rules, guides; the image where the machine has the tools.
packaging() {
    local home=$cache/packaging-$KUBERNETES_VALIDATE
    packages bubblewrap nftables
    if [[ ! -e $home/bin/python3 ]]; then
        { python3 -m venv "$home" && "$home/bin/pip" install --quiet "kubernetes-validate==$KUBERNETES_VALIDATE"; } || {
            rm -rf "$home"
            [[ ${CI:-} != true ]] || die 'the validator of manifests cannot be installed'
        }
    fi
    PATH="$home/bin:$PATH" checked 'packaging is not as it should be' packaging/check "$target/release/gce-auth"
}

# zig, the C compiler and linker of releases, as a Python package; sets zig_home.
zig_tools() {
    zig_home=$cache/zig-$ZIGBUILD
    if [[ ! -e $zig_home/ready ]]; then
        python3 -m venv "$zig_home" && "$zig_home/bin/pip" install --quiet "cargo-zigbuild==$ZIGBUILD" "ziglang==$ZIG"
        touch "$zig_home/ready"
    fi
    rustup target add x86_64-unknown-linux-musl aarch64-unknown-linux-musl
}

# Archives, packages and image for each target, tried and built again elsewhere.
release() {
    packages bubblewrap qemu-user-static buildah podman runc
    zig_tools
    PATH="$zig_home/bin:$PATH" packaging/build "$target/release-files"
    PATH="$zig_home/bin:$PATH" CARGO_TARGET_DIR=$target/again packaging/build "$target/release-files-again"
    checked 'what a release hands out does not work' packaging/check_build "$target/release-files" "$target/release-files-again"
}

# The tests in the library's files, compiled for aarch64 and run by qemu.
aarch64() {
    packages qemu-user-static
    zig_tools
    PATH="$zig_home/bin:$PATH" CARGO_TARGET_AARCH64_UNKNOWN_LINUX_MUSL_RUNNER=qemu-aarch64-static \
        cargo-zigbuild test --locked -p gce-auth --all-features --lib --target aarch64-unknown-linux-musl
}

# The public API against the last release, by cargo-semver-checks; without one, against this state. In both
# cases an API without one of its functions must be refused.
semver() {
    local baseline=$target/semver/baseline less=$target/semver/less check file
    install_tool cargo-semver-checks "$CARGO_SEMVER_CHECKS" --no-default-features
    rm -rf "$baseline" "$less" && mkdir -p "$baseline" "$less"
    git archive "$(git describe --tags --match 'v*' --abbrev=0 2>/dev/null || echo HEAD)" | tar -x -C "$baseline"
    git archive HEAD | tar -x -C "$less"
    check=(cargo semver-checks --package gce-auth --all-features --baseline-root "$baseline" --release-type minor)
    file=$less/gce-auth/src/tokens/settings.rs
    sed -i 's/pub fn unshared/pub(crate) fn unshared/' "$file"
    ! cmp -s "$file" gce-auth/src/tokens/settings.rs || die 'the function to be taken away is gone'
    "${check[@]}" --manifest-path Cargo.toml
    ! "${check[@]}" --manifest-path "$less/Cargo.toml" || die 'an API without one of its functions was not refused'
}

# The book in docs/: built, its links followed, its lists compared with the code, its commands run.
book() {
    mdbook build docs --dest-dir "$(realpath -m "$target/book")"
    docs/check.py "$target/book"
    PATH="$(realpath "$target/release"):$PATH" python3 packaging/guides/try.py \
        docs/src/five_minutes.md docs/src/tutorials/{service_to_service,tests,artifact_registry}.md
    checked 'an example of the book does not work' docs/examples/run "$target/release/gce-auth" "$cache/book"
}

# Clippy as the compiler of the tests: the hundreds of crates below them are built once, not checked and built.
lint_and_test() {
    RUSTC_WORKSPACE_WRAPPER=clippy-driver CLIPPY_ARGS=-D__CLIPPY_HACKERY__warnings__CLIPPY_HACKERY__ \
        cargo test "$@"
}

# --- The workspace of the peers -----------------------------------------------------------------

peers_alone() {
    local alone=(--locked --manifest-path peers/Cargo.toml --workspace --exclude program-google-cloud-auth
        --exclude program-google-cloud-auth-adc --no-default-features --features program-gce-auth-adc/ring
        --target-dir "$target/peers-alone")
    cargo fmt --manifest-path peers/Cargo.toml --all -- --check
    lint_and_test "${alone[@]}"
    # The page of the fleet is what the fleet does today.
    cargo run --locked --release --manifest-path peers/Cargo.toml --target-dir "$target/peers-alone" -p fleet -- --check
}

# --- The workspace of the adapters --------------------------------------------------------------

# Lints, tests and examples of the adapters with these features, or of all.
adapters() {
    local here=(--locked --manifest-path gce-auth-adapters/Cargo.toml --target-dir gce-auth-adapters/target)
    local chosen=(--all-features)
    if (($#)); then
        chosen=(--features "$*")
    fi
    cargo fmt --manifest-path gce-auth-adapters/Cargo.toml -- --check
    lint_and_test "${here[@]}" "${chosen[@]}"
}

adapter_features() {
    cargo metadata --no-deps --format-version 1 --manifest-path gce-auth-adapters/Cargo.toml |
        python3 -c 'import json, sys; print(*sorted(set(json.load(sys.stdin)["packages"][0]["features"]) - {"default"}))'
}

# Each adapter alone, by the lock file; the oldest Rust, licences and sources of all.
adapters_alone() {
    local feature features
    features=$(adapter_features)
    [[ -n $features ]] || die 'the adapters have no features'
    for feature in $features; do
        cargo clippy --locked --manifest-path gce-auth-adapters/Cargo.toml --target-dir gce-auth-adapters/target \
            --no-default-features --features "$feature" -- -D warnings
    done
    RUSTDOCFLAGS='-D warnings' cargo doc --locked --manifest-path gce-auth-adapters/Cargo.toml \
        --target-dir gce-auth-adapters/target --no-deps --all-features
    python3 .ci/adapter_rust_versions.py
    (cd gce-auth-adapters && cargo deny --locked check licenses bans sources)
}

# Builds each adapter with the newest versions that its ranges allow, in a copy without a lock file, and
# says which adapters no longer compile. New versions of foreign crates break them, not our changes.
adapters_canary() {
    local copy=$target/adapters-canary feature features broken=()
    features=$(adapter_features)
    [[ -n $features ]] || die 'the adapters have no features'
    rm -rf "$copy" && mkdir -p "$copy"
    git ls-files -z | tar --null --files-from=- --create | tar --extract --directory "$copy"
    rm "$copy/gce-auth-adapters/Cargo.lock"
    for feature in $features; do
        cargo check --manifest-path "$copy/gce-auth-adapters/Cargo.toml" --target-dir "$target/adapters-canary-build" \
            --no-default-features --features "$feature" || broken+=("$feature")
    done
    ((${#broken[@]} == 0)) || die "adapters that do not compile with the newest versions: ${broken[*]}"
}
