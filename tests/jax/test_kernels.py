"""The compiled kernels inside jax's programs on the CPU: that they run, and what they promise."""

import os
import re
import shutil
import subprocess
import threading
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest

import program
import unsample as us
from backends import JAX
from samples import MORE, SAMPLES, Sample, integers

CALLER = Path(__file__).resolve().parents[2] / "native" / "caller"

every_sample = pytest.mark.parametrize(
    "sample",
    [pytest.param(each, marks=pytest.mark.slow if str(each) in MORE else ()) for each in SAMPLES],
    ids=str,
)
compiled = pytest.mark.skipif(not us.show_config().compiled, reason="unsample was built without its kernels")

# One of each pair with what its programs on the CPU call.
CALLS = {
    "nearest": ("unsample_window_sum", "unsample_nearest"),
    "bed_of_nails": ("unsample_decimate", "unsample_bed_of_nails"),
    "max_unpool": ("unsample_max_gather", "unsample_max_unpool"),
    "conv_transpose": ("unsample_conv", "unsample_conv"),
    "conv_weight_grad": ("unsample_conv", "unsample_conv_weight_grad"),
    "pixel_shuffle": ("unsample_pixel_unshuffle", "unsample_pixel_shuffle"),
    "resize": ("unsample_resize", "unsample_resize"),
}


def called(lowered: Any) -> set[str]:
    """The custom calls of a program."""
    return set(re.findall(r"custom_call @(\w+)", lowered.as_text()))


@compiled
@every_sample
def test_both_directions_and_their_derivatives_are_kernels_on_the_cpu_alone(sample: Sample) -> None:
    up_args, up_kwargs = sample.up
    down, up = CALLS[sample.pair.name]
    for call, args, kwargs, x, own, partner in (
        (sample.pair.down, sample.args, sample.kwargs, sample.x(), down, up),
        (sample.pair.up, up_args, up_kwargs, sample.y(), up, down),
    ):
        on_jax = JAX.arguments(args)

        def function(x: Any, call: Any = call, args: Any = on_jax, kwargs: Any = kwargs) -> Any:
            return call(x, *args, **kwargs)

        def gradient(x: Any, function: Any = function) -> Any:
            return jax.grad(lambda x: function(x).sum())(x)

        found = called(jax.jit(function).lower(x))
        assert {name.replace("_sum", "") if "unpool" in name else name for name in found} == {own}
        found = called(jax.jit(gradient).lower(x))
        assert {name.replace("_sum", "") if "unpool" in name else name for name in found} == {partner}
        elsewhere = jax.jit(function).trace(x).lower(lowering_platforms=("tpu",)).as_text()
        assert "unsample_" not in elsewhere


@compiled
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@every_sample
def test_the_bits_are_those_of_numpy(sample: Sample, dtype: str) -> None:
    up_args, up_kwargs = sample.up
    for call, args, kwargs, x in (
        (sample.pair.down, sample.args, sample.kwargs, sample.x()),
        (sample.pair.up, up_args, up_kwargs, sample.y()),
    ):
        x = (x / 7).astype(dtype)
        args = tuple((a / 3).astype(dtype) if isinstance(a, np.ndarray) else a for a in args)
        expected = call(x, *args, **kwargs)
        found = np.asarray(jax.jit(lambda x, a, c=call, k=kwargs: c(x, *a, **k))(x, Fixed(args)))
        assert found.dtype == expected.dtype
        assert found.tobytes() == expected.tobytes()


class Fixed(tuple[Any, ...]):
    """Arguments of which arrays and switches are traced, and the rest is not."""


jax.tree_util.register_pytree_node(
    Fixed,
    lambda given: (
        [each for each in given if isinstance(each, np.ndarray | us.Switches)],
        tuple(None if isinstance(each, np.ndarray | us.Switches) else (each,) for each in given),
    ),
    lambda static, arrays: Fixed(_merged(static, list(arrays))),
)


def _merged(static: Any, arrays: list[Any]) -> list[Any]:
    return [arrays.pop(0) if each is None else each[0] for each in static]


@compiled
@pytest.mark.parametrize("call", ["conv", "conv_transpose"])
@pytest.mark.parametrize("mode", ["zeros", "reflect"])
def test_the_bits_with_a_bias_are_those_of_numpy(call: str, mode: str) -> None:
    x, weight, bias = (integers(shape, 1).astype("f") / 7 for shape in ((2, 4, 9, 8), (4, 4, 3, 3), (4,)))
    words: Any = {"stride": 2, "padding": 1, "padding_mode": mode}
    expected = getattr(us, call)(x, weight, bias, **words)
    found = jax.jit(lambda *a: getattr(us, call)(*a, **words))(x, weight, bias)
    assert np.asarray(found).tobytes() == expected.tobytes()


@pytest.mark.parametrize("call", ["conv", "conv_transpose", "conv_weight_grad"])
def test_bfloat16_is_summed_in_float32(call: str) -> None:
    x, y, weight = (
        integers(shape, 3).astype(ml_dtypes.bfloat16) / ml_dtypes.bfloat16(7)
        for shape in ((2, 40, 17), (2, 6, 8), (6, 40, 3))
    )
    given: Any = {"conv": (x, weight), "conv_transpose": (y, weight), "conv_weight_grad": (x, y, (3,))}[call]
    expected = getattr(us, call)(
        *(each.astype(np.float32) if isinstance(each, np.ndarray) else each for each in given), stride=2
    )
    found = jax.jit(lambda *a: getattr(us, call)(*a, *given[2:], stride=2))(*given[:2])
    assert found.dtype == jnp.bfloat16
    if us.show_config().compiled:
        assert np.asarray(found).tobytes() == expected.astype(ml_dtypes.bfloat16).tobytes()
    error = np.abs(np.asarray(found, np.float64) - expected)
    assert np.all(error <= 2.0**-8 * np.abs(expected) + 2.0**-20 * np.abs(expected).max())


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
@pytest.mark.parametrize("name", ["nearest", "bed_of_nails", "pixel_shuffle"])
def test_halves_are_copied_bit_for_bit(name: str, dtype: str) -> None:
    x = jnp.asarray(integers((1, 4, 6), 2) / 7).astype(dtype)
    bits = np.asarray(x).view(np.uint16)
    found = jax.jit(lambda x: getattr(us, name)(x, (2,)))(x)
    np.testing.assert_array_equal(np.asarray(found).view(np.uint16), getattr(us, name)(bits, (2,)))


@pytest.mark.parametrize("dtype", ["bool", "int8", "uint16", "int32", "int64", "complex64", "complex128"])
def test_every_dtype_is_pooled_moved_and_summed_as_in_numpy(dtype: str) -> None:
    x = (
        integers((2, 4, 6), 3) * (1 if dtype != "bool" else 0.5) > 0
        if dtype == "bool"
        else integers((2, 4, 6), 3)
    ).astype(dtype)
    for call, arguments in ((us.nearest, (2,)), (us.window_sum, (2,)), (us.decimate, (2,))):
        expected = call(x, arguments)
        found = jax.jit(lambda x, c=call, a=arguments: c(x, a))(x)
        assert found.dtype == expected.dtype
        np.testing.assert_array_equal(found, expected)
    if "complex" not in dtype:
        values, switches = jax.jit(lambda x: us.max_pool(x, (2, 2)))(x)
        expected, theirs = us.max_pool(x, (2, 2))
        np.testing.assert_array_equal(values, expected)
        np.testing.assert_array_equal(switches.taps, theirs.taps)
        np.testing.assert_array_equal(us.max_unpool(values, switches), us.max_unpool(expected, theirs))


@pytest.mark.parametrize("dtype", ["complex64", "int32"])
def test_convolutions_that_kernels_do_not_take_run_the_definition(dtype: str) -> None:
    x, weight = integers((2, 3, 9), 1).astype(dtype), integers((4, 3, 3), 2).astype(dtype)
    for call, given in ((us.conv, x), (us.conv_transpose, us.conv(x, weight, stride=2))):
        lowered = jax.jit(lambda x, w, c=call: c(x, w, stride=2)).lower(given, weight)
        assert not called(lowered)
        found = lowered.compile()(given, weight)
        np.testing.assert_array_equal(found, call(given, weight, stride=2))


def test_32_bits_are_kept_where_jax_keeps_to_them() -> None:
    with jax.enable_x64(False):
        x, weight = integers((1, 3, 8), 1).astype("f"), integers((4, 3, 3), 2).astype("f")
        for call, arguments in (
            (us.conv, (weight,)),
            (us.window_sum, ((2,),)),
            (us.resize, ((5,),)),
            (us.nearest, ((2,),)),
        ):
            traced = Fixed(arguments)
            found = jax.jit(lambda x, a, c=call: c(x, *a))(x, traced)
            assert found.dtype == np.float32
            np.testing.assert_allclose(found, call(x, *arguments), rtol=1e-6)
        whole = jax.jit(lambda x: us.window_sum(x, (2,)))(np.arange(8, dtype=np.int32))
        assert whole.dtype == np.int32
        np.testing.assert_array_equal(whole, [1, 5, 9, 13])
        gradient = jax.jit(jax.grad(lambda x: (us.max_pool(x, (2,))[0] ** 2).sum()))(x)
        assert gradient.dtype == np.float32


@compiled
def test_the_result_does_not_depend_on_the_number_of_threads() -> None:
    x, weight = integers((4, 32, 48, 48), 1).astype("f") / 7, integers((32, 16, 4, 4), 2).astype("f") / 3
    function = jax.jit(lambda x, w: us.conv_transpose(x, w, stride=2, padding=1))
    before = us.get_num_threads()
    try:
        found = []
        for threads in (1, 2, 3):
            us.set_num_threads(threads)
            found.append(np.asarray(function(x, weight)).tobytes())
    finally:
        us.set_num_threads(before)
    assert found[0] == found[1] == found[2]


@compiled
def test_many_threads_may_call_at_once_while_one_holds_python() -> None:
    x, weight = integers((2, 16, 32, 32), 1).astype("f"), integers((16, 8, 4, 4), 2).astype("f")
    function = jax.jit(lambda x, w: us.conv_transpose(us.nearest(x, 2), w, stride=2))
    expected = np.asarray(function(x, weight))
    wrong: list[int] = []

    def work() -> None:
        for _ in range(5):
            if not np.array_equal(function(x, weight), expected):
                wrong.append(1)

    threads = [threading.Thread(target=work, daemon=True) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not any(thread.is_alive() for thread in threads)
    assert not wrong


def run(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return program.run("-c", code, timeout=300, **environment)


@compiled
def test_compiled_programs_may_be_kept_on_disk(tmp_path: Path) -> None:
    code = """
import jax, jax.numpy as jnp, unsample as us
jax.config.update("jax_compilation_cache_dir", CACHE)
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
junk = [bytearray(n) for n in range(1000, OFFSET)]  # another process has other addresses
hits = []
jax.monitoring.register_event_listener(lambda event, **more: hits.append(event))
f = jax.jit(lambda x, w: us.resize(us.conv_transpose(x, w, stride=2), (1, 9)))
print(f(jnp.ones((1, 2, 3, 4)), jnp.ones((2, 1, 2, 2))).tolist())
print("/jax/compilation_cache/cache_hits" in hits)
"""
    first, second = (
        run(code.replace("CACHE", repr(str(tmp_path))).replace("OFFSET", offset))
        for offset in ("1001", "3000")
    )
    assert first.returncode == second.returncode == 0, second.stderr
    assert first.stdout.splitlines()[1] == "False"
    assert second.stdout.splitlines()[1] == "True"
    assert first.stdout.splitlines()[0] == second.stdout.splitlines()[0] == str([[[[2.0] * 9]]])


@compiled
def test_programs_can_be_exported() -> None:
    from jax import export

    function = jax.jit(lambda x: us.nearest(x, (2,)))
    allowed = [export.DisabledSafetyCheck.custom_call("unsample_nearest")]
    exported = export.export(function, platforms=("cpu", "tpu"), disabled_checks=allowed)(jnp.ones(3))
    again = export.deserialize(exported.serialize())
    np.testing.assert_array_equal(again.call(jnp.array([1.0, 2.0, 3.0])), [1, 1, 2, 2, 3, 3])


@compiled
@pytest.mark.parametrize(
    ("name", "plan", "message"),
    [
        ("nearest", [1, 1, 0, 1, 1, 1, 6, 4, 2, 2, 2, 1, 0], "expected 8 bytes, got 12"),
        ("nearest", [1, 1], "the plan is too short"),
        ("conv", [0], "the plan is too short"),
    ],
)
def test_a_plan_that_does_not_fit_is_an_error_and_no_crash(name: str, plan: list[int], message: str) -> None:
    import unsample.jax  # noqa: F401  # registers the calls

    call: Any = jax.ffi.ffi_call(f"unsample_{name}", jax.ShapeDtypeStruct((6,), np.float32))
    with pytest.raises(Exception, match=message):
        np.asarray(call(jnp.ones(3, np.float32), plan=np.array(plan, np.int64)))


@pytest.mark.parametrize("variable", ["", "1"])
def test_without_kernels_everything_works_too(variable: str) -> None:
    code = """
import jax, jax.numpy as jnp, unsample as us
x = jnp.arange(12.0).reshape(1, 2, 6)
w = jnp.ones((2, 3, 3))
def loss(x, w):
    y = us.conv_transpose(us.max_unpool(*us.max_pool(x, 2)), w, stride=2)
    return (us.resize(us.nearest(y, 2), 5) ** 2).sum()
print(jax.jit(loss).lower(x, w).as_text().count("custom_call @unsample"), jax.jit(jax.grad(loss))(x, w).shape)
"""
    done = run(code, UNSAMPLE_NO_NATIVE=variable)
    assert done.returncode == 0, done.stderr
    number, shape = done.stdout.split(" ", 1)
    assert (int(number) == 0) == (variable == "1" or not us.show_config().compiled)
    assert shape.strip() == "(1, 2, 6)"


LAYOUT = {
    "Extension": ("XLA_FFI_Extension_Base", ("struct_size", "type", "next")),
    "Version": ("XLA_FFI_Api_Version", ("struct_size", "extension_start", "major_version", "minor_version")),
    "Buffer": ("XLA_FFI_Buffer", ("struct_size", "extension_start", "dtype", "data", "rank", "dims")),
    "Array": ("XLA_FFI_Array", ("dtype", "size", "data")),
    "Name": ("XLA_FFI_ByteSpan", ("ptr", "len")),
    "Buffers": ("XLA_FFI_Args", ("struct_size", "size", "types", "items=args")),
    "Buffers ": ("XLA_FFI_Rets", ("struct_size", "size", "types", "items=rets")),
    "Attributes": ("XLA_FFI_Attrs", ("struct_size", "size", "types", "names", "attrs")),
    "NewError": ("XLA_FFI_Error_Create_Args", ("struct_size", "extension_start", "message", "code=errc")),
    "Api": (
        "XLA_FFI_Api",
        ("struct_size", "api_version", "internal_api", "create_error=XLA_FFI_Error_Create"),
    ),
    "CallFrame": (
        "XLA_FFI_CallFrame",
        ("struct_size", "extension_start", "api", "ctx", "stage", "args", "rets", "attrs"),
    ),
    "Metadata": ("XLA_FFI_Metadata", ("struct_size", "api_version", "traits")),
    "MetadataExtension": ("XLA_FFI_Metadata_Extension", ("extension_base", "metadata")),
}
CONSTANTS = {
    "kMajorVersion": "XLA_FFI_API_MAJOR",
    "kMetadata": "XLA_FFI_Extension_Metadata",
    "kArray": "XLA_FFI_AttrType_ARRAY",
    "kInvalidArgument": "XLA_FFI_Error_Code_INVALID_ARGUMENT",
    "kResourceExhausted": "XLA_FFI_Error_Code_RESOURCE_EXHAUSTED",
    **{
        name: f"XLA_FFI_DataType_{name}"
        for name in (
            *("PRED", "S8", "S16", "S32", "S64", "U8", "U16", "U32", "U64"),
            *("F16", "F32", "F64", "C64", "BF16", "C128"),
        )
    },
}


def test_our_part_of_the_binary_interface_is_that_of_the_installed_jaxlib(tmp_path: Path) -> None:
    compiler = os.environ.get("CXX") or shutil.which("c++") or shutil.which("g++")
    assert compiler, "a C++ compiler is needed to compare the headers"
    lines = ['#include "xla/ffi/api/c_api.h"', '#include "xla_ffi.h"', "namespace ours = unsample::xla;"]
    for name, (theirs, fields) in LAYOUT.items():
        for field in fields:
            own, _, other = field.partition("=")
            ours, other = f"ours::{name.strip()}", other or own
            lines.append(f"static_assert(offsetof({ours}, {own}) == offsetof({theirs}, {other}));")
            lines.append(f"static_assert(sizeof({ours}::{own}) == sizeof({theirs}::{other}));")
    lines += [f"static_assert(int(ours::{own}) == int({theirs}));" for own, theirs in CONSTANTS.items()]
    source = tmp_path / "layout.cpp"
    source.write_text("\n".join(lines), encoding="utf-8")
    include = [f"-I{jax.ffi.include_dir()}", f"-I{CALLER}"]
    done = subprocess.run(
        [compiler, "-std=c++17", "-Wno-invalid-offsetof", "-fsyntax-only", *include, str(source)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
