"""Writes a program as OneFlow source: classes with the original's names, in code that a person would keep."""
