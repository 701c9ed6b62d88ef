"""One file a command of `glee`; each parses its arguments and calls one function of the library."""
