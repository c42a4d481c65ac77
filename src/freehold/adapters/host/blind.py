"""What could not be looked at, said so that a person can change it."""

from __future__ import annotations


class Blind(Exception):
    """One source of evidence is closed to us. The text says which, and what would open it."""
