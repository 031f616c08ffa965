"""The law that takes simulated steps to a calibrated prediction."""
