"""The site of the documentation: every public name has a page of the reference, links lead to pages of the site."""

from __future__ import annotations

import importlib.util
import re
import sys
import tomllib
from pathlib import Path

import pytest

import allroads

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def site():
    spec = importlib.util.spec_from_file_location("site_pages", ROOT / "docs/site/pages.py")
    module = sys.modules["site_pages"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_public_name_is_on_one_page_of_the_reference(site):
    names = [name for names in site.reference().values() for name in names]
    assert sorted(names) == sorted(set(allroads.__all__) - {"__version__"})
    page = site.reference_page(site.TITLES["paths"], ["barrier", "road"])
    assert re.findall(r"^::: (.+)$", page, re.MULTILINE) == ["allroads.barrier", "allroads.road"]


def test_every_page_is_in_the_navigation(site):
    told = (ROOT / "mkdocs.yml").read_text("utf-8")
    listed = re.findall(r"([\w/-]+\.md)$", told[told.index("\nnav:") :], re.MULTILINE)
    written = [*site.ABOVE.values(), *(f"api/{page}.md" for page in site.TITLES), "references.md"]
    pages = (page.relative_to(ROOT / "docs").as_posix() for page in (ROOT / "docs").rglob("*.md"))
    assert sorted(listed) == sorted([*pages, *written])


@pytest.mark.parametrize(
    ("page", "place", "written", "read"),
    [
        ("docs/faq.md", "faq.md", "[a](llc.md#from)", "[a](llc.md#from)"),
        ("docs/faq.md", "faq.md", "[a](../README.md#install)", "[a](readme.md#install)"),
        ("docs/faq.md", "faq.md", "[code](../src/allroads/results.py)", "code"),
        ("docs/faq.md", "faq.md", "[keys](references.bib)", "[keys](references.md)"),
        ("README.md", "readme.md", "[a](docs/faq.md)", "[a](faq.md)"),
        ("README.md", "readme.md", "![a](docs/report.png)", "![a](report.png)"),
        ("README.md", "readme.md", '<img src="docs/report.png">', '<img src="report.png">'),
        ("benchmarks/README.md", "benchmarks.md", "[a](learnability/README.md)", "[a](benchmarks/learnability.md)"),
        (
            "benchmarks/learnability/README.md",
            "benchmarks/learnability.md",
            "[a](../README.md)",
            "[a](../benchmarks.md)",
        ),
        ("docs/faq.md", "faq.md", "[a](https://x.org/y)", "[a](https://x.org/y)"),
        ("docs/faq.md", "faq.md", "so [saxe2014] [lau2023]", r"so [\[saxe2014\]][saxe2014] [\[lau2023\]][lau2023]"),
        ("docs/faq.md", "faq.md", "```\n[saxe2014](../README.md)\n```", "```\n[saxe2014](../README.md)\n```"),
    ],
)
def test_links_lead_to_pages_of_the_site(site, page, place, written, read):
    assert site.moved(written, page, place) == read


def test_the_bibliography_is_a_page_with_an_entry_under_each_key(site):
    page = site.bibliography_page()
    keys = re.findall(r"^@\w+\{([^,]+),", (ROOT / "docs/references.bib").read_text("utf-8"), re.MULTILINE)
    assert re.findall(r"^## (.+)$", page, re.MULTILINE) == keys
    assert "Enric Boix" not in page and "Boix-Adserà, Enric" in page
    assert not re.search(r"[{}\\]", page)


def test_the_citation_says_what_the_package_says():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    told = (ROOT / "CITATION.cff").read_text("utf-8")
    fields = dict(re.findall(r"^([\w-]+): (.+)$", told, re.MULTILINE))
    assert fields["cff-version"] == "1.2.0" and fields["license"] == project["license"]
    assert fields["version"] == project["version"] == allroads.__version__
    assert re.findall(r"^  - name: (.+)$", told, re.MULTILINE) == [author["name"] for author in project["authors"]]
    assert re.findall(r"^  - (?!name)(.+)$", told, re.MULTILINE) == project["keywords"]
    assert f"version = {{{project['version']}}}" in (ROOT / "README.md").read_text("utf-8")
