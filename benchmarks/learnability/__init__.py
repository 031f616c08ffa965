"""Targets × maps × explorers: how many steps each takes to learn."""
