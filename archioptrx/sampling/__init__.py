"""Search spaces, the walk through a function graph, and the samplers that answer its decisions."""
