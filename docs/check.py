#!/usr/bin/env python3
"""Checks what the book promises: links that lead somewhere, and pages that name everything they list.

    docs/check.py [BOOK]      BOOK is what mdBook has built; default: docs/book
    docs/check.py --sources   all but the links of the book, which need not be built

No link is followed outside this repository. First it checks itself: each rule must find what breaks it.
"""

import html.parser
import pathlib
import re
import sys
import urllib.parse

DOCS = pathlib.Path(__file__).resolve().parent
ROOT = DOCS.parent


class Links(html.parser.HTMLParser):
    """The links of a page, and the places that links can lead to."""

    def __init__(self, text):
        super().__init__()
        self.links, self.places = [], set()
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        if attributes.get("id"):
            self.places.add(attributes["id"])
        if tag == "a" and attributes.get("name"):
            self.places.add(attributes["name"])
        target = attributes.get("href" if tag in ("a", "link") else "src")
        if target:
            self.links.append(target)


def dead_links(pages, files):
    """`pages`: name -> HTML; `files`: the names of all other files. Yields (page, link)."""
    read = {name: Links(text) for name, text in pages.items()}
    for name, page in read.items():
        for link in page.links:
            url = urllib.parse.urlsplit(link)
            if url.scheme or link.startswith("//"):
                continue
            folder = pathlib.PurePosixPath(name).parent
            target = name if not url.path else _resolve(folder / urllib.parse.unquote(url.path))
            if target not in read and target not in files:
                yield name, link
            elif url.fragment and target in read:
                if urllib.parse.unquote(url.fragment) not in read[target].places:
                    yield name, link


def _resolve(path):
    parts = []
    for part in path.parts:
        if part == "..":
            parts = parts[:-1]
        elif part != ".":
            parts.append(part)
    return "/".join(parts)


def dead_markdown_links(name, text, exists):
    """Links of a Markdown file of the repository to files that are not there."""
    text = re.sub(r"^```.*?^```", "", text, flags=re.M | re.S)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        path = target.partition("#")[0]
        if re.match(r"[a-z]+:", target) or not path or "::" in path or re.fullmatch(r"crate|[A-Z]\w+", path):
            continue
        if not exists(_resolve(pathlib.PurePosixPath(name).parent / path)):
            yield name, target


def kinds(source):
    """The kinds of errors, from the source that names them."""
    body = re.search(r"pub enum ErrorKind \{(.*?)\n\}", source, re.S)
    return re.findall(r"^    (\w+),$", body[1], re.M)


def texts_of_errors(snapshot):
    """What happened, of each error of the command: without the name, the place and the advice."""
    texts = set()
    for line in re.findall(r"^gce-auth: (.*)$", snapshot, re.M):
        texts.add(line)
    return texts


CALLS = r"(?:Failure::new\(\s*Exit::\w+,\s*|let why = )&?(?:format!\(\s*)?"
FAILURE = re.compile(CALLS + r'"((?:\\.|[^"\\])*)"', re.S)


def texts_of_sources(source):
    """The texts of failures that stand in a source; what is filled in stays in braces."""
    found = set()
    for text in FAILURE.findall(source.split("#[cfg(test)]\nmod tests")[0]):
        text = re.sub(r"\\\n\s*", "", text)
        # One that is filled in altogether has its text elsewhere.
        if len(re.findall(r"[a-z]+", re.sub(r"\{[^}]*\}", "", text))) > 1:
            found.add(text)
    return found


MAKERS = (
    r"(?:\b(?:Err|refuse|refused|wrong|line|forbidden|bad|bad_request|bad_gateway|not_found|unavailable|in_use|other|failed"
    r"|setting|system|EventError|SetError::new|ok_or)\(\s*(?:\d+,\s*|\w+,\s*)?&?(?:format(?:_args)?!\(\s*)?"
    r"|\bwhy\s*[=:]\s*&?(?:format!\(\s*)?"
    r"|(?:ok_or_else|map_err|unwrap_or_else)\(\s*\|\w*\|\s*(?:\{\s*)?(?:Err\()?(?:format!\(\s*)?"
    r"|Reason::\w+\([^)]*\) => (?:\{\s*)?write!\(\s*f,\s*)"
)
MADE_BY_SERVERS = re.compile(MAKERS + r'"((?:\\.|[^"\\])*)"', re.S)


def texts_of_servers(source):
    """The texts that the agent, the emulator and their server make of errors and refusals."""
    found = set()
    code = re.split(r"#\[cfg\((?:all\()?test[^\]]*\]\s*mod \w+ \{", re.sub(r"(?m)^\s*//.*$", "", source))[0]
    for text in MADE_BY_SERVERS.findall(code):
        text = re.sub(r"\\\n\s*", "", text).replace('\\"', '"')
        if len(re.findall(r"[a-z]+", re.sub(r"\{[^}]*\}", "", text))) > 1 and " " in text and "charset=" not in text:
            found.add(text)
    return found


def entries(page):
    """The texts in bold that begin an entry, each as a pattern: dots stand for anything."""
    found = []
    for text in re.findall(r"\*\*(.+?)\*\*", page, re.S):
        text = " ".join(text.split()).removesuffix(".")
        found.append(".*".join(re.escape(part.strip()) for part in text.split("…")))
    return found


def missing_kinds(page, names):
    return [name for name in names if f"\n| `{name}` |" not in page]


def missing_errors(page, texts):
    patterns = [re.compile(entry) for entry in entries(page)]
    return [text for text in sorted(texts) if not any(pattern.search(text) for pattern in patterns)]


def missing_names(page, names):
    return [name for name in names if f"`{name}`" not in page]


# Pages that also name options of another program: only what follows `gce-auth` is checked there.
OF_OTHERS = {"docs/src/howto/machine_events.md"}  # those of amazon-ec2-metadata-mock, beside ours


def unknown_options(page, helps, of_others=False):
    """Options that a page gives to the command, and no help names."""
    known = set(re.findall(r"--[a-z][a-z-]+", helps))
    own = re.findall(r"gce-auth [^\n`]*?(--[a-z][a-z-]+)", page)
    if not of_others:
        own += re.findall(r"`(--[a-z][a-z-]+)", page)
    return sorted({option for option in own if option not in known})


def own_variables(sources):
    """The variables with this project's name that a source has between quotes."""
    return sorted(set(re.findall(r'"(GCE_AUTH_[A-Z_]+)"', sources)))


def constants(source, name):
    """The texts of a list of texts in Rust."""
    body = re.search(rf"\b{name}\b.*?=\s*&?\[(.*?)\n\];", source, re.S)[1]
    return re.findall(r'^\s*"([^"]+)"', body, re.M)


def fields(source):
    """The keys of the structures that a configuration file is read into."""
    found = []
    for body in re.findall(r"struct \w+ \{\n(.*?)\n\}", source, re.S):
        found += re.findall(r"pub\(super\) (?:r#)?(\w+):", body)
    return [name.replace("_", "-") for name in found]


def metrics(source):
    """The names of metrics that a source writes the head of."""
    return re.findall(r'head\(\s*out,\s*"([a-z_]+)"', source)


def self_test():
    page = '<a href="b.html#there">b</a><img src="p.svg"><h1 id="here">'
    pages = {"x/a.html": page, "x/b.html": '<h2 id="there">'}
    assert list(dead_links(pages, {"x/p.svg"})) == []
    assert list(dead_links(pages, set())) == [("x/a.html", "p.svg")]
    for link in ("b.html#nowhere", "../a.html", "#nowhere", "c.html"):
        dead = list(dead_links({**pages, "x/d.html": f'<a href="{link}">'}, {"x/p.svg"}))
        assert dead == [("x/d.html", link)], (link, dead)
    assert list(dead_links({"a.html": '<a href="https://example.com/x">'}, set())) == []

    def exists(path):
        return path == "a/there.md"

    assert list(dead_markdown_links("a/b.md", "[x](there.md#y) [y](crate::Z) [z](https://z)", exists)) == []
    assert list(dead_markdown_links("a/b.md", "[x](gone.md)", exists)) == [("a/b.md", "gone.md")]

    assert kinds("pub enum ErrorKind {\n    /// One.\n    One,\n    Two,\n}") == ["One", "Two"]
    assert missing_kinds("\n| `One` | 1 |", ["One", "Two"]) == ["Two"]
    assert missing_errors("**the token is for …, and not for ….**", {"the token is for \"a\", and not for \"b\"; x"}) == []
    assert missing_errors("**cannot read ….**", {"cannot write x"}) == ["cannot write x"]
    source = 'Failure::new(\n Exit::Usage,\n format!("cannot \\\n  read {x}"))\nlet why = "no token here";\nother("not this one")\nlet why = format!("{a}: {b}");'
    assert texts_of_sources(source) == {"cannot read {x}", "no token here"}, texts_of_sources(source)
    source = 'Err(refused(404, "there is no fault"))\nok_or_else(|| format!("no \\"x\\" of {y}"))\nwhy: "a \\\n  b",\n// Err("not this")\nlog("nor this")'
    assert texts_of_servers(source) == {"there is no fault", 'no "x" of {y}', "a b"}, texts_of_servers(source)
    source = 'Reason::Key(error) => write!(f, "no key: {error}"),\n#[cfg(test)]\nmod tests {\n Err("of a test") }'
    assert texts_of_servers(source) == {"no key: {error}"}, texts_of_servers(source)
    assert missing_names("| `a` |", ["a", "b"]) == ["b"]
    assert unknown_options("`--key` and `gce-auth token --scopes x`", "--scopes <S>") == ["--key"]
    assert unknown_options("`--key` and `gce-auth token --scope x`", "--scopes <S>", True) == ["--scope"]
    assert constants('pub const ALL: &[&str] = &[\n    "A",\n    // "B"\n    "C",\n];', "ALL") == ["A", "C"]
    assert metrics('head(out, "a_total", "counter")\nhead(\n    out,\n    "b",') == ["a_total", "b"]
    assert own_variables('var("GCE_AUTH_X"); // GCE_AUTH_Y') == ["GCE_AUTH_X"]
    assert fields("struct A {\n    pub(super) max_age: Text,\n    pub(super) r#as: Text,\n}") == ["max-age", "as"]


def repository_files():
    import subprocess

    listed = subprocess.check_output(["git", "ls-files", "--cached", "--others", "--exclude-standard"], cwd=ROOT, text=True)
    return listed.splitlines()


def links_of_book(book):
    """The number of pages that mdBook has built, and what is wrong with their links."""
    names = [path.relative_to(book).as_posix() for path in book.rglob("*") if path.is_file()]
    # The page for what is not found is served at any address.
    html_names = [name for name in names if name.endswith(".html") and name not in ("404.html", "toc.html")]
    pages = {name: (book / name).read_text(encoding="utf-8") for name in html_names}
    assert len(pages) > 25, f"{book} holds {len(pages)} pages; build it with `mdbook build docs`"
    return len(pages), [f"{page}: the link {link} is dead" for page, link in dead_links(pages, set(names))]


def main():
    self_test()
    asked = sys.argv[1] if len(sys.argv) > 1 else DOCS / "book"
    wrong, counted = [], "no page of the book"
    if asked != "--sources":
        pages, dead = links_of_book(pathlib.Path(asked))
        wrong += dead
        counted = f"{pages} pages"

    files = repository_files()
    folders = {str(parent) for name in files for parent in pathlib.PurePosixPath(name).parents}
    checked = 0
    for name in files:
        # The pages of the book were checked as HTML.
        if name.endswith(".md") and not name.startswith("docs/src/") and (ROOT / name).exists():
            checked += 1
            text = (ROOT / name).read_text(encoding="utf-8")
            dead = dead_markdown_links(name, text, lambda path: path in files or path in folders)
            wrong += [f"{page}: the link {link} is dead" for page, link in dead]

    def read(path):
        return (ROOT / path).read_text(encoding="utf-8")

    page = read("docs/src/troubleshooting.md")
    names = kinds(read("gce-auth/src/values/error.rs"))
    texts = texts_of_errors(read("gce-auth-cli/tests/snapshots/errors.txt"))
    for path in (ROOT / "gce-auth-cli/src").rglob("*.rs"):
        texts |= texts_of_sources(path.read_text(encoding="utf-8"))
    assert len(names) >= 16 and len(texts) >= 90, (names, len(texts))
    page_of_servers = read("docs/src/troubleshooting_servers.md")
    of_servers = set()
    for crate in ("gce-auth-agent", "gce-auth-emulator", "gce-auth-server"):
        for path in (ROOT / crate / "src").rglob("*.rs"):
            # The emulator's explanations are causes and remedies themselves.
            if not {"tests", "explain"} & set(path.parts) and path.name != "tests.rs":
                of_servers |= texts_of_servers(path.read_text(encoding="utf-8"))
    assert len(of_servers) >= 200, len(of_servers)
    wrong += [f"troubleshooting_servers.md has no entry for: {text}" for text in missing_errors(page_of_servers, of_servers)]
    wrong += [f"troubleshooting.md does not name the kind {name}" for name in missing_kinds(page, names)]
    wrong += [f"troubleshooting.md has no entry for: {text}" for text in missing_errors(page, texts)]

    variables = constants(read("gce-auth/src/io/env.rs"), "VARIABLES")
    assert len(variables) >= 40, variables
    shown = read("gce-auth/src/docs/environment.md") + read("docs/src/reference/variables.md")
    shown = re.sub(r"`(GCE_AUTH_EMULATOR_)\*`", r"`\1`", shown)
    sources = [path.read_text(encoding="utf-8") for crate in ("gce-auth-cli", "gce-auth-agent", "gce-auth-emulator") for path in (ROOT / crate / "src").rglob("*.rs")]
    own = own_variables("".join(sources))
    assert len(own) >= 5, own
    variables += own
    wrong += [f"the reference does not name the variable {name}" for name in missing_names(shown, variables)]

    helps = "".join(path.read_text() for path in (ROOT / "gce-auth-cli/tests/snapshots/help").glob("*.txt"))
    helps += read("gce-auth-cli/README.md")  # the options of the single helpers, which its tests run
    for path in sorted((DOCS / "src").rglob("*.md")):
        name = path.relative_to(ROOT).as_posix()
        for option in unknown_options(path.read_text(encoding="utf-8"), helps, name in OF_OTHERS):
            wrong.append(f"{name}: no command has {option}")

    keys = fields(read("gce-auth-agent/src/policy/file.rs"))
    assert len(keys) >= 28, keys
    shown = read("docs/src/reference/agent_configuration.md").replace("`[[", "`").replace("]]`", "`")
    shown = shown.replace("`[rule.", "`").replace("]`", "`")
    missing = [key for key in missing_names(shown, keys) if key not in ("rule", "listen")]
    wrong += [f"agent_configuration.md does not name the key {key}" for key in missing]

    of_metrics = [f"gce_auth_agent_{name}" for name in metrics(read("gce-auth-agent/src/metrics.rs"))]
    assert len(of_metrics) >= 9, of_metrics
    wrong += [f"agent_configuration.md does not name the metric {name}" for name in missing_names(shown, of_metrics)]

    for line in wrong:
        print(line)
    if wrong:
        sys.exit(f"{len(wrong)} faults in the documentation")
    print(
        f"{counted} and {checked} files without dead links; {len(names)} kinds, {len(texts) + len(of_servers)} error texts,"
        f" {len(variables)} variables and {len(keys)} keys are described"
    )


if __name__ == "__main__":
    main()
