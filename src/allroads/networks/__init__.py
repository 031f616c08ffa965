"""Architectures to learn with, and the doors from PyTorch and Equinox."""
