"""The numbers of the article that started this project, under the article's own names.

"[DL] 12. Unsampling: Unpooling and Transpose Convolution". Figure 2 is not printed with numbers in the
text; a 4x4 map with its maxima in four different corners of their blocks stands for it, so that no figure
can pass by luck.
"""

import numpy as np
import pytest

import unsample as us
from backends import JAX, NUMPY, TORCH, Backend

FEATURES = np.array([[9.0, 1, 2, 8], [3, 4, 5, 6], [1, 2, 4, 3], [7, 5, 1, 6]])
POOLED = np.array([[9.0, 8], [7, 6]])
XYZ = np.array([2.0, 3.0, 5.0])

every_library = pytest.mark.parametrize("library", [NUMPY, TORCH, JAX], ids=lambda each: each.name)


def kernel(values: np.ndarray) -> np.ndarray:
    """One input channel, one output channel."""
    return values.reshape((1, 1, *values.shape))


@every_library
def test_figure_2_max_pooling_4x4_to_2x2(library: Backend) -> None:
    values, switches = us.max_pool(library.array(FEATURES), (2, 2))
    np.testing.assert_array_equal(library.numpy(values), POOLED)
    np.testing.assert_array_equal(library.numpy(switches.taps), [[0, 1], [2, 3]])


@every_library
def test_figure_3_nearest_neighbour_is_blocky(library: Backend) -> None:
    out = library.numpy(us.nearest(library.array(POOLED), (2, 2)))
    np.testing.assert_array_equal(out, [[9, 9, 8, 8], [9, 9, 8, 8], [7, 7, 6, 6], [7, 7, 6, 6]])


@every_library
def test_figure_4_bed_of_nails_upper_left(library: Backend) -> None:
    out = library.numpy(us.bed_of_nails(library.array(POOLED), (2, 2)))
    np.testing.assert_array_equal(out, [[9, 0, 8, 0], [0, 0, 0, 0], [7, 0, 6, 0], [0, 0, 0, 0]])


@every_library
def test_figure_5_max_unpooling_where_they_were(library: Backend) -> None:
    values, switches = us.max_pool(library.array(FEATURES), (2, 2))
    out = library.numpy(us.max_unpool(values, switches))
    np.testing.assert_array_equal(out, [[9, 0, 0, 8], [0, 0, 0, 0], [0, 0, 0, 0], [7, 0, 0, 6]])


@every_library
def test_figure_6_strided_convolution_4x4_to_2x2(library: Backend) -> None:
    weight = np.arange(1.0, 10.0).reshape(3, 3)
    padded = np.pad(FEATURES, 1)
    expected = [[np.sum(weight * padded[i : i + 3, j : j + 3]) for j in (0, 2)] for i in (0, 2)]
    out = us.conv(library.array(FEATURES[None]), library.array(kernel(weight)), stride=2, padding=1)
    np.testing.assert_array_equal(library.numpy(out)[0], expected)


@every_library
@pytest.mark.parametrize(
    ("stride", "expected"),
    [(2, [2, 3, 5 + 20, 30, 50]), (1, [2, 3 + 20, 5 + 30, 50])],
    ids=["stride 2 gives 5", "stride 1 gives 4"],
)
def test_figure_7_two_inputs_three_taps(library: Backend, stride: int, expected: list[float]) -> None:
    y, xyz = library.array(np.array([[1.0, 10.0]])), library.array(kernel(XYZ))
    out = library.numpy(us.conv_transpose(y, xyz, stride=stride))
    np.testing.assert_array_equal(out, [expected])


def test_convolution_as_a_matrix_x_stride_1() -> None:
    x = us.matrix(us.conv, (1, 4), kernel(XYZ), padding=1).toarray()
    np.testing.assert_array_equal(x, [[3, 5, 0, 0], [2, 3, 5, 0], [0, 2, 3, 5], [0, 0, 2, 3]])
    transposed = us.matrix(us.conv_transpose, (1, 4), kernel(XYZ), padding=1).toarray()
    np.testing.assert_array_equal(transposed, x.T)


def test_convolution_as_a_matrix_x_stride_2() -> None:
    x = us.matrix(us.conv, (1, 4), kernel(XYZ), padding=1, stride=2).toarray()
    np.testing.assert_array_equal(x, [[3, 5, 0, 0], [0, 2, 3, 5]])
    up = us.matrix(us.conv_transpose, (1, 2), kernel(XYZ), padding=1, stride=2, output_size=4)
    np.testing.assert_array_equal(up.toarray(), [[3, 0], [5, 2], [0, 3], [0, 5]])


@pytest.mark.parametrize(
    ("padding", "size"),
    [(0, 6), (((0, 1),), 5), (((1, 0),), 5), (1, 4)],
    ids=["full: 6", "cropped after: the article's 5", "cropped before: 5", "padding 1: 4"],
)
def test_the_correction_4_inputs_3_taps_stride_1(padding: object, size: int) -> None:
    """The article reports 5x1 for X transposed; that is what cropping one side alone gives."""
    y = np.array([[1.0, 2.0, 3.0, 4.0]])
    full = np.convolve(y[0], XYZ)
    assert len(full) == 6 == (4 - 1) * 1 + 3
    before, after = padding[0] if isinstance(padding, tuple) else (padding, padding)
    out = us.conv_transpose(y, kernel(XYZ), padding=padding)
    np.testing.assert_array_equal(out, [full[before : 6 - after]])
    assert out.shape == (1, size)
