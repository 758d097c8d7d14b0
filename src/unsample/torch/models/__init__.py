"""What changes somebody's model: torch's functions and layers on our kernels, and other ways up.

- `functions.py`      torch's functions on our kernels: `patched`
- `layers.py`         torch's classes on our kernels
- `accelerate.py`     which layers of a model are faster so, verified and timed
- `set_upsampler.py`  another way up in every place that has one; `weights.py` what it keeps of the old
"""
