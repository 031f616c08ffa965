"""The memory that is left: of a machine, within control groups of both versions, and of an accelerator."""

from __future__ import annotations

from pathlib import Path

import pytest

from allroads import memory
from allroads.errors import MemoryBudgetError
from allroads.memory import check_left, memory_left


def write(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def test_what_the_machine_has_available_is_read(tmp_path):
    write(tmp_path, {"meminfo": "MemTotal: 9 kB\nMemFree: 1 kB\nMemAvailable:       7 kB\n"})
    assert memory._available(tmp_path / "meminfo") == 7 * 1024
    assert memory._available(tmp_path / "absent") is None


def test_every_control_group_above_a_process_counts(tmp_path):
    """The inner one allows 1,000 with 400 taken, of which 100 are cached files; the outer one has 200 left."""
    write(
        tmp_path,
        {
            "proc/self/cgroup": "0::/outer/inner\n",
            "sys/fs/cgroup/outer/inner/memory.max": "1000\n",
            "sys/fs/cgroup/outer/inner/memory.current": "400\n",
            "sys/fs/cgroup/outer/inner/memory.stat": "anon 300\ninactive_file 100\n",
            "sys/fs/cgroup/outer/memory.max": "5000\n",
            "sys/fs/cgroup/outer/memory.current": "4800\n",
            "sys/fs/cgroup/memory.max": "max\n",
            "sys/fs/cgroup/memory.current": "6000\n",
        },
    )
    assert memory._groups(tmp_path) == [700, 200]


def test_control_groups_of_the_first_version_count(tmp_path):
    write(
        tmp_path,
        {
            "proc/self/cgroup": "5:cpu,cpuacct:/\n4:memory:/job\n",
            "sys/fs/cgroup/memory/job/memory.limit_in_bytes": "1000\n",
            "sys/fs/cgroup/memory/job/memory.usage_in_bytes": "900\n",
            "sys/fs/cgroup/memory/job/memory.stat": "total_inactive_file 50\n",
        },
    )
    assert memory._groups(tmp_path) == [150]


class Device:
    """A device with these statistics."""

    def __init__(self, platform: str, stats: dict[str, int] | None):
        self.platform, self.stats = platform, stats

    def memory_stats(self) -> dict[str, int] | None:
        return self.stats


def test_an_accelerator_says_what_its_allocator_has_left():
    assert memory_left(Device("gpu", {"bytes_limit": 100, "bytes_in_use": 30})) == 70
    assert memory_left(Device("gpu", None)) is None
    assert memory_left(Device("cpu", None)) == pytest.approx(memory_left(), rel=0.2)


def test_what_fits_or_is_not_known_is_not_refused():
    check_left("a matrix", 10, 10, "")
    check_left("a matrix", 10, None, "")
    with pytest.raises(MemoryBudgetError, match=r"a matrix: needs about 3.0 GiB of 1.0 GiB that are left\. Halve it\."):
        check_left("a matrix", 3 * 2**30, 2**30, "Halve it.")
