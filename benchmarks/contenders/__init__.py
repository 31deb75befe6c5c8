"""
What one might use, each written the way its user would write it.
"""
