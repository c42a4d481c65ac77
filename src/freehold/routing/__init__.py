"""Who should answer: pure decisions over the catalog, without clocks, sockets or state."""
