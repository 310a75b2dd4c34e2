"""Predictions in the form of the files that they were made for."""
