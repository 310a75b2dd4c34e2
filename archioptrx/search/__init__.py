"""The search: proposals, trials on a backend, retraining, a winner. `run.run_search` puts it together."""
