"""MONAI's networks, for `unsample inspect`: its U-Net, and the other one with each of its ways up.

pip install '.[inspect]' monai
cd examples && unsample inspect monai_nets:pixelshuffle --input 1,1,96,96
"""

import warnings

import torch

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from monai.networks.nets import BasicUNet, UNet


def unet() -> torch.nn.Module:
    """Strided convolutions down, transposed convolutions up."""
    torch.manual_seed(0)
    return UNet(2, 1, 2, channels=(16, 32, 64, 128, 256), strides=(2, 2, 2, 2), num_res_units=2)


def deconv() -> torch.nn.Module:
    """Max pooling down, transposed convolutions of 2x2 up."""
    return _basic("deconv")


def nontrainable() -> torch.nn.Module:
    """Max pooling down, interpolation up."""
    return _basic("nontrainable")


def pixelshuffle() -> torch.nn.Module:
    """Max pooling down, pixel shuffle up."""
    return _basic("pixelshuffle")


def _basic(mode: str) -> torch.nn.Module:
    torch.manual_seed(0)
    return BasicUNet(2, 1, 2, upsample=mode)
