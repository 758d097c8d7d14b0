"""With this folder in PYTHONPATH, every Python imports the build with sanitizers, not the editable one."""

import sys

sys.meta_path[:] = [f for f in sys.meta_path if not type(f).__module__.startswith("_editable_skbc_")]
