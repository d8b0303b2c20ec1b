"""Taps on a live training: what is measured, when, and how it becomes frames."""
