"""A user's own network looked at where it stands: opened from files, measured, and put into words."""

from allroads.inspection.inspect import Inspection, inspect_point
from allroads.inspection.open import Opened, open_point

__all__ = ["Inspection", "Opened", "inspect_point", "open_point"]
