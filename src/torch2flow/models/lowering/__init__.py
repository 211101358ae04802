"""Which OneFlow code stands for an ATen operator or a `torch.nn` module: rules as functions, renames as rows."""
