"""Drawings of function graphs and networks, as SVG and PNG."""
