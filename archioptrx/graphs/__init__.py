"""Descriptions of networks as plain data: the function graph, the computation graph, their identity and their forms."""
