"""The page of one point."""

from allroads.report.point.page import write_point_page

__all__ = ["write_point_page"]
