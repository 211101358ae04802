"""Names of tensors: which are taken, what the user calls them, and what another library calls them."""
