"""What is measured of a reconstruction; `docs/compare.md` explains, with the sources."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.floating[Any]]

# scikit-image's arguments for the SSIM of Wang et al. (2004), which are not its defaults.
SSIM_SETTINGS = {
    "data_range": 1.0,
    "channel_axis": 0,
    "gaussian_weights": True,
    "sigma": 1.5,
    "use_sample_covariance": False,
}
PSNR_SETTINGS = {"data_range": 1.0}


def psnr(truth: Image, image: Image) -> float:
    """Peak signal-to-noise ratio in decibels, scikit-image's."""
    from skimage.metrics import peak_signal_noise_ratio

    return float(peak_signal_noise_ratio(truth, image, **PSNR_SETTINGS))


def ssim(truth: Image, image: Image) -> float:
    """Structural similarity, scikit-image's with `SSIM_SETTINGS`."""
    from skimage.metrics import structural_similarity

    return float(structural_similarity(truth, image, **SSIM_SETTINGS))


def blockiness(images: Sequence[Image], period: int) -> float:
    """How much larger the steps between neighbours are at the worst place of the block than on average.

        D[r, s] = mean |x[i + 1, j] - x[i, j]|  over i % period == r, j % period == s
        blockiness = max(D) / mean(D) - 1       the mean over both directions

    0 for an image that does not know the grid; period - 1 for nearest neighbour by `period`, whose steps all
    lie between blocks.

    Parameters
    ----------
    images : sequence of arrays, (C, height, width)
        All of them are pooled.
    period : int
        Size of the block, the total factor of the way up.

    Returns
    -------
    float

    Notes
    -----
    Source: Wang, Bovik & Evans (ICIP 2000) compare the differences across block boundaries with the others;
    here the boundary may be anywhere in the block, since convolutions after the way up move it.

    Examples
    --------
    >>> import numpy as np, unsample as us
    >>> from unsample.compare import blockiness
    >>> x = np.random.default_rng(0).standard_normal((1, 16, 16))
    >>> round(blockiness([us.nearest(x, (2, 2))], 2), 9)
    1.0
    """
    found = []
    for axis in (-2, -1):
        steps = [np.abs(np.diff(image.astype(np.float64), axis=axis)) for image in images]
        means = _mean_by_phase(steps, period)
        found.append(means.max() / means.mean() - 1 if means.mean() > 0 else 0.0)
    return float(np.mean(found))


def checkerboard(images: Sequence[Image], period: int) -> float:
    """Checkerboard energy: how much of the fine detail follows the grid of the way up.

        d = x[i + 1, j] - x[i, j];   M[r, s], P[r, s] = mean of d, of d**2  over the phase (r, s)
        energy = mean(M**2) / mean(P) + var(P) / mean(P)**2       the mean over both directions

    The first term is the share of the detail's energy that is the same in every block (a fixed pattern),
    the second says how unevenly the energy is spread over the block (stamps that overlap unevenly). Both are
    0 for an image that does not know the grid.

    Parameters
    ----------
    images : sequence of arrays, (C, height, width)
        All of them are pooled.
    period : int
        Size of the block, the total factor of the way up.

    Returns
    -------
    float

    Notes
    -----
    Source: Odena, Dumoulin & Olah, "Deconvolution and Checkerboard Artifacts" (Distill, 2016) for the
    artifact; Sugawara, Shiota & Kiya (1806.02658) for its cause, a response that differs between phases.

    Examples
    --------
    >>> import numpy as np
    >>> from unsample.compare import checkerboard
    >>> i, j = np.indices((8, 8))
    >>> checkerboard([((i + j) % 2.0)[None]], 2)
    1.0
    """
    found = []
    for axis in (-2, -1):
        steps = [np.diff(image.astype(np.float64), axis=axis) for image in images]
        mean, power = _mean_by_phase(steps, period), _mean_by_phase([d**2 for d in steps], period)
        level = power.mean()
        found.append((mean**2).mean() / level + power.var() / level**2 if level > 0 else 0.0)
    return float(np.mean(found))


def _mean_by_phase(maps: Sequence[Image], period: int) -> Image:
    """Means over all maps and channels of the elements at each place of the block, (period, period)."""
    means = np.empty((period, period))
    for r in range(period):
        for s in range(period):
            values = [each[:, r::period, s::period].ravel() for each in maps]
            means[r, s] = np.concatenate(values).mean()
    return means
