"""Predictors of the literature, one per file, that a forecast is compared with."""
