"""Pages and figures; reads only what a study stored or an inspection found."""

from allroads.report.figures import write_figures
from allroads.report.page import write_report

__all__ = ["write_figures", "write_report"]
