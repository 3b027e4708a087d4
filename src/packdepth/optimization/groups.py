"""Groups of the parameters of a network that have a learning rate of their own."""

from __future__ import annotations

from torch import nn

from packdepth.optimization.blocks import Groups

FACTOR = "learning_rate_factor"  # attribute of a module whose parameters have a learning rate of their own


def parameter_groups(name: str, network: nn.Module, learning_rate: float) -> Groups:
    """Return the parameters to train of a network, in a group for each part with a learning rate of its own.

    Such a part is a module with the attribute `learning_rate_factor`, which multiplies the learning rate of all
    parameters below it. Pretrained parts have it, also if it is 1: optimizers treat them apart. Parameters without
    gradient are in no group.

    Args:
        name: name of the network, `depth` or `pose`.
        network: the network.
        learning_rate: learning rate of its parameters outside such parts.

    Returns:
        The group `name`, then one for each factor, named like `depth, pretrained x 0.1`; groups without parameters are
        left out.

    >>> network = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    >>> network[0].learning_rate_factor = 0.1
    >>> [(group["name"], group["lr"]) for group in parameter_groups("depth", network, 0.01)]
    [('depth', 0.01), ('depth, pretrained x 0.1', 0.001)]
    """
    factors: dict[nn.Parameter, float] = {}
    for module in network.modules():  # from the outside to the inside, so that factors of nested parts multiply
        factor = getattr(module, FACTOR, None)
        if factor is not None:
            factors |= {parameter: factors.get(parameter, 1.0) * factor for parameter in module.parameters()}
    trained = [parameter for parameter in network.parameters() if parameter.requires_grad]
    groups = [{"name": name, "params": [p for p in trained if p not in factors], "lr": learning_rate}]
    for factor in dict.fromkeys(factors.values()):
        params = [p for p in trained if factors.get(p) == factor]
        groups.append({"name": f"{name}, pretrained x {factor:g}", "params": params, "lr": learning_rate * factor})
    return [group for group in groups if group["params"]]
