"""Files: opens, plans, writes, cuts, checks and compares whatever PyTorch or OneFlow wrote, with neither installed."""
