"""A search as files: the experiment, the run folder with its journals, the leaderboard, counts over trials."""
