"""Sizes, windows and the questions asked backwards, against brute force."""

import itertools

import numpy as np
import pytest

import unsample as us
from unsample.geometry import AdaptiveWindow, Setting, Step, Window, sizes_that_work, solve


@pytest.mark.promise("38")
@pytest.mark.parametrize("n", range(1, 12))
@pytest.mark.parametrize("stride", [1, 2, 3])
def test_same_makes_ceil_size_over_stride_windows(n: int, stride: int) -> None:
    for kernel, dilation in itertools.product([1, 2, 3, 4], [1, 2]):
        w = np.ones((1, 1, kernel))
        out = us.conv(np.ones((1, n)), w, stride=stride, dilation=dilation, padding="same")
        assert out.shape == (1, -(-n // stride))
        up = us.conv_transpose(out, w, stride=stride, dilation=dilation, padding="same")
        assert up.shape == (1, out.shape[1] * stride)
        back = us.conv_transpose(out, w, stride=stride, dilation=dilation, padding="same", output_size=n)
        assert back.shape == (1, n)


@pytest.mark.promise("39")
def test_every_legal_output_size_comes_back() -> None:
    for kernel, stride, dilation, before, after in itertools.product(
        [1, 2, 3, 5], [1, 2, 3], [1, 2], [0, 1, -1], [0, 2]
    ):
        w, y = np.ones((1, 1, kernel)), np.ones((1, 4))
        options = {"stride": stride, "dilation": dilation, "padding": ((before, after),)}
        legal = []
        for n in range(1, 40):
            try:
                legal.append(us.conv_transpose(y, w, output_size=n, **options).shape[1])
            except us.ShapeError:
                continue
        expected = []
        for n in range(1, 40):
            try:
                windows = us.conv(np.ones((1, n)), w, **options).shape[1]
            except us.ShapeError:
                continue
            if windows == 4:
                expected.append(n)
        assert legal == expected
        if legal:
            assert us.conv_transpose(y, w, **options).shape == (1, legal[0])  # the smallest


def test_windows_that_tile() -> None:
    """`tiles` says whether stamps may be copied: compared with counting what they meet."""
    for size, stride, dilation, coarse in itertools.product([1, 2, 3], [1, 2, 3, 4], [1, 2, 3], [1, 2, 3, 4]):
        fine = (coarse - 1) * stride + (size - 1) * dilation + 1
        window = Window(fine, coarse, size, stride, dilation)
        assert window.tiles == (max(window.overlap()) <= 1), window
    for fine, coarse in itertools.product(range(1, 12), range(1, 12)):
        window = AdaptiveWindow(fine, coarse)
        meets = np.zeros(fine, int)
        for o in range(coarse):
            meets[window.start(o) : window.start(o) + window.length(o)] += 1
        assert window.tiles == (meets.max() <= 1), window


@pytest.mark.parametrize("mode", ["circular", "reflect", "replicate"])
@pytest.mark.parametrize("n", [2, 3, 7])
def test_borders_are_numpy_pads_borders(mode: str, n: int) -> None:
    """np.pad is the outside oracle, wrapping more than once included."""
    numpy_mode = {"circular": "wrap", "reflect": "reflect", "replicate": "edge"}[mode]
    x = np.arange(1.0, n + 1)
    for before, after, stride in itertools.product([0, 1, 5, 9], [0, 2, 8], [1, 3]):
        identity = us.conv(
            x[None], np.ones((1, 1, 1)), padding=((before, after),), padding_mode=mode, stride=stride
        )
        np.testing.assert_array_equal(identity[0], np.pad(x, (before, after), mode=numpy_mode)[::stride])


@pytest.mark.promise("11")
def test_solve_is_complete_and_right() -> None:
    for n, m in [(4, 8), (5, 11), (7, 7), (3, 16), (1, 4)]:
        found = solve(n, m, kernel_sizes=range(1, 6), strides=range(1, 5))
        for setting in found:
            out = us.conv_transpose(
                np.ones((1, n)),
                np.ones((1, 1, setting.kernel_size)),
                stride=setting.stride,
                padding=(setting.padding,),
                output_padding=setting.output_padding,
            )
            assert out.shape == (1, m), setting
        brute = {
            Setting(k, s, (p, p), o)
            for k, s in itertools.product(range(1, 6), range(1, 5))
            for p in range(k)
            for o in range(s)
            if (n - 1) * s - 2 * p + k + o == m
        }
        assert set(found) == brute
        assert len(found) == len(brute)


def test_solve_prefers_even_overlap() -> None:
    found = solve(16, 32)
    assert str(found[0]) == "kernel_size=2, stride=2, padding=0"
    assert [setting.even for setting in found] == sorted((s.even for s in found), reverse=True)
    overlap = Window(fine=33, coarse=16, size=3, stride=2).overlap()[2:-2]
    assert set(overlap) == {1, 2}  # the checkerboard of an uneven setting
    assert not Setting(3, 2).even
    assert Setting(4, 2).even
    assert Setting(3, 1).even


def test_solve_over_several_axes() -> None:
    assert solve((16, 24), (32, 48)) == solve(16, 32)  # 2 n, whatever n is
    assert solve((16, 24), (32, 47)) == ()
    assert solve(np.array([16, 24]), np.array([32, 48])) == solve(np.int64(16), np.array(32)) == solve(16, 32)
    assert Step("conv", kernel_size=3, padding=np.array([1, 0])) == Step(
        "conv", kernel_size=3, padding=(1, 0)
    )
    with pytest.raises(us.ShapeError, match=r"\Asolve: input_size and output_size must have as many axes"):
        solve((16, 16), 32)
    with pytest.raises(us.ShapeError, match=r"\Asolve: input_size must be at least 1, got 0\Z"):
        solve(0, 1)


def test_sizes_that_work_against_the_operations_themselves() -> None:
    w = np.ones((1, 1, 3))
    down = Step("conv", kernel_size=3, stride=2, padding=1)
    up = Step("conv_transpose", kernel_size=3, stride=2, padding=1, output_padding=1)
    sizes = sizes_that_work([(down, up)] * 2, limit=40)
    expected = []
    for n in range(1, 41):
        x, seen = np.ones((1, n)), []
        for _ in range(2):
            seen.append(x.shape[1])
            x = us.conv(x, w, stride=2, padding=1)
        good = True
        for size in reversed(seen):
            x = us.conv_transpose(x, w, stride=2, padding=1, output_padding=1)
            good = good and x.shape[1] == size
        if good:
            expected.append(n)
    assert list(sizes) == expected == list(range(4, 41, 4))


def test_sizes_that_work_says_its_pattern() -> None:
    assert str(sizes_that_work(3)) == "8, 16, 24, 32, ... (every 8th from 8, up to 512)"
    assert str(sizes_that_work(0, limit=9)) == "1, 2, 3, 4, ... (every one from 1, up to 9)"
    assert str(sizes_that_work(3, limit=16)) == "8, 16 (up to 16)"
    assert str(sizes_that_work(9)) == "512 (up to 512)"
    assert str(sizes_that_work(10)) == "none up to 512"
    assert sizes_that_work(10).nearest(3) is None
    valid = [Step("conv", kernel_size=3)] * 2
    pool, nearest = Step("max_pool", kernel_size=2, stride=2), Step("nearest", stride=2)
    shrinking = sizes_that_work([([*valid, pool], nearest)])  # the first U-Net: no size comes back
    assert len(shrinking) == 0
    widening = [Step("conv_transpose", kernel_size=3)] * 2
    mirrored = sizes_that_work([([*valid, pool], [nearest, *widening])])
    assert list(mirrored)[:3] == [6, 8, 10]
    ceil = sizes_that_work([(Step("max_pool", kernel_size=2, stride=2, ceil_mode=True), nearest)])
    assert 7 not in ceil
    assert 8 in ceil


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: Step("pool"), us.ShapeError, "Step: operation must be one of "),
        (lambda: Step("conv", stride=0), us.ShapeError, "Step: stride must be at least 1, got 0"),
        (
            lambda: sizes_that_work([Step("conv")]),
            us.ShapeError,
            "sizes_that_work: each level must be a pair",
        ),
        (
            lambda: sizes_that_work([("a", "b")]),
            TypeError,
            "sizes_that_work: a level must be made of Steps, got str",
        ),
        (lambda: sizes_that_work(-1), us.ShapeError, "sizes_that_work: levels must be at least 0, got -1"),
    ],
)
def test_wrong_questions(call: object, error: type[Exception], message: str) -> None:
    with pytest.raises(error) as caught:
        call()  # type: ignore[operator]
    assert str(caught.value).startswith(message)


@pytest.mark.promise("F21")
def test_the_tap_caches_stay_bounded() -> None:
    """Random shapes must not make memory grow."""
    from unsample import cache
    from unsample.geometry.resample import Resample
    from unsample.geometry.window import AdaptiveWindow, cached_axis_taps

    cache.forget()
    for n in range(50_001, 50_201):
        cached_axis_taps(AdaptiveWindow(n, 50_000))
        Resample(n, 60_000, "linear", "half_pixel", False).taps()
        assert cache.held() <= cache.MOST
    assert cache.held() > cache.MOST // 2


def test_calls_that_look_alike_are_not_the_same() -> None:
    """Equal is not enough: True, 1.0 and 1 are, and lists change."""
    x = np.arange(8.0).reshape(2, 4)
    assert us.nearest(x, (2,)).shape == (2, 8)
    for factor, told in (((2.0,), "2.0 (float)"), ((True,), "True (bool)")):
        with pytest.raises(TypeError) as caught:
            us.nearest(x, factor)  # type: ignore[arg-type]
        assert str(caught.value).endswith(f"got {told}")
    factor = [2]
    assert us.nearest(x, factor).shape == (2, 8)
    factor[0] = 3
    assert us.nearest(x, factor).shape == (2, 12)
    with pytest.raises(TypeError):
        us.max_pool(x, (2,), ceil_mode=1)  # type: ignore[call-overload]
    assert us.max_pool(x, (2,), ceil_mode=True)[0].shape == (2, 2)
    with pytest.raises(TypeError):
        us.max_pool(x, (2,), ceil_mode=1)  # type: ignore[call-overload]


def test_kept_calls_are_told_apart_by_names_and_are_bounded() -> None:
    from unsample.geometry import plan as plans

    def planned(shape: tuple[int, ...], *, a: int, b: int) -> plans.Plan:
        return plans.Plan("nearest", shape, (a, b))

    assert plans.cached_plan(planned, ((3,),), a=1, b=2).output_shape == (1, 2)
    assert plans.cached_plan(planned, ((3,),), b=1, a=2).output_shape == (2, 1)
    assert plans.cached_plan(planned, ((3,),), a=1, b=2) is plans.cached_plan(planned, ((3,),), a=1, b=2)
    for n in range(2 * plans._MOST):
        plans.cached_plan(planned, ((n,),), a=1, b=2)
    assert len(plans._LAST) <= plans._MOST
