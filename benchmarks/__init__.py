"""Measurements against others and against limits; run from a clone, not shipped."""
