"""What must know which library an array is of.

- `library.py`        which array this is, and what its library calls things
- `dispatch.py`       what PyTorch and JAX do instead of the definitions
- `stamp.py`          reading and writing under one tap
- `out.py`            `out=`, checked before anything is computed
- `packed_weight.py`  a weight laid out for the kernels
"""
