"""The sandbox of extracted source: what it may do, and what stops it."""

import pytest

from allroads import InputError, run_source

ADD = "def program(x):\n    return sum(x)\n"


def test_answers_come_back_as_they_are():
    assert run_source(ADD, [[1, 2], [3, 4]]) == [3, 7]
    swap = "def program(x):\n    return [b for a, b in x]\n"
    assert run_source(swap, [[(1, 2), (3, 4)]]) == [[2, 4]]
    assert run_source(
        "def program(x):\n    return isinstance_free(x)\ndef isinstance_free(x):\n    return x", ["a"]
    ) == ["a"]


@pytest.mark.parametrize(
    "body",
    [
        "import os",
        "return open('/etc/passwd').read()",
        "return __import__('os').getcwd()",
        "return eval('1')",
        "return getattr(x, 'append')",
        "return 1 / 0",
    ],
)
def test_what_it_may_not_do(body):
    with pytest.raises(InputError, match="the source failed"):
        run_source(f"def program(x):\n    {body}\n", [[1]])


def test_no_program_and_no_source():
    with pytest.raises(InputError, match="KeyError: 'program'"):
        run_source("answer = 1", [[1]])
    with pytest.raises(InputError, match="SyntaxError"):
        run_source("def program(x) return x", [[1]])


def test_time_and_memory_are_limited():
    with pytest.raises(InputError, match=r"signal|seconds"):
        run_source("def program(x):\n    while True:\n        x = x\n", [1], seconds=1)
    with pytest.raises(InputError, match="MemoryError"):
        run_source("def program(x):\n    return len([0] * 10 ** 9)\n", [1], megabytes=256)
    with pytest.raises(InputError, match="seconds"):
        run_source(ADD, [[1]], seconds=0)
