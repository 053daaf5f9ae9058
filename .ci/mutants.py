"""Mutates the library and counts the mutants that its tests catch.

    mutants.py --changed --seconds N --work FOLDER     the lines that differ from main, for N seconds
    mutants.py --all --work FOLDER [GLOB..]            every line of the library, or of these files

`--changed` counts what unit tests catch, at 2 s a mutant. `--all` runs what they miss against the
integration tests and the simulation, too, which takes minutes for each: a day for the whole library.

`--changed` compares with the merge base with main, or where this is main with the commit before; BASE
in the environment names another. The work is done in a copy of the tree with a target folder of its
own, so that a second run is warm and nothing is ever left mutated here.

Fails if fewer of the viable mutants are caught than the floor of their room allows, once there are
enough of them to tell; prints each survivor. A run that the time ended is a sample: it fails only
below what chance makes of a room at its floor in one run of a hundred.

Code that this system or these features leave out (`cfg`) has no mutants: the compiler is asked which
functions of the survivors it sees.
"""

import argparse
import collections
import json
import math
import os
import re
import shutil
import subprocess
import sys

# Shares of viable mutants that must be caught.
FLOORS = {"refresh": 0.95, "task": 0.95, "tokens": 0.95, "verifier": 0.95}
ELSEWHERE = 0.90
# Integration tests that look at the source or at everything for long, and at no behaviour of one function.
NO_JUDGES = {"chaos", "floors", "names", "variables"}
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


def integration_tests(tree):
    """The cargo arguments that choose them."""
    folder = os.path.join(tree, "gce-auth", "tests")
    for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
        name = entry.name.removesuffix(".rs")
        if name not in NO_JUDGES and (entry.name != name or os.path.exists(os.path.join(entry.path, "main.rs"))):
            yield f"--test={name}"


def mutate(tree, out, arguments, tests, timeout, seconds=None, again=False):
    """Runs cargo-mutants with these tests, for so long; `again` for what the last run with `out` missed.
    The outcome of each mutant that it reached, and whether that is all."""
    if not again:
        shutil.rmtree(out, ignore_errors=True)
    os.makedirs(out, exist_ok=True)
    environment = dict(os.environ, CARGO_TARGET_DIR=os.path.join(os.path.dirname(tree), "target"))
    # First without any mutant; what the first build takes is none of the seconds.
    clean = ["cargo", "test", "--quiet", "--locked", "--package", "gce-auth", "--all-features", *tests]
    if subprocess.run(clean, cwd=tree, env=environment, stdout=subprocess.DEVNULL).returncode:
        sys.exit("the tests fail without any mutant")
    command = [
        "cargo", "mutants", "--baseline", "skip", "--in-place", "--package", "gce-auth", "--all-features", "--shuffle",
        "--timeout", str(timeout), "--build-timeout", "600", "--no-times", "--colors", "never",
        "--exclude", "**/tests.rs", "--exclude", "**/tests/**", "--exclude", "**/model.rs",
        "--exclude", "**/fuzzing*/**", "--exclude", "**/fuzzing.rs", "--exclude", "**/world.rs", "--exclude", "**/fake.rs",
        "--output", out, "--cargo-arg=--locked", *(f"--cargo-arg={test}" for test in tests), *arguments,
    ]
    if again:
        command.append("--iterate")
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


def not_compiled(tree, names_and_mutants, package="gce-auth"):
    """The names of those mutants whose function the compiler does not see, neither in the library nor in
    its unit tests. Each function gets a macro at its end that says its number; code that `cfg` leaves
    out never runs it. What belongs to no function counts as seen, and so does a statement of one."""
    places = collections.defaultdict(lambda: collections.defaultdict(list))
    for name, mutant in names_and_mutants:
        if mutant.get("function"):
            end = mutant["function"]["span"]["end"]
            places[mutant["file"]][end["line"], end["column"]].append(name)
    numbered = []
    for path, ends in places.items():
        with open(os.path.join(tree, path), encoding="utf-8") as file:
            lines = file.read().split("\n")
        # From the last to the first, so that places stay where they are.
        for (line, column), names in sorted(ends.items(), reverse=True):
            text = lines[line - 1]
            if text[column - 2] != "}":
                sys.exit(f"{path}:{line}:{column} is not the end of a function")
            lines[line - 1] = f'{text[:column - 2]} ; compile_error!("function {len(numbered)}."); {text[column - 2:]}'
            numbered.append(names)
        with open(os.path.join(tree, path), "w", encoding="utf-8") as file:
            file.write("\n".join(lines))
    seen = set()
    for profile in ("dev", "test"):
        command = ["cargo", "check", "--quiet", "--locked", "--package", package, "--all-features", "--lib"]
        environment = dict(os.environ, CARGO_TARGET_DIR=os.path.join(os.path.dirname(tree), "target"))
        command += ["--profile", profile, "--message-format", "json"]
        done = subprocess.run(command, cwd=tree, env=environment, capture_output=True, text=True)
        heard = False
        for line in done.stdout.splitlines():
            message = json.loads(line).get("message") or {}
            # Errors with a code come later, of what the macros left. Any other may have hidden code.
            if message.get("level") == "error" and message["spans"] and not message["code"]:
                number = re.fullmatch(r"function (\d+)\.", message["message"])
                if not number:
                    sys.exit(f"the compiler does not say which functions it sees: {message['message']}")
                seen.add(int(number[1]))
                heard = True
        if done.returncode and not heard:
            sys.exit("the compiler says nothing of functions\n" + done.stderr)
    return {name for number, names in enumerate(numbered) if number not in seen for name in names}


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

    out = os.path.join(work, "out")
    outcomes, complete = mutate(tree, out, arguments, ["--lib"], 60, args.seconds)
    found, mutants = {}, {}
    for outcome in outcomes:
        if outcome["summary"] in ("CaughtMutant", "MissedMutant", "Timeout"):  # else it did not compile
            mutant = outcome["scenario"]["Mutant"]
            mutants[mutant["name"]] = mutant
            found[mutant["name"]] = (room(mutant["file"]), outcome["summary"] != "MissedMutant")
    if args.all and not all(is_caught for _, is_caught in found.values()):
        outcomes, complete = mutate(tree, out, arguments, [*integration_tests(tree)], 1200, again=True)
        for outcome in outcomes:
            if outcome["summary"] in ("CaughtMutant", "Timeout"):
                mutant = outcome["scenario"]["Mutant"]
                found[mutant["name"]] = (room(mutant["file"]), True)

    missed = [(name, mutants[name]) for name, (_, is_caught) in found.items() if not is_caught]
    if missed:
        copy_tree(tree)
        for name in sorted(not_compiled(tree, missed)):
            print("not compiled here:", name)
            del found[name]
        copy_tree(tree)

    viable = collections.Counter(where for where, _ in found.values())
    caught = collections.Counter(where for where, is_caught in found.values() if is_caught)
    missed = [name for name, (_, is_caught) in found.items() if not is_caught]
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
