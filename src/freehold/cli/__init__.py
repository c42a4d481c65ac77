"""The command line: one file per command; each parses, calls a room or the control API, and prints.

`main` is the entry; it and `starting` import nothing heavy, because `freehold up` must be serving half a
second after it was typed. `commands` is the Typer application; it loads a command's file when it is used.
"""
