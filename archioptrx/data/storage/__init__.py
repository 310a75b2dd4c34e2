"""Data sets on disk: graph files, views of them, the cache, and the processes that fill it."""
