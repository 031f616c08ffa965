"""The set-up: exact versions for what is declared, and a PyTorch build that nothing replaces."""

import ast
import importlib.metadata
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import allroads

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PINS = dict(line.split("==") for line in (ROOT / "constraints.txt").read_text().split())


def names(requirements):
    return [re.match(r"[\w.-]+", requirement)[0].lower() for requirement in requirements]


def test_everything_declared_has_an_exact_version():
    groups = PROJECT["dependency-groups"]
    declared = names([*PROJECT["project"]["dependencies"], *groups["test"], *groups["dev"], *groups["docs"]])
    pinned = {name.lower() for name in PINS}
    # What only builds and checks the package may be newer than it was here.
    assert [name for name in declared if name not in pinned and name not in ("build",)] == []


def test_pytorch_is_pinned_and_its_companions_stay_out():
    assert PINS["torch"] == "2.13.0"
    assert not {"torchvision", "torchaudio", "curvlinops-for-pytorch"} & set(PINS)
    assert names(PROJECT["project"]["optional-dependencies"]["torch"]) == ["torch"]
    assert "torch" not in names(PROJECT["project"]["dependencies"])


def test_pyright_reads_whatever_is_public():
    config = PROJECT["tool"]["basedpyright"]
    read = {path for pattern in config["include"] for path in ROOT.glob(pattern)}
    left_out = {ROOT / path for path in config["exclude"]}
    for name, module in allroads._HOME.items():
        path = (ROOT / "src").joinpath(*module.split("."))
        path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
        above = {path, *path.parents}
        assert above & read and not above & left_out, f"{name} is defined in {path}, which pyright does not read"


def test_type_checkers_know_every_public_name():
    tree = ast.parse(Path(allroads.__file__).read_text())
    known = {
        alias.name: node.module
        for block in tree.body
        if isinstance(block, ast.If) and ast.unparse(block.test) == "TYPE_CHECKING"
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert known == allroads._HOME


def test_no_package_index_is_named():
    for file in ("pyproject.toml", "constraints.txt", "Makefile"):
        text = (ROOT / file).read_text()
        assert "://" not in text and "index-url" not in text and "find-links" not in text


def test_installing_again_with_the_constraints_leaves_pytorch_alone():
    """A dry run of what `make test` installs, into an environment that has PyTorch."""
    try:
        importlib.metadata.version("torch")
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("the extra `torch` is not installed: pip install 'allroads[torch]'")
    command = [sys.executable, "-m", "pip", "install", "--dry-run", "--quiet", "--report", "-"]
    asked = ["--constraint", "constraints.txt", "--editable", ".[torch]", "--group", "test"]
    told = subprocess.run([*command, *asked], cwd=ROOT, capture_output=True, text=True, check=False)
    if told.returncode:
        pytest.skip(f"pip cannot resolve here (no registry?): {told.stderr.strip().splitlines()[-1:]}")
    installed = {item["metadata"]["name"].lower() for item in json.loads(told.stdout)["install"]}
    assert "torch" not in installed and not any(name.startswith("nvidia") for name in installed)
