"""Several networks side by side on the same events; see `archioptrx.commands.compare`."""
