"""Progress of one call: nothing for short calls, lines elsewhere than on a terminal, a bar on one."""

from __future__ import annotations

import io
import sys
import time
from contextlib import nullcontext
from importlib.machinery import ModuleSpec
from types import ModuleType, SimpleNamespace

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


def module(monkeypatch, name, **content):
    """A made-up module that an import finds."""
    made = ModuleType(name)
    made.__spec__ = ModuleSpec(name, None)
    made.__dict__.update(content)
    monkeypatch.setitem(sys.modules, name, made)


class _Output(nullcontext):
    """A made-up ``ipywidgets.Output``."""

    def clear_output(self, wait):
        pass

    def close(self):
        self.closed = True


@pytest.fixture
def shown(monkeypatch):
    """What a made-up notebook was told to display, in turn."""
    shown = []
    kernel = SimpleNamespace(kernel=object())
    module(monkeypatch, "IPython", get_ipython=lambda: kernel)
    module(monkeypatch, "IPython.display", display=shown.append)
    return shown


def test_a_notebook_shows_a_bar(monkeypatch, shown):
    module(monkeypatch, "ipywidgets", Output=_Output)
    with progress("llc") as say:
        say("level 1 of 9")
        time.sleep(0.5)
    widget, *drawn = shown
    assert any("llc: level 1 of 9" in one.text for one in drawn) and widget.closed


def test_a_notebook_without_widgets_gets_lines(monkeypatch, shown, capsys):
    monkeypatch.setattr(allroads.progress, "find_spec", lambda name: None)
    with progress("llc") as say:
        say("level 1 of 9")
        time.sleep(0.3)
    assert "llc: level 1 of 9" in capsys.readouterr().err and not shown


def test_a_terminal_of_ipython_is_no_notebook(monkeypatch, capsys):
    module(monkeypatch, "ipywidgets", Output=_Output)
    module(monkeypatch, "IPython", get_ipython=lambda: SimpleNamespace())
    with progress("llc"):
        time.sleep(0.3)
    assert "llc" in capsys.readouterr().err
