"""What the window policy is worth, on the jumping clock: fifteen booths, a photo every four seconds each.

The machinery is the real one (see tests/lab/virtual); only the providers follow scripts. Every row is a kind of
trouble, every column a way to deal with it. The same seed gives the same table; only the CPU times differ.
"""
