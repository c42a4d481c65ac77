"""Measurements of Freehold beside its peers: one command each, figures in RESULTS.md."""
