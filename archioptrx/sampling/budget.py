"""Check that the budget of a walk, `max_steps`, is large enough for all targets."""

from __future__ import annotations

from archioptrx.core.errors import InputError
from archioptrx.sampling.partial_graph import PartialGraph
from archioptrx.sampling.shortest_plans import NEVER, ShortestPlans
from archioptrx.sampling.walk_tables import WalkTables


def check_budget(tables: WalkTables) -> None:
    """Raise InputError where no walk reaches a target, or none does within `max_steps`.

    The message names the functions that are needed.
    """
    plan = PartialGraph(tables).plan()
    function_graph, search_space = tables.function_graph, tables.search_space
    sources = [tables.number[name] for name in function_graph.sources]
    needed = 0
    for target in tables.targets:
        least = min(plan.ways(target)[0][source] for source in sources)
        if least >= NEVER:
            raise InputError(
                f"function graph {function_graph.name}: targets: no walk can reach {tables.names[target]}: on each way "
                "to it a function needs several different values of a type that can have only one; "
                "allowed: own weights or a further function for that type"
            )
        needed += least
    limit = search_space.walk.max_steps
    if needed > limit:
        path = ", ".join(_shortest_path(plan, tables.targets, sources))
        raise InputError(
            f"search space {search_space.name}: walk.max_steps: is {limit}, but the shortest way to "
            f"{', '.join(function_graph.targets)} takes {needed} ({path}); allowed: {needed} or more"
        )


def _shortest_path(plan: ShortestPlans, targets: tuple[int, ...], sources: list[int]) -> list[str]:
    """Functions of a shortest plan to each target, without those that only supply other inputs."""
    path: list[str] = []
    for target in targets:
        costs = plan.ways(target)[0]
        node = min(sources, key=costs.__getitem__)
        while node != target:
            menu = plan.onward(node, False, target, costs[node])
            path.append(menu.functions[0].name)
            node = menu.functions[0].output
    return path
