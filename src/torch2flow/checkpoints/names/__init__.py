"""Names of tensors: which are taken, how the user renames them, and how another library names them."""
