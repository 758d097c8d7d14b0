"""What a built wheel must do on the machine it was built for: the kernels are there, and they ran."""

from importlib.resources import files

import numpy as np

import unsample as us
from unsample import _native

config = us.show_config()
print(config)
assert config.compiled, config.reason
assert config.tier in config.tiers
assert files("unsample").joinpath("py.typed").is_file()

x = np.arange(24, dtype=np.float32).reshape(1, 1, 4, 6)
values, switches = us.max_pool(x, 2)
assert _native.last_tier() == config.tier
np.testing.assert_array_equal(values.ravel(), [7, 9, 11, 19, 21, 23])
np.testing.assert_array_equal(us.max_gather(us.max_unpool(values, switches), switches), values)
with us.threads(3):
    large = us.nearest(np.ones((8, 8, 128, 128), np.float32), 2)
assert large.sum() == 8 * 8 * 256 * 256
