"""Numerical methods: splines, pair search, block statistics, the host loop."""
