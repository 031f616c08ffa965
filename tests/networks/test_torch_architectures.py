"""Whole architectures through ``from_torch``, held against PyTorch; and the list of them in the documentation."""

from __future__ import annotations

from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from torch_modules import FAMILIES, TOLERANCES, errors, listing  # noqa: E402
from torch_modules_architectures import TABLE  # noqa: E402

torch.set_num_threads(1)

QUICK = {"message passing", "deep set with a mask"}
"""Edges as an input, and inputs by name, stand for all in `make test`."""


@pytest.mark.filterwarnings("ignore:.*causal_conv1d.*", "ignore:.*selective_scan.*")
@pytest.mark.parametrize("name", [pytest.param(n, marks=[pytest.mark.slow] * (n not in QUICK)) for n in TABLE])
def test_architectures_answer_as_in_pytorch(name):
    found = errors(name, TABLE[name])
    assert {kind: error for kind, error in found.items() if not error <= TOLERANCES[kind]} == {}


def test_the_documentation_lists_them_all():
    assert sum(map(len, FAMILIES.values())) >= 150
    page = (Path(__file__).parents[2] / "docs" / "pytorch.md").read_text()
    assert listing() in page
