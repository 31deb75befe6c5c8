"""
The nouns of the service, an operation a method.
"""
