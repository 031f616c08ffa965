import errno
import json
import os
import shutil
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from safetensors.numpy import load

from allroads.errors import StoreError
from allroads.studies.canonical import canonical, digest
from allroads.studies.store import ABANDONED, SCHEMA_VERSION, Store, arrays_bytes, table_bytes
from allroads.studies.weights import named_arrays, restore

HASH = "ab" * 32


def files():
    return {
        "curves.parquet": table_bytes(pl.DataFrame({"step": [0, 1], "train_loss": [1.0, 0.5]})),
        "weights.safetensors": arrays_bytes({"b": np.arange(3.0), "a.w": np.ones((2, 2))}, {"network": "mlp"}),
    }


@pytest.fixture
def store(tmp_path):
    store = Store(tmp_path / "run")
    assert store.write("cells", HASH, {"identity": {"seed": 0}}, files())
    return store


def rewrite_header(store, change):
    """Alter the header as someone would who knows about its digest."""
    path = store.path("cells", HASH) / "cell.json"
    body = json.loads(path.read_bytes())
    del body["digest"]
    body |= change
    path.write_text(canonical(body | {"digest": digest(body)}))


def test_what_is_written_is_read_back(store):
    entry = store.read("cells", HASH)
    assert entry.header["identity"] == {"seed": 0}
    assert entry.header["schema_version"] == SCHEMA_VERSION
    assert entry.table("curves.parquet").to_dict(as_series=False) == {"step": [0, 1], "train_loss": [1.0, 0.5]}
    arrays = entry.arrays("weights.safetensors")
    assert sorted(arrays) == ["a.w", "b"]
    np.testing.assert_array_equal(arrays["b"], np.arange(3.0))
    entry.verify()
    assert store.list("cells") == [HASH]
    assert store.list("tasks") == []


def test_the_first_writer_wins(store):
    before = (store.path("cells", HASH) / "cell.json").read_bytes()
    assert store.write("cells", HASH, {"identity": {"seed": 1}}, files()) is False
    assert (store.path("cells", HASH) / "cell.json").read_bytes() == before
    assert not any((store.directory / ".tmp").iterdir())


def test_the_same_arrays_give_the_same_bytes_in_every_process():
    script = (
        "import sys, numpy as np; from allroads.studies.store import ABANDONED, arrays_bytes; "
        "sys.stdout.buffer.write(arrays_bytes({'b': np.ones(3), 'a': np.zeros((2, 2))}, {c: c for c in 'abcdefgh'}))"
    )
    written = {subprocess.run([sys.executable, "-c", script], capture_output=True, check=True).stdout for _ in range(2)}
    assert len(written) == 1
    assert load(written.pop())["a"].shape == (2, 2)


@pytest.mark.parametrize("name", ["curves.parquet", "weights.safetensors"])
@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda content: content[: len(content) // 2], "truncated"),
        (lambda content: b"", "truncated"),
        (lambda content: content[:-1] + bytes([content[-1] ^ 1]), "altered"),
        (lambda content: content[:9] + bytes([content[9] ^ 1]) + content[10:], "altered"),
    ],
)
def test_a_damaged_file_is_named_with_the_remedy(store, name, damage, said):
    path = store.path("cells", HASH) / name
    path.write_bytes(damage(path.read_bytes()))
    for read in (store.read("cells", HASH).verify, lambda: store.read("cells", HASH).file(name)):
        with pytest.raises(StoreError, match=said) as error:
            read()
        assert str(path) in str(error.value)
        assert f"Delete the folder {path.parent} and run the same command again" in str(error.value)


def test_a_missing_file_is_named(store):
    path = store.path("cells", HASH) / "curves.parquet"
    path.unlink()
    with pytest.raises(StoreError, match=r"curves\.parquet is missing"):
        store.read("cells", HASH).verify()


def test_a_damaged_header_is_named(store):
    path = store.path("cells", HASH) / "cell.json"
    whole = path.read_bytes()
    for damaged in (whole[:-7], b"[]", b"{}", whole.replace(b'"seed":0', b'"seed":1'), b"\xff"):
        path.write_bytes(damaged)
        with pytest.raises(StoreError, match=r"cell\.json was altered|cell\.json is truncated or altered"):
            store.read("cells", HASH)
    path.unlink()
    with pytest.raises(StoreError, match=r"cell\.json is missing"):
        store.read("cells", HASH)


def test_a_newer_schema_is_refused(store):
    rewrite_header(store, {"schema_version": SCHEMA_VERSION + 1})
    with pytest.raises(StoreError, match=f"schema version {SCHEMA_VERSION + 1}; this allroads reads 1 to"):
        store.read("cells", HASH)


def test_an_entry_under_another_name_is_refused(store):
    other = "cd" * 32
    shutil.copytree(store.path("cells", HASH), store.path("cells", other))
    with pytest.raises(StoreError, match="belongs to another entry"):
        store.read("cells", other)


def test_weights_of_another_architecture_are_refused():
    params = {"layers": [{"w": np.ones((2, 3))}, {"w": np.ones((3, 1))}]}
    stored = {name: np.stack([array, array]) for name, array in named_arrays(params).items()}
    assert restore(stored, params, "x")["layers"][1]["w"].shape == (2, 3, 1)
    wider = {"layers": [{"w": np.ones((2, 4))}, {"w": np.ones((4, 1))}]}
    deeper = {"layers": [*params["layers"], {"w": np.ones((1, 1))}]}
    renamed = {"layers": [{"weight": np.ones((2, 3))}, {"weight": np.ones((3, 1))}]}
    scalar = {"layers": [{"w": np.ones((2, 2, 3))}, {"w": np.ones((3, 1))}]}
    for other in (wider, deeper, renamed, scalar):
        with pytest.raises(StoreError, match=r"file\.st holds the weights of another architecture.*layers\.0\.w"):
            restore(stored, other, "file.st")


def test_two_parameters_of_one_dotted_name_are_refused():
    with pytest.raises(StoreError, match="same name"):
        named_arrays({"a.b": np.ones(1), "a": {"b": np.ones(1)}})


def test_a_full_disk_is_said_and_leaves_nothing(store, monkeypatch):
    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StoreError, match=r"the disk is full.*run the same command again"):
        store.write("cells", "cd" * 32, {}, files())
    with pytest.raises(StoreError, match="the disk is full"):
        store.put("tables/summary.json", b"{}")
    monkeypatch.undo()
    assert store.list("cells") == [HASH]
    assert not (store.directory / "tables/summary.json").exists()
    assert not any((store.directory / ".tmp").iterdir())
    store.read("cells", HASH).verify()


@pytest.fixture
def small_disk(tmp_path):
    """A file system of one megabyte."""
    mount = tmp_path / "disk"
    mount.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(mount)], capture_output=True, text=True, check=False
    )
    if made.returncode:
        pytest.skip(f"a small tmpfs cannot be mounted ({made.stderr.strip()}): run as root on Linux")
    yield mount
    subprocess.run(["umount", str(mount)], check=True)


def test_a_disk_that_fills_up_keeps_what_was_finished(small_disk):
    store = Store(small_disk / "run")
    written = []
    with pytest.raises(StoreError, match="the disk is full"):
        for index in range(64):
            name = digest(index)
            store.write("cells", name, {"n": index}, {"values.safetensors": arrays_bytes({"v": np.zeros(8192)})})
            written.append(name)
    assert len(written) >= 8
    assert store.list("cells") == sorted(written)
    for name in written:
        store.read("cells", name).verify()
    assert not any((store.directory / ".tmp").iterdir())


def test_permission_is_said(store, monkeypatch):
    def refused(self, *args, **kwargs):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "open", refused)
    with pytest.raises(StoreError, match=r"no permission.*rights"):
        store.write("cells", "cd" * 32, {}, files())


def test_what_is_no_entry_is_passed_over(store):
    before = store.stamp()
    shard = store.path("cells", HASH).parent
    for stray in (store.directory / "cells" / ".DS_Store", shard / ".DS_Store", shard / ("cd" * 32), shard / "copy"):
        stray.write_bytes(b"\0")
    (store.directory / "cells" / "ab copy").mkdir()
    (store.directory / "cells" / "ab copy" / HASH).mkdir()
    (shard / "ab").mkdir()
    (shard / HASH / ".DS_Store").write_bytes(b"\0")
    assert store.list("cells") == [HASH]
    assert store.has("cells", HASH)
    assert store.stamp() == before


def test_only_what_dead_processes_left_is_cleaned(store):
    """A process that is killed while it writes leaves a folder, a living one keeps its own."""
    script = textwrap.dedent("""
        import sys, time
        from allroads.studies.store import ABANDONED, Store
        store = Store(sys.argv[1])
        with store._staged() as staged:
            staged.mkdir()
            (staged / "half").write_bytes(b"x")
            print(staged.name, flush=True)
            time.sleep(60)
    """)
    command = [sys.executable, "-c", script, store.directory]
    started = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    with started[0] as dead, started[1] as alive:
        dead_name, alive_name = dead.stdout.readline().strip(), alive.stdout.readline().strip()
        dead.kill()
        dead.wait()
        temporary = store.directory / ".tmp"
        assert {path.name for path in temporary.iterdir()} == {dead_name, alive_name}
        store.clean()
        assert {path.name for path in temporary.iterdir()} == {alive_name}
        alive.kill()
        alive.wait()
    store.clean()
    assert not any(temporary.iterdir())


def test_what_another_machine_was_writing_is_kept_for_an_hour(store):
    temporary = store.directory / ".tmp"
    temporary.mkdir(exist_ok=True)
    young, old = (temporary / f"{place * 12}-17-4-abc" for place in "ab")
    for path in (young, old):
        path.mkdir()
    hour_ago = time.time() - ABANDONED - 60
    os.utime(old, (hour_ago, hour_ago))
    store.clean()
    assert [path.name for path in temporary.iterdir()] == [young.name]


def test_the_stamp_notices_every_touch(store):
    first = store.stamp()
    assert store.stamp() == first
    path = store.path("cells", HASH) / "curves.parquet"
    os.utime(path, ns=(1, 1))
    second = store.stamp()
    store.write("measures", "cd" * 32, {}, {})
    assert len({first, second, store.stamp()}) == 3
