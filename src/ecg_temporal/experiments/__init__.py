"""Experiments that were run at different times, one against the other."""
