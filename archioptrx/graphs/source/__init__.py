"""Source code as data: how a step of a network is written as plain torch, for exports. No torch is imported here.

`text` writes Python lines, `step` describes the code of a building block for one step, `helpers` and `poolings`
hold the functions that the code may call.
"""
