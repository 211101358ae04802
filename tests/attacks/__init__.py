"""Hostile and broken files, and what becomes of them here: see README.md."""
