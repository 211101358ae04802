"""What OneFlow reads: writes and opens its checkpoint formats, and maps optimizer states, without OneFlow."""
