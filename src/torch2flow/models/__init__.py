"""Models: reads a captured program or a pickled module, and writes it as OneFlow source."""
