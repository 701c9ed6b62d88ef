"""One file a command of `glee`; each parses its arguments and calls one function of the library.

`glee.cli` imports a command's file when the command is asked for.
"""

__all__: list[str] = []
