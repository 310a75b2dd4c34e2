"""A search as files: the experiment, the run folder with its journals, the leaderboard, statistics over trials."""
