"""What type checkers know of the package."""

import re
from importlib.resources import files
from pathlib import Path
from typing import get_args

from mypy import api

from unsample.interop import libraries
from unsample.torch.layers import resize

SCRIPT = Path(__file__).with_name("typed_user.py")

# As for a user: nothing is said of the package's own files. What the package and torch import beyond this is
# not read, since it is no part of the script and would take minutes.
CONFIG = """
[mypy]
strict = true

[mypy-unsample.*]
ignore_errors = true

[mypy-{skipped}]
follow_imports = skip
follow_imports_for_stubs = true
"""
SKIPPED = [
    *(
        "IPython",
        "PIL",
        "jax",
        "jaxlib",
        "matplotlib",
        "onnx",
        "onnx_ir",
        "onnxscript",
        "rich",
        "scipy",
        "skimage",
    ),
    *(
        "sympy",
        "tqdm",
        "typer",
        "torch._dynamo",
        "torch._export",
        "torch._functorch",
        "torch._higher_order_ops",
    ),
    *(
        "torch._inductor",
        "torch._subclasses",
        "torch.ao",
        "torch.cuda",
        "torch.distributed",
        "torch.distributions",
    ),
    *("torch.export", "torch.fx", "torch.jit", "torch.onnx", "torch.optim", "torch.package"),
]


def test_the_package_says_that_it_is_typed() -> None:
    assert files("unsample").joinpath("py.typed").is_file()


def test_tables_have_the_words_of_their_types() -> None:
    assert tuple(libraries.CALLS) == libraries.CONVOLUTIONS
    for calls in libraries.CALLS.values():
        assert tuple(calls) == libraries.LIBRARIES
    assert tuple(libraries.SHUFFLE_ORDERS) == get_args(libraries.ShuffleOrder)
    assert tuple(resize.MODES) == get_args(resize.Mode)


def test_a_users_mistakes_are_found_and_nothing_else(tmp_path: Path) -> None:
    config = tmp_path / "mypy.ini"
    config.write_text(CONFIG.format(skipped=",".join(f"{name}.*" for name in SKIPPED)))
    out, err, _ = api.run(
        ["--config-file", str(config), "--cache-dir", str(tmp_path / "cache"), "--no-pretty", str(SCRIPT)]
    )
    assert not err
    found = re.findall(r"^\S*typed_user\.py:(\d+): error: .*\[([a-z-]+)\]$", out, re.MULTILINE)
    assert len(found) == out.count(": error: "), out
    planted = [
        (str(number), code)
        for number, line in enumerate(SCRIPT.read_text(encoding="utf-8").splitlines(), 1)
        for code in line.partition("# mistake: ")[2].split(", ")
        if code and "# mistake: CODE" not in line
    ]
    assert len(planted) >= 30
    assert sorted(found) == sorted(planted), out
