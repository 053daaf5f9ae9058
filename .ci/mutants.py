"""Mutates the library and counts the mutants that its unit tests catch.

    mutants.py --changed --seconds N --work FOLDER     the lines that differ from main, for N seconds
    mutants.py --all --work FOLDER                     every line of the library

`--changed` compares with the merge base with main, or where this is main with the commit before; BASE
in the environment names another. The work is done in a copy of the tree with a target folder of its
own, so that a second run is warm and nothing is ever left mutated here.

Fails if fewer of the viable mutants are caught than the floor of their room allows, once there are
enough of them to tell; prints each survivor. A run that the time ended is a sample: it fails only
below what chance makes of a room at its floor in one run of a hundred.
"""

import argparse
import collections
import json
import math
import os
import shutil
import subprocess
import sys

# Shares of viable mutants that must be caught.
FLOORS = {"refresh": 0.95, "task": 0.95, "tokens": 0.95, "verifier": 0.95}
ELSEWHERE = 0.90
# Fewer say little: then only the floor of all together counts.
ENOUGH = 20
# Standard deviations below a floor that a sample falls in one of a hundred runs.
CHANCE = 2.33


def git(*arguments):
    done = subprocess.run(["git", *arguments], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    return done.stdout.strip() if done.returncode == 0 else None


def base():
    """The commit that changed lines are counted from."""
    if named := os.environ.get("BASE"):
        return named
    head = git("rev-parse", "HEAD")
    for main in ("origin/main", "main"):
        found = git("merge-base", "HEAD", main)
        if found and found != head:
            return found
    return git("rev-parse", "HEAD~1")


def copy_tree(tree):
    """Makes `tree` the same as the work tree here, touching only what differs."""
    wanted = set(git("ls-files", "--cached", "--others", "--exclude-standard").splitlines())
    wanted = {name for name in wanted if os.path.isfile(name)}
    for folder, _, names in os.walk(tree):
        for name in names:
            path = os.path.join(folder, name)
            if os.path.relpath(path, tree) not in wanted:
                os.remove(path)
    for name in wanted:
        there = os.path.join(tree, name)
        os.makedirs(os.path.dirname(there), exist_ok=True)
        with open(name, "rb") as file:
            content = file.read()
        try:
            with open(there, "rb") as file:
                if file.read() == content:
                    continue
        except OSError:
            pass
        shutil.copy(name, there)


def mutate(tree, out, arguments, seconds):
    """Runs cargo-mutants, for so long; the outcome of each mutant that it reached, and whether that is all."""
    shutil.rmtree(out, ignore_errors=True)
    os.makedirs(out)
    environment = dict(os.environ, CARGO_TARGET_DIR=os.path.join(os.path.dirname(tree), "target"))
    # First without any mutant; what the first build takes is none of the seconds.
    tests = ["cargo", "test", "--quiet", "--locked", "--package", "gce-auth", "--all-features", "--lib"]
    if subprocess.run(tests, cwd=tree, env=environment, stdout=subprocess.DEVNULL).returncode:
        sys.exit("the tests fail without any mutant")
    command = [
        "cargo", "mutants", "--baseline", "skip", "--in-place", "--package", "gce-auth", "--all-features", "--shuffle",
        "--timeout", "60", "--build-timeout", "300", "--no-times", "--colors", "never",
        "--exclude", "**/tests.rs", "--exclude", "**/tests/**", "--exclude", "**/model.rs",
        "--output", out, "--cargo-arg=--locked", "--cargo-arg=--lib", *arguments,
    ]
    process = subprocess.Popen(command, cwd=tree, env=environment)
    try:
        code = process.wait(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.terminate()
        process.wait()
        code = None
    # 0: all caught; 2: some missed; 3: some timed out. Others: it did not work.
    if code not in (None, 0, 2, 3):
        sys.exit(f"cargo mutants: exit code {code}")
    try:
        with open(os.path.join(out, "mutants.out", "outcomes.json"), encoding="utf-8") as file:
            return json.load(file)["outcomes"], code is not None
    except FileNotFoundError:
        return [], code is not None


def too_few(caught, viable, floor, complete):
    """Whether the floor is missed, by more than chance if not all mutants were reached."""
    if viable < ENOUGH:
        return False
    slack = 0 if complete else CHANCE * math.sqrt(floor * (1 - floor) / viable)
    return caught / viable < floor - slack


def room(path):
    parts = path.split("/")
    inside = parts[parts.index("src") + 1:] if "src" in parts else parts
    return inside[0] if len(inside) > 1 else "."


def main():
    parser = argparse.ArgumentParser()
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--changed", action="store_true")
    which.add_argument("--all", action="store_true")
    parser.add_argument("--seconds", type=int)
    parser.add_argument("--work", required=True)
    parser.add_argument("files", nargs="*", help="with --all: these files alone, as globs")
    args = parser.parse_args()

    work = os.path.abspath(args.work)
    tree = os.path.join(work, "tree")
    os.makedirs(tree, exist_ok=True)
    copy_tree(tree)
    arguments = [argument for glob in args.files for argument in ("--file", glob)]
    if args.changed:
        start = base()
        if start is None:
            sys.exit("there is no commit to compare with")
        lines = git("diff", start, "--", "gce-auth/src")
        if not lines:
            print(f"no line of the library differs from {start[:12]}")
            return
        diff = os.path.join(work, "changed.diff")
        with open(diff, "w", encoding="utf-8") as file:
            file.write(lines + "\n")
        arguments += ["--in-diff", diff]
        print(f"lines that differ from {start[:12]}", flush=True)

    caught, viable, missed = collections.Counter(), collections.Counter(), []
    outcomes, complete = mutate(tree, os.path.join(work, "out"), arguments, args.seconds)
    for outcome in outcomes:
        if outcome["summary"] not in ("CaughtMutant", "MissedMutant", "Timeout"):
            continue  # it did not compile
        mutant = outcome["scenario"]["Mutant"]
        where = room(mutant["file"])
        viable[where] += 1
        if outcome["summary"] == "MissedMutant":
            missed.append(mutant["name"])
        else:
            caught[where] += 1

    for name in sorted(missed):
        print("survived:", name)
    low = []
    for where in sorted(viable):
        share, floor = caught[where] / viable[where], FLOORS.get(where, ELSEWHERE)
        print(f"{where}: {caught[where]} of {viable[where]} viable mutants caught ({share:.0%})")
        if too_few(caught[where], viable[where], floor, complete):
            low.append(f"{where}: {share:.0%} of {floor:.0%}")
    total = sum(viable.values())
    if not total:
        print("NOT CHECKED: no viable mutant was reached in time")
    print(f"{sum(caught.values())} of {total} viable mutants caught")
    if too_few(sum(caught.values()), total, ELSEWHERE, complete):
        low.append("too few in all")
    if low:
        sys.exit("too few mutants are caught: " + ", ".join(low))


if __name__ == "__main__":
    main()
