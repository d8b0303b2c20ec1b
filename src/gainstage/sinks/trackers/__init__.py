"""Experiment trackers that a sink writes for: one file each, none imports its package early."""
