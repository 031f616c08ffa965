"""The command line without a process of its own: most tests ask what it says, and starting JAX takes seconds."""

import contextlib
import io
import os
import subprocess
import sys
import traceback
from unittest import mock

from allroads.cli import main


def allroads(*words, cwd=".", **environment):
    """What ``allroads WORDS`` prints in a folder, and its exit code, as of a finished process."""
    out, err = io.StringIO(), io.StringIO()
    given = ["allroads", *map(str, words)]
    with (
        contextlib.chdir(cwd),
        mock.patch.dict(os.environ, environment),
        mock.patch.object(sys, "argv", given),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        try:
            main()
            code = 0
        except SystemExit as end:
            code = end.code or 0
        except Exception:
            traceback.print_exc()
            code = 1
    return subprocess.CompletedProcess(given, code, out.getvalue(), err.getvalue())
