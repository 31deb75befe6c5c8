"""
Pictures of the command line, taken of real runs against the emulator.
"""
