"""Progress of one call: nothing for short calls, lines elsewhere than on a terminal, a bar on one."""

from __future__ import annotations

import io
import time

import pytest

import allroads.progress
from allroads.progress import progress


class _Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(allroads.progress, "SECONDS_BEFORE", 0.05)
    monkeypatch.setattr(allroads.progress, "SECONDS_BETWEEN_LINES", 0.05)


@pytest.mark.parametrize("kind", [io.StringIO, _Terminal])
def test_a_long_call_tells_what_it_does(kind):
    stream = kind()
    with progress("extract", stream=stream) as say:
        say("as [a] machine")
        time.sleep(0.5)
    assert "extract: as [a] machine" in stream.getvalue()


@pytest.mark.parametrize("kind", [io.StringIO, _Terminal])
def test_short_and_silent_calls_write_nothing(kind, monkeypatch):
    stream = kind()
    with progress("extract", shown=False, stream=stream) as say:
        say("as a machine")
        time.sleep(0.2)
    monkeypatch.setattr(allroads.progress, "SECONDS_BEFORE", 60)
    monkeypatch.setattr(allroads.progress, "SECONDS_BETWEEN_LINES", 60)
    with progress("extract", stream=stream) as say:
        say("as a machine")
    assert "extract" not in stream.getvalue()


def test_an_error_ends_it():
    stream = io.StringIO()
    with pytest.raises(ZeroDivisionError), progress("extract", stream=stream):
        raise ZeroDivisionError
    time.sleep(0.2)
    assert stream.getvalue() == ""


def test_nothing_is_drawn_once_a_bar_has_ended():
    """A bar that still turns draws itself ten times a second."""
    stream = _Terminal()
    with progress("extract", stream=stream) as say:
        say("as a machine")
        time.sleep(0.3)
    drawn = stream.getvalue()
    time.sleep(0.3)
    assert "as a machine" in drawn and stream.getvalue() == drawn
