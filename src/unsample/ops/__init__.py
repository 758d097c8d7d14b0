"""The operations, one family per file, the way down beside the way up. Start with `nearest.py`.

A file here holds, for its family: the plan (integers, errors), the definition (a walk over the taps with
`stamp.slice_tap`, `place_tap` and `add_tap`, the same lines for every array library) and the public
functions. No framework is imported here.
"""
