"""The console script and one file for each command."""
