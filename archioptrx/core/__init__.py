"""The base of all other packages: errors, reading of YAML, files and journals, registries, the version."""
