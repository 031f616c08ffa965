"""How a script was called, for the results that it writes."""

import sys
from pathlib import Path


def command_line() -> str:
    """``python benchmarks/NAME.py`` with the options that were given."""
    return " ".join([f"python benchmarks/{Path(sys.argv[0]).name}", *sys.argv[1:]])
