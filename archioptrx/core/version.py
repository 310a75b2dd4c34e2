"""The version of the package, for all other modules."""

__version__ = "0.1.0"
