"""Sketches: outlines of networks, a pipeline of named layers with loops, read as computation graphs."""
