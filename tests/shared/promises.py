"""What is promised of bad inputs and of faults, and which tests hold it: docs/reliability.md is made here.

python tests/shared/promises.py        writes the page anew; `make promises`

A test says which rows it holds with `@pytest.mark.promise("3", "F13")`.
"""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
PAGE = TESTS.parent / "docs" / "reliability.md"

# One line per row: what comes, and what must follow.
BAD_INPUTS = {
    "Arguments of the geometry": {
        "1": "stride 0: ValueError",
        "2": "stride -1: ValueError",
        "3": "stride 2^31, 2^63-1: a result or ValueError, nothing allocated for it",
        "4": "kernel 0 or negative: ValueError",
        "5": "kernel larger than the padded input: ValueError for pooling, valid for conv_transpose",
        "6": "dilation 0 or negative: ValueError",
        "7": "dilation beyond the input in max pooling: right or ValueError",
        "8": "negative padding: crops where it is documented, else ValueError",
        "9": "pooling padding that leaves a window nothing else: ValueError",
        "10": "padding that leaves no output: ValueError",
        "11": "output_padding of a stride or more: ValueError that names the rule",
        "12": "output_padding negative: ValueError",
        "13": "dilation with output_padding: gradients check",
        "14": "groups 0: ValueError",
        "15": "groups that do not divide the channels: ValueError",
        "16": "weight of another rank than the input: ValueError",
        "17": "weight of other channels than the input: ValueError",
        "18": "bias of another length than the output channels: ValueError",
        "19": "sequences that are too short, too long or empty: ValueError",
        "20": "numbers that are no integers (2.0, 2.5, True, '2'): TypeError; NumPy's integers are taken",
        "21": "integers beyond 2^63: OverflowError",
        "22": "factor 0, negative, NaN or infinite: ValueError",
        "23": "factor 1250999896765: ValueError",
        "24": "factor 1 and the size of the input: the same bits",
        "25": "factor 1/3 and back: a documented rounding; size 0 by one rule",
        "26": "both size and factor, or neither: ValueError",
        "27": "size longer or shorter than the spatial rank: ValueError",
        "28": "a size no memory holds: an error before any allocation",
        "29": "align_corners with an output of one element: defined",
        "30": "a source coordinate that rounds to the size of the input: clamped",
        "31": "one pixel enlarged 10^6 times: every index in range",
        "32": "shuffle factor 0 or negative: ValueError",
        "33": "shuffle factor 2^16, 2^32, 2^62: ValueError, or at once where nothing is in it",
        "34": "channels not divisible by the factors: ValueError",
        "35": "sizes not divisible by the factors: ValueError",
        "36": "unknown words: ValueError that lists the choices and the nearest",
        "37": "ceil mode with a window that starts in the padding after: torch's rule",
        "38": "'same' with an odd total: the side is documented",
        "39": "output_size out of range: ValueError that prints the range",
        "40": "output_size as spatial size, full shape, torch.Size or NumPy integers: equal",
    },
    "Switches": {
        "41": "index -1: IndexError",
        "42": "index of the plane size, 2^31, 2^32+3, 2^63-1: IndexError",
        "43": "switches of another shape or rank, or none: ValueError",
        "44": "switches that are float, int8, bool: TypeError or exact",
        "45": "duplicates: the same winner in every run and on any number of threads",
        "46": "duplicates: the gradient belongs to the result",
        "47": "ONNX's indices over all planes: converted or IndexError",
        "48": "column-major indices: converted",
        "49": "TensorFlow's indices with and without batch: converted",
        "50": "pooled with dilation, ceil mode or padding: back to the exact size",
        "51": "odd sizes over several levels: back to the exact size",
        "52": "an output without elements for input that has some: ValueError",
        "53": "switches strided, reversed, read-only or byte-swapped: the same result",
        "54": "switches that another thread changes meanwhile: nothing outside is written",
        "55": "switches that share memory with out: ValueError",
    },
    "Values": {
        "56": "NaN anywhere in a window: NaN wins, its switch is documented",
        "57": "a window of -inf: -inf with a valid switch",
        "58": "infinities, NaN and signed zeros: documented",
        "59": "ties: the first, on every instruction set",
        "60": "subnormals under flush-to-zero: the caller's mode on every thread",
        "61": "bits of NaN survive what copies",
        "62": "extreme integers: documented widening",
        "63": "uint8 interpolation: rounded and clamped",
        "64": "float16 and bfloat16 are summed in float32",
        "65": "complex, bool, object, string, datetime, structured: works or TypeError",
        "66": "0 times infinity in a transposed convolution: NaN",
        "67": "weights that are not finite on zeros: NaN",
    },
    "Shapes": {
        "68": "arrays without axes: ValueError",
        "69": "too few or too many axes: ValueError",
        "70": "axes of length 0 anywhere: one rule, forward and backward",
        "71": "weights without elements: zeros or ValueError",
        "72": "no batch axis: as a batch of one",
        "73": "one pixel, primes, sizes around every vector width",
        "74": "more than 2^31 elements",
        "75": "sizes whose product passes 2^63: an error before any allocation",
        "76": "more bytes than there is memory: MemoryError",
        "77": "a gradient of another shape than the output: ValueError",
        "78": "a plan used again for another size: right",
    },
    "Layout and memory": {
        "79": "C, Fortran, channels last, mixed: the same result",
        "80": "negative and zero strides: the same result",
        "81": "an out that overlaps itself: ValueError",
        "82": "an out that shares memory with an input: right or ValueError",
        "83": "misaligned arrays: right",
        "84": "read-only input works, read-only out: ValueError",
        "85": "byte-swapped arrays: right or TypeError",
        "86": "arrays that end at a page that may not be touched: no fault",
        "87": "a memory map that is truncated meanwhile: a documented limit",
        "88": "matrices, masked arrays, subclasses, lists: converted or TypeError",
        "89": "DLPack: clear errors",
        "90": "tensors of every kind that torch has: works, or an error that names it",
    },
    "Files and the command line": {
        "91": "broken, huge and unusual images: a message per case, bombs refused before decoding",
        "92": "broken volumes",
        "93": "hostile model files: refused with the reason",
        "94": "folders and names of every kind",
        "95": "names with markup and formulas in reports: escaped",
        "96": "wrong options, closed output, no terminal, no torch: a message and an exit code",
    },
}
FAULTS = {
    "Faults and load": {
        "F1": "64 threads on shared inputs: the bits of one",
        "F2": "free-threaded Python",
        "F3": "a fork after the pool has started: the child works",
        "F4": "fork, forkserver and spawn",
        "F5": "calls from torch's threads: no deadlock, no more threads than asked for",
        "F6": "two OpenMP runtimes: untouched, because none is shipped",
        "F7": "Ctrl-C during a long kernel: KeyboardInterrupt, the next call works",
        "F8": "SIGTERM during compare: nothing half-written, exit code 143",
        "F9": "SIGKILL at random times, then resumed",
        "F10": "killed while a file is written: the file before is intact",
        "F11": "disk full: a clear OSError, no truncated file under the final name",
        "F12": "an output folder that cannot be written: named before work starts",
        "F13": "the n-th allocation fails: MemoryError, the next call works",
        "F14": "CUDA out of memory",
        "F15": "an illegal index on CUDA, then a good call",
        "F16": "corrupt checkpoints",
        "F17": "pickles given as a model: never opened",
        "F18": "nested, duplicated and infinite JSON: ValueError",
        "F19": "decompression bombs: refused before allocation",
        "F20": "10^5 tiny calls from 32 threads: memory stays flat",
        "F21": "random shapes without end: caches stay below a number of bytes",
        "F22": "a volume larger than memory",
        "F23": "Dask chunks of every size",
        "F24": "an out-of-core job that is killed",
        "F25": "two processes that write one store",
        "F26": "Dask workers that die",
        "F27": "1, 2 and 4 workers: the same bits",
        "F28": "import in a sub-interpreter: ImportError, no crash",
        "F29": "the interpreter ends while a thread runs a kernel: exit code 0",
        "F30": "a processor with fewer instructions: a lower tier",
        "F31": "CPU quota and affinity decide the number of threads",
        "F32": "the versions that the metadata names; imports without torch and jax",
        "F33": "models with hooks, parametrizations, shared modules through accelerate",
        "F34": "explore is a file that asks nobody; there is no server",
    },
}
ROWS = {row: text for group in (BAD_INPUTS, FAULTS) for rows in group.values() for row, text in rows.items()}

# Rows that nothing can hold yet, and why.
NOT_YET = {
    "92": "no volume files are read yet",
    "F2": "built for free-threaded Python (FREE_THREADED), not tested on one",
    "F9": "nothing resumes yet",
    "F14": "no CUDA kernels yet",
    "F15": "no CUDA kernels yet",
    "F16": "no checkpoints yet",
    "F22": "no tiles yet",
    "F23": "no Dask yet",
    "F24": "no tiles yet",
    "F25": "no stores are written yet",
    "F26": "no Dask yet",
    "F27": "no Dask yet",
}

HEAD = """# Reliability

Any argument or value gives a result or a Python exception: never a signal, an abort, a hang or a silent
wrong answer. Files that a tool is given are read as data; nothing in them is run. Below are the inputs
and faults that broke other libraries, or this one, and the tests that hold each of them. `make promises`
makes this page from the tests, and a test compares the two.

```python
>>> import numpy as np, unsample as us
>>> us.max_pool(np.full((1, 1, 5, 7), -5.0), 5, padding=2, stride=2**63 - 1)[0]      # row 3: one window
array([[[[-5.]]]])
>>> us.nearest(np.ones((1, 1, 2)), 2**62)                                            # row 28
Traceback (most recent call last):
    ...
OverflowError: nearest: an output axis of 9223372036854775808 elements is beyond 2**63

```
"""


def marks(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """(row, name of the test) of every `pytest.mark.promise` in a file; "" for those of the whole file."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            # Those of its decorators, and of the cases inside parametrize.
            for decorator in node.decorator_list:
                yield from ((row, node.name) for row in _rows(decorator))
        elif isinstance(node, ast.Assign) and any(
            isinstance(target, ast.Name) and target.id == "pytestmark" for target in node.targets
        ):
            yield from ((row, "") for row in _rows(node.value))


def _rows(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "pytest.mark.promise":
            for argument in node.args:
                yield ast.literal_eval(argument)


@cache
def held(folder: Path = TESTS) -> dict[str, list[str]]:
    """Of every row that a test says it holds: those tests, as pytest takes them."""
    found: dict[str, list[str]] = {}
    for path in sorted(folder.rglob("test_*.py")):
        for row, name in marks(ast.parse(path.read_text(encoding="utf-8"))):
            file = path.relative_to(folder).as_posix()
            test = f"{file}::{name}" if name else file
            if test not in found.setdefault(row, []):
                found[row].append(test)
    return found


def page(tests: dict[str, list[str]]) -> str:
    """docs/reliability.md."""
    lines = [HEAD]
    for group in (BAD_INPUTS, FAULTS):
        for title, rows in group.items():
            lines += [f"## {title}", "", "| | | held by |", "|---|---|---|"]
            for row, text in rows.items():
                holders = ", ".join(f"`{test}`" for test in tests.get(row, []))
                lines.append(f"| {row} | {text} | {holders or 'not yet: ' + NOT_YET.get(row, '?')} |")
            lines.append("")
    return "\n".join(lines).rstrip("\n") + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(held()), encoding="utf-8")
