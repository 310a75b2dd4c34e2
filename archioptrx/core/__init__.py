"""What every other package stands on: errors, reading of YAML, files and journals, registries, the version."""
