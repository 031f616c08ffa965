"""The kernel keeps to its memory budget, measured from outside as the resident size of a fresh process."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "kernel_memory.py"
COMPILING = 64
"""MiB allowed for what compiling takes, whatever the problem."""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads /proc; run on Linux")
@pytest.mark.parametrize(("examples", "kind"), [(400, "separate"), (48, "coupled")])
def test_peak_memory_of_a_kernel_stays_within_its_budget(examples, kind):
    """One output each and 399,000 parameters, in 96 MiB: the whole Jacobian of the first takes 609 MiB."""
    command = [sys.executable, str(SCRIPT), "--case", str(examples), "1", "600", "96", kind]
    row = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    assert row["extra_mib"] < 96 + COMPILING
    assert row["product_error"] < 1e-5
