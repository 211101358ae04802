"""Checkpoints of frameworks above PyTorch: what many files, or packed numbers, hold is told or put together by name."""
