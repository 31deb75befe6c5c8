"""
Files that are never run, only read by type checkers: what users' checkers see of the library.
"""
