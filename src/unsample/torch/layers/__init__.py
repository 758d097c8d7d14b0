"""Layers: torch.nn's own, under their names, and ours.

`conv.py`, `pool.py` and `resize.py` subclass the layers of torch.nn: constructor, state dict and repr are
theirs, the forward pass is this library's. `learned.py` and `content.py` hold ways up that torch.nn has not;
`layer.py` is what all have in common.
"""
