"""Reproducible comparisons; each prints its machine and keeps its raw results as JSON."""
