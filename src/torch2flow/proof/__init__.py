"""Proof: records what a PyTorch model computes, and compares what the OneFlow model computes with it."""
