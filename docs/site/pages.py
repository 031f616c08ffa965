"""What the site has besides the pages of this folder: the reference, the bibliography, and pages from above it.

mkdocs calls the functions ``on_…``. The reference is written from the table of public names, so a new name is in it.
"""

from __future__ import annotations

import posixpath
import re
import unicodedata
from pathlib import Path
from typing import Any

from allroads import _HOME

ROOT = Path(__file__).parents[2]

# Pages that lie outside docs/, and their places in the site.
ABOVE = {
    "README.md": "readme.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "benchmarks/README.md": "benchmarks.md",
    "benchmarks/learnability/README.md": "benchmarks/learnability.md",
}
# A page of the reference for each folder that defines public names.
TITLES = {
    "pfmap": "The parameter–function map",
    "networks": "Networks from elsewhere",
    "files": "Points from files",
    "targets": "Targets",
    "explorers": "Explorers and samplers",
    "points": "Points",
    "programs": "Programs",
    "paths": "Paths",
    "atlases": "The atlas",
    "studies": "Studies",
    "results": "Results, statuses and errors",
}
RESULTS = {"results", "status", "errors"}

link_of = re.compile(r"\[([^\]\[]*)\]\(([^)\s]+)\)")
picture_of = re.compile(r'src="([^"]+)"')
key_of = re.compile(r"\[([a-z]+\d{4}[a-z]?)\](?![\[(])")


def reference() -> dict[str, list[str]]:
    """The public names of each page of the reference, in the order of the table of names."""
    pages: dict[str, list[str]] = {title: [] for title in TITLES}
    for name, home in _HOME.items():
        folder = home.split(".")[1]
        pages["results" if folder in RESULTS else folder].append(name)
    return pages


def reference_page(title: str, names: list[str]) -> str:
    """One page: what is on it, then the docstring of each name."""
    listed = " · ".join(f"[`{name}`][allroads.{name}]" for name in names)
    return "\n\n".join([f"# {title}", listed, *(f"::: allroads.{name}" for name in names)])


def entries(bibliography: str) -> list[dict[str, str]]:
    """The fields of each entry, without the marks of BibTeX."""
    found = []
    for text in re.split(r"^@", bibliography, flags=re.MULTILINE)[1:]:
        key = text[text.index("{") + 1 : text.index(",")].strip()
        fields = re.findall(r"^\s+(\w+)\s*=\s*\{(.*?)\},?$", text, re.MULTILINE | re.DOTALL)
        found.append({"key": key} | {name: plain(value) for name, value in fields})
    return found


ACCENTS = {"`": "\u0300", "'": "\u0301", "^": "\u0302", "~": "\u0303", '"': "\u0308", "c": "\u0327", "v": "\u030c"}
LETTERS = {r"\o": "ø", r"\l": "ł", r"\ss": "ß", r"\i": "i", r"\O": "Ø", r"\L": "Ł", r"\ae": "æ", r"\aa": "å"}


def plain(value: str) -> str:
    """Text as people read it: accents set on their letters, braces and backslashes gone."""
    value = re.sub(r"\\([`'^~\"])\{?\\?([A-Za-z])\}?", lambda m: m[2] + ACCENTS[m[1]], value)
    value = re.sub(r"\\([cv])\{([A-Za-z])\}", lambda m: m[2] + ACCENTS[m[1]], value)
    for written, letter in LETTERS.items():
        value = re.sub(re.escape(written) + r"(?![A-Za-z])\s*", letter, value)
    value = re.sub(r"\s+", " ", value.replace("---", "—").replace("--", "–"))
    return unicodedata.normalize("NFC", value.replace("{", "").replace("}", "").replace("\\", ""))


def bibliography_page() -> str:
    """The bibliography as a page, each entry under its key."""
    lines = ["# References", "The papers behind the keys such as [saxe2014]."]
    for entry in entries((ROOT / "docs/references.bib").read_text("utf-8")):
        where = [entry[name] for name in ("journal", "booktitle", "publisher", "note") if name in entry]
        if "eprint" in entry:
            where.append(f"[arXiv:{entry['eprint']}](https://arxiv.org/abs/{entry['eprint']})")
        if "doi" in entry:
            where.append(f"[doi:{entry['doi']}](https://doi.org/{entry['doi']})")
        who = " and ".join(entry["author"].split(" and "))
        told = ". ".join([f"{who} ({entry['year']})", f"*{entry['title']}*", *where])
        lines += [f"## {entry['key']}", f"{told}."]
    return "\n\n".join(lines)


def moved(text: str, page: str, place: str) -> str:
    """The page's Markdown with the links of the site: from files of the repository to pages, from keys to papers.

    Args:
        text: Markdown.
        page: The page's path in the repository.
        place: Its path in the site.
    """

    def link(match: re.Match[str]) -> str:
        words, path, anchor = match[1], *match[2].partition("#")[::2]
        if not path or re.match(r"\w+:", path):
            return match[0]
        lies = posixpath.normpath(posixpath.join(posixpath.dirname(page), path))
        to = ABOVE.get(lies) or ("references.md" if lies == "docs/references.bib" else lies.removeprefix("docs/"))
        if to == lies and (ROOT / lies).is_file():
            return words  # a file that is no page of the site: its name stays
        to = posixpath.relpath(to, posixpath.dirname(place) or ".")
        return f"[{words}]({to}{anchor and '#'}{anchor})"

    def picture(match: re.Match[str]) -> str:
        return f'src="{link_of.sub(link, f"[]({match[1]})")[3:-1]}"'

    parts = re.split(r"(^```.*?^```$)", text, flags=re.DOTALL | re.MULTILINE)
    parts[::2] = [
        key_of.sub(r"[\\[\1\\]][\1]", picture_of.sub(picture, link_of.sub(link, part))) for part in parts[::2]
    ]
    return "".join(parts)


def on_files(files: Any, config: Any) -> Any:
    """The pages that are written here, or lie above."""
    from mkdocs.structure.files import File

    written = {place: (ROOT / path).read_text("utf-8") for path, place in ABOVE.items()}
    written |= {f"api/{page}.md": reference_page(TITLES[page], names) for page, names in reference().items()}
    written["references.md"] = bibliography_page()
    for place, text in written.items():
        files.append(File.generated(config, place, content=text))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Links from files to pages, and from keys to the bibliography."""
    place = page.file.src_uri
    above = {there: path for path, there in ABOVE.items()}
    return moved(markdown, above.get(place, f"docs/{place}"), place)


def on_post_build(config: Any) -> None:
    """Refuse a site whose reference lacks a public name."""
    from mkdocs.exceptions import PluginError

    site = Path(config.site_dir)
    shown = {name for page in reference() for name in anchors_of((site / f"api/{page}.html").read_text("utf-8"))}
    if missing := set(_HOME) - shown:
        raise PluginError(f"the reference lacks {', '.join(sorted(missing))}")


def anchors_of(html: str) -> set[str]:
    """Public names that a page of the reference documents."""
    return set(re.findall(r'id="allroads\.(\w+)"', html))
