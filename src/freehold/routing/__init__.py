"""Who should answer: decisions over the catalog, without clocks, sockets or disks.

All of it is pure but for two owners of state in memory, `router` and `sticky`: times and chance come in.
"""
