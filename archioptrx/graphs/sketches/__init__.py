"""Sketches: networks as a person outlines them, a pipeline of named layers with loops, read as computation graphs."""
