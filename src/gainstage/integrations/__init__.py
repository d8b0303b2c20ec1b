"""Gainstage inside other people's loops; each module needs a framework, and only its own."""
