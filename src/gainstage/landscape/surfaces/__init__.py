"""The surfaces, a decorated function each."""
