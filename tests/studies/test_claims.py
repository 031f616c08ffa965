"""Claims: one holder, no lock of the system, and the dead are taken over."""

import errno
import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from allroads.errors import StoreError
from allroads.studies import claims as module
from allroads.studies.claims import LEASE, Claims, seconds_since_change
from allroads.studies.processes import Process

ELSEWHERE = "0123456789ab-17-4-feed"
"""A holder on another machine."""


@pytest.fixture
def claims(tmp_path):
    found = Claims(tmp_path)
    yield found
    found.close()


def held_elsewhere(claims, name, silent):
    """A claim of another machine, whose last sign of life is so many seconds old."""
    path = claims.folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(ELSEWHERE)
    then = time.time() - silent
    os.utime(path, (then, then))
    return path


def test_a_claim_is_held_by_one_and_leaves_no_file(claims, tmp_path):
    other = Claims(tmp_path)
    assert claims.take("pack") and not other.take("pack") and not claims.take("pack")
    assert other.take("other")
    other.give("pack")  # which is not its own
    assert not other.take("pack")
    claims.give("pack")
    assert other.take("pack")
    other.close()
    assert not any(claims.folder.iterdir())


def test_one_of_many_gets_it(tmp_path):
    """Forty holders ask at the same time, for a free claim and for one of a dead holder."""
    for name, silent in (("free", None), ("dead", 2 * LEASE)):
        holders = [Claims(tmp_path) for _ in range(40)]
        if silent:
            held_elsewhere(holders[0], name, silent)
        start = threading.Barrier(len(holders))

        def ask(holder, name=name, start=start):
            start.wait()
            return holder.take(name)

        with ThreadPoolExecutor(len(holders)) as threads:
            assert sum(threads.map(ask, holders)) == 1
        for holder in holders:
            holder.close()
        assert not any(holders[0].folder.iterdir())


def test_a_silent_holder_on_another_machine_is_taken_over(claims):
    held_elsewhere(claims, "quiet", LEASE + 5)
    held_elsewhere(claims, "alive", LEASE - 20)
    assert claims.take("quiet") and not claims.take("alive")
    assert (claims.folder / "alive").read_text() == ELSEWHERE


def test_a_claim_that_another_took_over_meanwhile_is_left(claims, tmp_path, monkeypatch):
    """Both saw the dead holder; the other one took its claim before we had the right to."""
    held_elsewhere(claims, "pack", 2 * LEASE)
    other, created, taken = Claims(tmp_path), claims._created, []

    def late(path):
        if path.name != "pack" and not taken:
            taken.append(other.take("pack"))
        return created(path)

    monkeypatch.setattr(claims, "_created", late)
    assert not claims.take("pack") and taken == [True]
    assert not Claims(tmp_path).take("pack")
    other.close()
    assert not any(claims.folder.iterdir())


def test_who_lost_its_claim_leaves_it_with_the_other(claims, tmp_path):
    assert claims.take("pack")
    (claims.folder / "pack").write_text(ELSEWHERE)
    claims.give("pack")
    assert (claims.folder / "pack").read_text() == ELSEWHERE


def test_a_killed_holder_on_this_machine_is_taken_over_at_once(claims, tmp_path):
    script = (
        "import sys, time; from pathlib import Path; from allroads.studies.claims import Claims;"
        "claims = Claims(Path(sys.argv[1])); print(claims.take('pack'), flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout.readline() == "True\n"
        assert not claims.take("pack")
        holder.kill()
        time.sleep(0.2)  # a zombie until it is waited for
        assert claims.take("pack")


def test_signs_of_life_keep_a_claim(claims, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "BEAT", 0.02)
    assert claims.take("pack")
    path = claims.folder / "pack"
    os.utime(path, (1, 1))
    deadline = time.monotonic() + 10
    while seconds_since_change(path) > 5:
        assert time.monotonic() < deadline, "no sign of life"
        time.sleep(0.02)
    claims.give("pack")
    assert not path.exists()


def test_the_clock_is_that_of_the_file_system(tmp_path, monkeypatch):
    path = tmp_path / "file"
    path.touch()
    monkeypatch.setattr(time, "time", lambda: 0.0)
    assert 0 <= seconds_since_change(path) < 30
    assert seconds_since_change(tmp_path / "none") == 0.0
    assert [child.name for child in tmp_path.iterdir()] == ["file"]


def test_clean_removes_what_the_dead_left(claims, tmp_path):
    held_elsewhere(claims, "quiet", 2 * LEASE)
    held_elsewhere(claims, "alive", 0)
    (claims.folder / "unwritten").touch()
    os.utime(claims.folder / "unwritten", (1, 1))
    claims.clean()
    assert [path.name for path in claims.folder.iterdir()] == ["alive"]


def test_others_wait_for_what_is_done_alone(claims, tmp_path):
    order = []

    def second():
        other = Claims(tmp_path)
        with other.alone("tables"):
            order.append("second")
        other.close()

    with claims.alone("tables"):
        thread = threading.Thread(target=second)
        thread.start()
        time.sleep(0.2)
        order.append("first")
    thread.join(10)
    assert order == ["first", "second"]


def test_a_full_disk_is_said_and_leaves_no_claim(claims, monkeypatch):
    def full(*arguments, **options):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(module.os, "open", full)
    with pytest.raises(StoreError, match=r"the disk is full.*finished cells are kept"):
        claims.take("pack")
    monkeypatch.undo()
    assert not any(claims.folder.iterdir())


def test_a_process_whose_number_was_used_again_is_dead():
    here = Process.here()
    assert here.is_alive and Process.read(str(here)) == here
    assert not Process(here.place, here.number, here.began + 1).is_alive
    assert not Process("0123456789ab", here.number, here.began).is_local
    assert Process.read("no name") is None
