"""What OneFlow lacks or does otherwise, under PyTorch's own signatures: the functions that ported code takes along."""
