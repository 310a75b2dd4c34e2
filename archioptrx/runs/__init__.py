"""A search as files: the experiment, the run folder with its journals, the leaderboard and statistics of the trials."""
