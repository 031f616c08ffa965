import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from command_in_process import allroads

ALLROADS = str(Path(sys.executable).parent / "allroads")

STUDY = """
name = "tiny <script>alert(1)</script> ../../x"
question = "Is parity learned?"

[measures]
embedding = false

[[grid]]
name = "bits"
seeds = 2
steps = 10
records = 4

[[grid.target]]
kind = "boolean"
bits = 3
rule = "parity"

[[grid.architecture]]
kind = "mlp"
widths = [4]

[[grid.explorer]]
kind = "adam"
"""

RUNS = ("trajectories", "chart", "values", "curves", "fit", "certified", "stages", "directness", "turning")


def process(*words, cwd=None, **environment):
    """The command in a process of its own, as a user starts it."""
    command, told = [ALLROADS, *map(str, words)], environment.get("PYTHONIOENCODING", "utf-8")
    env = os.environ | environment
    return subprocess.run(command, capture_output=True, encoding=told, cwd=cwd, timeout=120, check=False, env=env)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cli")
    (folder / "tiny.toml").write_text(STUDY)
    return folder


@pytest.fixture(scope="module")
def ran(folder):
    """The small study, run by the command line in its own folder, as JSON says it."""
    done = process("run", "tiny.toml", "--engine", "process", "--json", "--no-report", cwd=folder)
    assert done.returncode == 0, done.stderr
    return done, json.loads(done.stdout)


def test_help_is_as_fast_as_importing_typer():
    """Least processor times of interleaved runs: what is heavy is not imported for a page of help."""
    commands = ([sys.executable, "-c", "import typer"], [ALLROADS, "--help"])
    times = ([], [])
    for _ in range(15):
        for command, measured in zip(commands, times, strict=True):
            began = resource.getrusage(resource.RUSAGE_CHILDREN)
            subprocess.run(command, capture_output=True, check=True)
            ended = resource.getrusage(resource.RUSAGE_CHILDREN)
            measured.append(ended.ru_utime + ended.ru_stime - began.ru_utime - began.ru_stime)
    bare, ours = map(min, times)
    assert ours < 1.5 * bare


def test_help_imports_nothing_heavy():
    script = (
        "import sys, contextlib\n"
        "sys.argv = ['allroads', '--help']\n"
        "from allroads.cli import main\n"
        "with contextlib.suppress(SystemExit): main()\n"
        "print([name for name in ('jax', 'numpy', 'polars', 'pydantic', 'torch') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
    assert all(command in done.stdout for command in ("run", "report", "list", "doctor"))
    assert "..." not in done.stdout.replace("[ARGS]...", "")  # the line of each command is a whole sentence


def test_run_says_what_it_did(ran, folder):
    done, said = ran
    assert said["computed"] == {**dict.fromkeys(RUNS, 1), "pairs": 1}
    assert said["status_counts"] == {"ok": 2}
    assert said["report"] is None
    # The name is made harmless before it becomes a folder.
    assert said["directory"] == "runs/tiny-script-alert-1-script-x"
    assert sorted(path.name for path in (folder / "runs").iterdir()) == ["tiny-script-alert-1-script-x"]
    lines = done.stderr.splitlines()
    assert lines[0] == "trajectories 0/1"
    assert any(line.startswith("trajectories 1/1: ") for line in lines)


def test_the_same_command_again_says_so_and_ends_in_words(ran, folder):
    done = allroads("run", "tiny.toml", "--no-report", cwd=folder)
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    assert lines[0] == "Everything was finished before; nothing was computed."
    assert any(line.startswith("• ") for line in lines)
    assert lines[-1] == "Results: runs/tiny-script-alert-1-script-x"


def test_a_finished_study_imports_no_jax(ran, folder):
    script = (
        "import sys\n"
        "sys.argv = ['allroads', 'run', 'tiny.toml', '--no-report']\n"
        "from allroads.cli import main\n"
        "try: main()\n"
        "except SystemExit as end: assert not end.code\n"
        "print([name for name in ('jax', 'polars', 'torch') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=folder, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("run", "nothing"), 2, "no study 'nothing'"),
        (
            ("run", "tiny.toml", "--set", "grid.0.seedz=4"),
            2,
            "tiny.toml: grid.0.seedz: unknown key: did you mean 'seeds'?",
        ),
        (("run", "tiny.toml", "--set", "grid.0.target.0.bits=99"), 2, "tiny.toml: grid.0.target.0: "),
        (("run", "tiny.toml", "--engine", "cluster"), 2, "expected auto, process, pool, pool:N, ray, "),
        (("run", "tiny.toml", "--out", "tiny.toml"), 1, "tiny.toml is a file; expected a run directory"),
        (("run", "tiny.toml", "--out", "."), 1, "is not empty and not the directory of a study"),
        (("list", "target"), 2, "Did you mean 'targets'?"),
        (("report", "."), 1, ""),
        (
            ("inspect", "no_such:net", "--data", "none.npz", "--loss", "mse", "--report", "."),
            2,
            "--report .: this is a",
        ),
        (
            ("inspect", "no_such:net", "--data", "none.npz", "--loss", "mse", "--plane"),
            2,
            "--plane: it is drawn in the report; give --report FILE too.",
        ),
        (
            ("connect", "no_such:net", "--a", "a", "--b", "b", "--data", "d", "--loss", "mse", "--save", "."),
            2,
            "--save .",
        ),
        (
            ("run", "tiny.toml", "--set", "grid.0.seedz=4", "--set", "grid.0.explorer.0.lerning_rate=1.0"),
            2,
            "lerning_rate",
        ),
        (("report", ".", "--figures", "gif"), 2, "expected svg, png or pdf"),
        (("run",), 2, "tudy"),
    ],
)
def test_bad_input_is_one_clean_message(folder, words, code, said):
    done = allroads(*words, cwd=folder)
    assert done.returncode == code
    assert said in done.stderr
    assert "Traceback" not in done.stderr + done.stdout
    assert done.stdout == ""


def test_debug_shows_the_traceback(folder):
    done = process("run", "nothing", cwd=folder, ALLROADS_DEBUG="1")
    assert done.returncode == 1
    assert "Traceback" in done.stderr and "ConfigError" in done.stderr


def test_a_damaged_cell_is_named(ran, folder, tmp_path):
    import shutil

    directory = shutil.copytree(folder / ran[1]["directory"], tmp_path / "run")
    path = next(directory.rglob("arrays.safetensors"))
    path.write_bytes(path.read_bytes()[:-5])
    done = allroads("run", folder / "tiny.toml", "--out", directory, "--no-report")
    assert done.returncode == 1
    assert f"{path} is truncated" in done.stderr and f"Delete the folder {path.parent}" in done.stderr


def test_report_writes_the_page_and_the_figures(ran, folder, tmp_path):
    import shutil

    directory = shutil.copytree(folder / ran[1]["directory"], tmp_path / "run")
    said = json.loads(allroads("report", directory, "--figures", "svg", "--json").stdout)
    assert said["report"] == str(directory / "report.html")
    page = Path(said["report"]).read_text()
    assert "<script>alert(1)</script>" not in page and "parity" in page
    assert said["figures"] and all(Path(path).read_text().startswith("<svg") for path in said["figures"])
    assert allroads("report", directory).stdout.startswith("Report:  file:///")


def test_list(ran, folder):
    found = json.loads(allroads("list", "--json").stdout)
    assert {"targets", "architectures", "explorers", "measures", "studies"} == set(found)
    assert "modular" in found["targets"] and "mlp" in found["architectures"] and "adam" in found["explorers"]
    assert "quickstart" in found["studies"] and found["measures"]["turning"].startswith("Turning of one run")
    plain = allroads("list", "explorers").stdout
    assert plain.startswith("explorers:\n") and "adamw" in plain
    for kind in ("targets", "architectures", "explorers"):
        sentences = list(found[kind].values())
        assert len(set(sentences)) == len(sentences)
        assert all(sentence.endswith(".") and "partial(" not in sentence for sentence in sentences), sentences
    assert found["explorers"]["hmc"].startswith("Hamiltonian trajectories with a Metropolis test")
    cells = json.loads(allroads("list", ran[1]["directory"], "--json", cwd=folder).stdout)
    assert [(cell["seed"], cell["status"]) for cell in cells] == [(0, "ok"), (1, "ok")]
    assert allroads("list", ran[1]["directory"], cwd=folder).stdout.splitlines()[-1] == "2 cells"


@pytest.mark.slow
@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_output_that_cannot_show_every_sign_is_written_all_the_same(ran, folder, tmp_path, encoding):
    """The study's name has signs of neither encoding; JSON keeps them as escapes, and words replace them."""
    (tmp_path / "signs.toml").write_text(STUDY.replace("tiny <", "λ 学 <"), encoding="utf-8")
    first = process("run", "signs.toml", "--no-report", cwd=tmp_path, PYTHONIOENCODING=encoding)
    assert first.returncode == 0 and "?" in first.stdout, first.stderr
    again = process("run", "signs.toml", "--json", cwd=tmp_path, PYTHONIOENCODING=encoding)
    assert again.returncode == 0
    assert json.loads(again.stdout)["name"].startswith("λ 学 <")
    for words in (("list",), ("list", "--json"), ("list", "runs/λ-学-script-alert-1-script-x")):
        done = process(*words, cwd=tmp_path, PYTHONIOENCODING=encoding)
        assert done.returncode == 0, done.stderr
        assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_a_study_whose_name_makes_the_folder_of_another_is_refused(ran, folder, tmp_path):
    """Without --out, the second would take the place of the first; with it, each has its own."""
    (tmp_path / "first.toml").write_text(STUDY.replace("tiny <script>", "One!"))
    (tmp_path / "second.toml").write_text(STUDY.replace("tiny <script>", "one?"))
    assert allroads("run", "first.toml", "--no-report", cwd=tmp_path).returncode == 0
    (directory,) = (tmp_path / "runs").iterdir()
    before = {path: path.read_bytes() for path in directory.rglob("*") if path.is_file()}
    done = allroads("run", "second.toml", "--no-report", cwd=tmp_path)
    assert done.returncode == 1
    assert "holds the study 'One!alert" in done.stderr and "Choose an --out of its own" in done.stderr
    assert {path: path.read_bytes() for path in directory.rglob("*") if path.is_file()} == before
    assert allroads("run", "second.toml", "--no-report", "--out", "other", cwd=tmp_path).returncode == 0


def test_the_report_of_a_study_that_was_killed_says_how_to_go_on(ran, folder, tmp_path):
    import shutil

    directory = shutil.copytree(folder / ran[1]["directory"], tmp_path / "killed")
    shutil.rmtree(directory / "tables")
    for words in ((), ("--figures", "svg")):
        done = allroads("report", directory, *words)
        assert done.returncode == 1
        assert "is unfinished" in done.stderr and "Run the same `allroads run` command again" in done.stderr


@pytest.mark.slow
def test_files_that_other_programs_leave_in_a_run_directory_do_no_harm(ran, folder, tmp_path):
    import shutil

    directory = shutil.copytree(folder / ran[1]["directory"], tmp_path / "run")
    cell = next((directory / "cells").glob("*/*"))
    for place in (directory, directory / "cells", cell.parent, cell, directory / "tables", directory / "provenance"):
        for name in (".DS_Store", "._other", "Thumbs.db", "a folder"):
            (place / name).mkdir() if name == "a folder" else (place / name).write_bytes(b"\0\1")
    cells = json.loads(allroads("list", directory, "--json").stdout)
    assert len(cells) == 2
    done = allroads("run", folder / "tiny.toml", "--out", directory, "--json", "--no-report")
    assert done.returncode == 0, done.stderr
    assert not any(json.loads(done.stdout)["computed"].values())
    assert allroads("report", directory).returncode == 0


def test_doctor(tmp_path):
    done = allroads("doctor", "--json", ALLROADS_CACHE=str(tmp_path / "cache"))
    said = json.loads(done.stdout)
    assert done.returncode == 0 and said["problems"] == 0
    assert {"python", "jax", "products", "torch", "threads", "cache", "chromium"} <= {
        check["name"] for check in said["checks"]
    }
    (tmp_path / "file").touch()
    done = allroads("doctor", ALLROADS_CACHE=str(tmp_path / "file/cache"))
    assert done.returncode == 1
    assert "!!  cache" in done.stdout and "Set ALLROADS_CACHE to a folder that can be written to." in done.stdout


@pytest.mark.slow
def test_progress_on_a_terminal_is_a_bar(folder, tmp_path):
    """Run under a pseudo-terminal, where the lines give way to bars with the remaining time."""
    import pty

    ours, theirs = pty.openpty()
    command = [ALLROADS, "run", str(folder / "tiny.toml"), "--out", str(tmp_path / "run"), "--no-report"]
    with subprocess.Popen(command, stderr=theirs, stdout=subprocess.DEVNULL, env=os.environ | {"TERM": "xterm"}) as run:
        os.close(theirs)
        shown = b""
        while True:
            try:
                part = os.read(ours, 4096)
            except OSError:  # the other end is closed
                break
            if not part:
                break
            shown += part
    os.close(ours)
    assert run.returncode == 0
    assert b"trajectories" in shown and b"1/1" in shown and "━".encode() in shown and b"left" in shown
