"""Runs a training script on both sides, from the same weights, data and random numbers, and compares its losses."""
