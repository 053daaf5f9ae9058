"""Tests which functions mutants.py takes for code that is not compiled, on a crate of a few lines."""

import os
import subprocess
import tempfile

import mutants

SOURCE = """
pub fn plain() -> u8 { 1 }

#[cfg(windows)]
pub fn of_windows() -> u8 { 2 }
#[cfg(unix)]
pub fn of_unix() -> u8 { 3 }
#[cfg(feature = "on")]
pub fn with_a_feature() -> u8 { 4 }
#[cfg(not(feature = "on"))]
pub fn without_it() -> u8 { 5 }
#[cfg(test)]
pub fn in_tests() -> u8 { 6 }
#[cfg(not(test))]
pub fn outside_tests() -> u8 { 7 }

#[cfg(not(feature = "on"))]
mod a_module {
    pub fn in_a_module() -> u8 { 8 }
}

pub struct Type;
impl Type {
    /// Ends with a statement that is left out.
    pub fn method(&self) {
        #[cfg(not(feature = "on"))]
        of(9) // no semicolon
    }
    #[cfg(windows)]
    pub fn method_of_windows(&self) { let _ = 10; }
    #[must_use]
    pub const fn constant() -> u8 { if true { 11 } else { panic!() } }
}
pub trait Trait {
    fn by_default(&self) { let _ = "a }"; }
}
"""
MANIFEST = """
[package]
name = "tiny"
version = "0.0.0"
edition = "2024"
[features]
on = []
[workspace]
"""
# What all features of it, on Unix, leave out.
UNIX_ALONE = {"of_windows", "without_it", "in_a_module", "method_of_windows"}


def found(path, source):
    """Every function, as cargo-mutants describes it; and a constant, which is in none."""
    lines = source.split("\n")
    for start, line in enumerate(lines):
        if "fn " not in line:
            continue
        indent = len(line) - len(line.lstrip())
        end = start if line.endswith("}") else lines.index(" " * indent + "}", start)
        place = {"line": end + 1, "column": len(lines[end]) + 1}
        yield line.split("fn ")[1].split("(")[0], {"file": path, "function": {"span": {"end": place}}}
    yield "a constant", {"file": path, "function": None}


def main():
    with tempfile.TemporaryDirectory() as work:
        tree = os.path.join(work, "tree")
        os.makedirs(os.path.join(tree, "src"))
        with open(os.path.join(tree, "Cargo.toml"), "w", encoding="utf-8") as file:
            file.write(MANIFEST)
        library = os.path.join(tree, "src", "lib.rs")
        with open(library, "w", encoding="utf-8"):
            pass
        subprocess.run(["cargo", "generate-lockfile", "--quiet", "--offline"], cwd=tree, check=True)

        def ask(source):
            with open(library, "w", encoding="utf-8") as file:
                file.write(source)
            return mutants.not_compiled(tree, list(found("src/lib.rs", source)), package="tiny")

        said = ask(SOURCE)
        if os.name == "posix" and said != UNIX_ALONE:
            raise SystemExit(f"not compiled are {sorted(UNIX_ALONE)}, and not {sorted(said)}")
        # A tree that does not compile by itself tells nothing, and nothing is left out.
        try:
            said = ask(SOURCE.replace("{ 1 }", "{ nothing!() }"))
        except SystemExit as why:
            print(f"refused, as it must be: {why}")
        else:
            raise SystemExit(f"a tree that does not compile was taken for one without {sorted(said)}")
    print("mutants of code that is not compiled are told from others")


main()
