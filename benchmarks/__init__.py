"""
How fast the library is, next to what one would use instead: `python -m benchmarks`.
"""
