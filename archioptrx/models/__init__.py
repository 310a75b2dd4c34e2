"""Trained models: their folders, inference, predictions, exports."""
