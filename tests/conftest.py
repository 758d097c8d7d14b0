"""What holds for all tests."""

import signal

# A runner in the background of a shell is started with SIGINT ignored, and its children inherit that;
# the tests of interruption need it heard.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Full of mistakes, for mypy to read: running it, as the collection of doctests does, would be one more.
collect_ignore = ["typed_user.py"]
