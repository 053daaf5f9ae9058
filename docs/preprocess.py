"""Fills the pages of the book from the files that they are about, so that nothing is written twice.

mdBook runs it: a book comes in as JSON, and goes out as JSON. In a page these stand for other texts:

    {{from PATH}}               a Markdown file of the repository, without its first heading
    {{from PATH "HEADING"}}     one section of it
    {{file PATH}}               a file, as code
    {{help}}                    the help of every command
    {{openapi PATH}}            the requests of an OpenAPI description

Links in what comes `from` elsewhere lead to the pages of the book, to docs.rs, or become plain text.
"""

import json
import pathlib
import posixpath
import re
import sys

DOCS = pathlib.Path(__file__).resolve().parent
ROOT = DOCS.parent
HELP = ROOT / "gce-auth-cli/tests/snapshots/help"
DOCS_RS = "https://docs.rs/gce-auth/latest/gce_auth/"
DIRECTIVE = re.compile(r"^\{\{(from|file|help|openapi)(?: (\S+?))?(?: \"([^\"]+)\")?\}\}$", re.M)


def read(path):
    return (ROOT / path).read_text(encoding="utf-8")


def pages_of_sources():
    """Which page of the book shows a file of the repository whole."""
    pages = {}
    for page in (DOCS / "src").rglob("*.md"):
        for kind, path, section in DIRECTIVE.findall(page.read_text(encoding="utf-8")):
            if kind == "from" and not section:
                pages[path] = page.relative_to(DOCS / "src").as_posix()
    return pages


def outside_code(text, change):
    """Changes the lines of a text that are not code. Returns the text, in whose blocks Rust is named."""
    lines, code = [], False
    for line in text.split("\n"):
        if line.lstrip().startswith("```"):
            code = not code
            if code:
                kind = line.strip().removeprefix("```")
                if kind == "" or kind.split(",")[0] in ("no_run", "ignore", "should_panic", "compile_fail"):
                    line = line.replace("```" + kind, "```rust" + ("," + kind if kind else ""))
        elif not code:
            line = change(line)
        lines.append(line)
    return "\n".join(lines)


def headings(text):
    """[(line number, level, title)], code left out."""
    found, code = [], False
    for number, line in enumerate(text.split("\n")):
        if line.lstrip().startswith("```"):
            code = not code
        heading = re.match(r"(#+) (.*)", line)
        if heading and not code:
            found.append((number, len(heading[1]), heading[2]))
    return found


def section_of(text, title):
    lines, marks = text.split("\n"), headings(text)
    for index, (number, level, name) in enumerate(marks):
        if name == title:
            end = next((n for n, other, _ in marks[index + 1 :] if other <= level), len(lines))
            return "\n".join(lines[number + 1 : end])
    raise SystemExit(f"there is no section {title!r}")


class Page:
    """What a page takes from a file, seen from where the page stands."""

    def __init__(self, page, pages):
        self.page, self.pages = page, pages

    def link_to(self, other):
        return posixpath.relpath(other, posixpath.dirname(self.page) or ".")

    def link(self, source, text, target):
        """A link of `source`, for this page."""
        if re.match(r"https?:|mailto:|#", target):
            return f"[{text}]({target})"
        name = target.removeprefix("crate::")
        if "::" in name or re.fullmatch(r"[A-Z]\w*|crate", target.split("(")[0]) or target.startswith("crate::"):
            module = re.match(r"docs::(\w+)(#.*)?$", name)
            path = module and f"gce-auth/src/docs/{module[1]}.md"
            if path in self.pages:
                return f"[{text}]({self.link_to(self.pages[path])}{module[2] or ''})"
            return f"[{text}]({DOCS_RS}?search={name})"
        path, _, fragment = target.partition("#")
        path = posixpath.normpath(posixpath.join(posixpath.dirname(source), path))
        for known in (path, path + "/README.md"):
            if known in self.pages:
                return f"[{text}]({self.link_to(self.pages[known])}{'#' + fragment if fragment else ''})"
        if not (ROOT / path).exists():
            raise SystemExit(f"{source}: the link {target} leads nowhere")
        return text if text.startswith("`") else f"{text} (`{path}`)"

    def from_file(self, source, section):
        text = read(source)
        text = section_of(text, section) if section else re.sub(r"\A# .*\n", "", text)
        least = min((level for _, level, _ in headings(text)), default=2)

        def change(line):
            heading = re.match(r"(#+) (.*)", line)
            if heading:
                line = "#" * (len(heading[1]) + 2 - least) + " " + heading[2]
            # The picture that rustdoc takes from a link definition of its own.
            line = re.sub(r"!\[([^]]*)\]\[plot\]", r"![\1](scale.svg)", line)
            defined = re.match(r"\[[^]]+\]: ", line)
            if defined:
                return line
            line = re.sub(r"\[((?:`[^`]*`|[^]`[])+)\]\(([^)\s]+)\)", lambda m: self.link(source, m[1], m[2]), line)
            # Links that only rustdoc resolves.
            return re.sub(r"(?<!\])\[(`[\w:]+(?:\(\))?`)\](?![(:\[])", lambda m: self.link(source, m[1], "crate::" + m[1].strip("`()")), line)

        return outside_code(re.sub(r"<!--.*?-->\n?", "", text, flags=re.S), change)

    def replace(self, match):
        kind, path, section = match.groups()
        if kind == "from":
            return self.from_file(path, section)
        if kind == "file":
            language = {"rs": "rust", "py": "python", "go": "go", "toml": "toml"}[path.rsplit(".", 1)[1]]
            return f"```{language}\n{read(path).strip()}\n```"
        return help_of_commands() if kind == "help" else openapi(path)


def help_of_commands():
    names = sorted(path.stem for path in HELP.glob("*.txt"))
    names.remove("gce-auth")
    parts = [f"## gce-auth\n\n```text\n{(HELP / 'gce-auth.txt').read_text().rstrip()}\n```"]
    for name in names:
        parts.append(f"## {name}\n\n```text\n{(HELP / (name + '.txt')).read_text().rstrip()}\n```")
    return "\n\n".join(parts)


def openapi(path):
    description = json.loads(read(path))
    base = description.get("servers", [{"url": ""}])[0]["url"]
    rows = ["| request | what it does | answers |", "| --- | --- | --- |"]
    for where, methods in description["paths"].items():
        for method, operation in methods.items():
            if method in ("get", "put", "post", "delete", "patch"):
                summary = (operation.get("summary") or operation.get("description") or "").replace("|", "\\|").split("\n")[0]
                codes = ", ".join(operation["responses"])
                rows.append(f"| `{method.upper()} {base}{where}` | {summary} | {codes} |")
    return "\n".join(rows)


def fill(items, pages):
    for item in items:
        chapter = item.get("Chapter") if isinstance(item, dict) else None
        if chapter and chapter.get("path"):
            page = Page(chapter["path"], pages)
            chapter["content"] = DIRECTIVE.sub(page.replace, chapter["content"])
            left = re.search(r"\{\{(?:from|file|help|openapi)\b.*", chapter["content"])
            if left:
                raise SystemExit(f"{chapter['path']}: {left[0]} is not understood")
            fill(chapter["sub_items"], pages)


def main():
    if sys.argv[1:2] == ["supports"]:
        return
    _, book = json.load(sys.stdin)
    fill(book["items"] if "items" in book else book["sections"], pages_of_sources())
    json.dump(book, sys.stdout)


if __name__ == "__main__":
    main()
