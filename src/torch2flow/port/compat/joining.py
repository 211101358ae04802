"""Tensors put together."""
