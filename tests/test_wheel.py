"""The wheel: all that is in the repository under src/ is in it, and it runs outside of a checkout."""

from __future__ import annotations

import email
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import allroads

ROOT = Path(__file__).parents[1]
STUDY = """
name = "wheel"

[[grid]]
name = "bits"
seeds = 2
steps = 10
records = 4
target = [{ kind = "boolean", bits = 3, rule = "parity" }]
architecture = [{ kind = "mlp", widths = [4] }]
explorer = [{ kind = "adam" }]
"""

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel, built here by the back end that pyproject.toml names."""
    pytest.importorskip("hatchling", reason="the wheel's back end is not installed: pip install --group dev")
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    return next(folder.glob("*.whl"))


def test_the_wheel_holds_every_file_of_the_package(wheel):
    tracked = {
        path.relative_to(ROOT / "src").as_posix()
        for path in (ROOT / "src/allroads").rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    }
    with zipfile.ZipFile(wheel) as opened:
        held = {name for name in opened.namelist() if ".dist-info/" not in name}
        told = email.message_from_bytes(opened.read(f"allroads-{allroads.__version__}.dist-info/METADATA"))
    assert held == tracked
    assert {"allroads/py.typed", "allroads/studies/quickstart.toml", "allroads/report/template.html"} <= held
    assert told["Version"] == allroads.__version__ and told["Description-Content-Type"] == "text/markdown"


def test_the_wheel_runs_a_study_and_writes_its_report_outside_of_a_checkout(wheel, tmp_path):
    with zipfile.ZipFile(wheel) as opened:
        opened.extractall(tmp_path / "installed")
    place = tmp_path / "empty"
    place.mkdir()
    (place / "study.toml").write_text(STUDY)
    environment = os.environ | {"PYTHONPATH": str(tmp_path / "installed")}

    def run(code, *words):
        command = [sys.executable, "-P", "-c", code, *words]
        return subprocess.run(command, cwd=place, env=environment, capture_output=True, text=True, check=True).stdout

    where = run("import allroads; print(allroads.__file__)")
    assert Path(where.strip()) == tmp_path / "installed/allroads/__init__.py"
    main = "from allroads.cli import main; main()"
    assert "quickstart" in run(main, "list", "studies")
    said = json.loads(run(main, "run", "study.toml", "--engine", "process", "--json"))
    assert said["status_counts"] == {"ok": 2}
    assert "<html" in (place / said["report"]).read_text("utf-8")
