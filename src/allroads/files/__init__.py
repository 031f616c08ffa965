"""Points opened from a user's own files: networks by import path, weights as safetensors, data as ``.npz``."""

from allroads.files.ends import Ends, open_ends
from allroads.files.open import Opened, open_network, open_point

__all__ = ["Ends", "Opened", "open_ends", "open_network", "open_point"]
