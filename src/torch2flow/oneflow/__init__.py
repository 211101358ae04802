"""What OneFlow reads and runs: the checkpoint it loads, and the installation it loads it with.

Nothing here imports oneflow until a function has to: writing a checkpoint works without it.
"""
