"""What holds for all tests."""

import os
import signal

# A runner in the background of a shell is started with SIGINT ignored, and its children inherit that;
# the tests of interruption need it heard.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Before torch is imported: its threads sleep while they wait. Where more processes run than there are cores
# they spin instead, for each other's time: training 3 networks took 95 s of CPU, and takes 18.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

# Full of mistakes, for mypy to read: running it, as the collection of doctests does, would be one more.
collect_ignore = ["house/typed_user.py"]
