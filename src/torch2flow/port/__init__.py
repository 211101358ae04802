"""From source to source: the author's PyTorch code, a file or a package, becomes OneFlow code that is still theirs."""
