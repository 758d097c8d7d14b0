"""The comparison: what it measures, what it splits, what it refuses, that it repeats itself."""

import csv
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import unsample as us
from unsample.compare import (
    METHODS,
    BadPhotographs,
    Comparison,
    Photographs,
    Settings,
    blockiness,
    bundled,
    check_writable,
    checkerboard,
    compare,
    from_folder,
)
from unsample.compare.network import EncoderDecoder
from unsample.compare.run import _crops

MEASURES = pytest.mark.parametrize("measure", [blockiness, checkerboard])
QUICK = Settings(methods=("nearest", "max_unpool"), steps=3, batch=2, crop=16, width=4)


def noise(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape)


def photograph(path: Path, size: tuple[int, int] = (48, 40), seed: int = 0, mode: str = "RGB") -> None:
    shape = (size[1], size[0], 3)
    pixels = np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)
    Image.fromarray(pixels).convert(mode).save(path)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Four good photographs."""
    place = tmp_path / "photographs"
    place.mkdir()
    for number in range(4):
        photograph(place / f"{number}.png", seed=number)
    return place


# What is measured


@MEASURES
def test_nearest_is_blockier_than_linear(measure) -> None:
    images = [noise(seed, 3, 40, 40).cumsum(-1).cumsum(-2) for seed in range(3)]
    nearest = [us.nearest(image, (2, 2)) for image in images]
    linear = [us.resize(image, factor=(2, 2)) for image in images]
    assert measure(nearest, 2) > 2 * measure(linear, 2) > 0


@MEASURES
@pytest.mark.parametrize("stride", [2, 3])
def test_uneven_overlap_is_above_even_at_initialisation(measure, stride: int) -> None:
    """A kernel that the stride divides against one that it does not, random weights, mean over many."""

    def energy(kernel: int) -> float:
        found = []
        for seed in range(40):
            x, weight = noise(seed, 8, 16, 16), noise(seed + 1000, 8, 8, kernel, kernel)
            y = us.conv_transpose(x, weight, stride=stride)
            found.append(measure([y[:, 2 * kernel : -2 * kernel, 2 * kernel : -2 * kernel]], stride))
        return float(np.mean(found))

    assert energy(2 * stride - 1) > 1.15 * energy(2 * stride)
    assert energy(stride + 1) > 1.15 * energy(2 * stride)


@MEASURES
def test_an_image_that_does_not_know_the_grid_has_none(measure) -> None:
    assert measure([noise(0, 3, 400, 400)], 2) < 0.02
    assert measure([np.ones((3, 8, 8))], 2) == 0.0


@MEASURES
def test_the_place_in_the_block_does_not_matter(measure) -> None:
    x = us.nearest(noise(1, 3, 60, 60), (4, 4))
    assert measure([x[:, 1:, 3:]], 4) == pytest.approx(measure([x], 4), rel=0.1)


def test_blockiness_of_nearest_is_the_period_less_one() -> None:
    assert blockiness([us.nearest(noise(0, 1, 8, 8), (4, 4))], 4) == pytest.approx(3.0)


def test_the_metrics_are_those_that_are_printed() -> None:
    """PSNR by its formula; SSIM of an image with itself and of two flat ones (Wang et al., eq. 13)."""
    from unsample.compare import measures

    a, b = noise(0, 3, 32, 32) * 0.1 + 0.5, noise(1, 3, 32, 32) * 0.1 + 0.5
    assert measures.psnr(a, b) == pytest.approx(-10 * np.log10(np.mean((a - b) ** 2)))
    assert measures.ssim(a, a) == pytest.approx(1.0)
    dark, light = np.full((3, 16, 16), 0.25), np.full((3, 16, 16), 0.5)
    assert measures.ssim(dark, light) == pytest.approx((2 * 0.25 * 0.5 + 1e-4) / (0.25**2 + 0.5**2 + 1e-4))


# What is trained


def test_methods_differ_in_the_way_up_alone() -> None:
    networks = {}
    for method in METHODS:
        torch.manual_seed(0)
        networks[method] = EncoderDecoder(method, factor=2, levels=2, width=4).state_dict()
    shared = dict(networks["nearest"])
    for method, state in networks.items():
        for key, value in shared.items():
            assert torch.equal(state[key], value), (method, key)
        assert all(key.startswith("ways_up") for key in set(state) - set(shared)), method


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("factor", "levels", "size"), [(2, 2, (8, 12)), (3, 1, (9, 6))])
def test_every_network_returns_the_size_it_got(method: str, factor: int, levels: int, size) -> None:
    network = EncoderDecoder(method, factor, levels, width=4)
    x = torch.rand(2, 3, *size)
    y = network(x)
    assert y.shape == x.shape
    y.sum().backward()
    assert all(torch.isfinite(p.grad).all() and p.grad.abs().sum() > 0 for p in network.parameters())


@pytest.mark.parametrize("method", METHODS)
def test_multiply_adds_are_those_of_the_convolutions(method: str) -> None:
    """Counted here by torch's hooks on its own layers, padding included, plus the way up by hand."""
    width, size = 4, 16
    network = EncoderDecoder(method, 2, 1, width)
    counted = 0

    def count(layer, args, output) -> None:
        nonlocal counted
        taps = us.conv(torch.ones(1, 1, *args[0].shape[2:]), torch.ones(1, 1, 3, 3), padding=1).sum().item()
        counted += int(taps) * layer.in_channels * layer.out_channels

    for layer in network.modules():
        if isinstance(layer, torch.nn.Conv2d):
            layer.register_forward_hook(count)
    network(torch.rand(1, 3, size, size))
    small, large = size // 2, size
    inside = {"conv": lambda n: (3 * n - 2) ** 2}["conv"]  # 3x3 taps that meet n x n elements, padding 1
    by_hand = {
        "conv_transpose": width**2 * (4 * small - 2) ** 2,  # 4 taps per element, one off at each end
        "pixel_shuffle": 4 * width**2 * inside(small),
        "resize_conv": width**2 * inside(large),
        # each axis: 2 weights per target, 1 at the two ends, on `small` and then on `large` lines
        "linear": width * ((2 * large - 2) * small + (2 * large - 2) * large),
    }.get(method, 0)
    assert network.multiply_adds(size, size) == counted + by_hand


def test_same_seed_same_numbers(folder: Path) -> None:
    runs = [compare(folder, QUICK, progress=False) for _ in range(2)]
    other = compare(folder, replace(QUICK, seed=1), progress=False)
    for a, b in zip(runs[0].results, runs[1].results, strict=True):
        assert a.losses == b.losses
        assert (a.psnr, a.ssim, a.blockiness, a.checkerboard) == (
            b.psnr,
            b.ssim,
            b.blockiness,
            b.checkerboard,
        )
        for one, two in zip(a.reconstructions, b.reconstructions, strict=True):
            np.testing.assert_array_equal(one, two)
    assert runs[0].results[0].losses != other.results[0].losses


def test_training_learns(folder: Path) -> None:
    settings = Settings(methods=("conv_transpose",), steps=60, batch=4, crop=16, width=8)
    (result,) = compare(None, settings, progress=False).results
    assert np.mean(result.losses[-10:]) < 0.5 * np.mean(result.losses[:10])


def test_training_leaves_torch_as_it_was(folder: Path) -> None:
    torch.manual_seed(7)
    before = torch.get_rng_state()
    compare(folder, QUICK, progress=False)
    assert torch.equal(torch.get_rng_state(), before)
    assert not torch.are_deterministic_algorithms_enabled()


# The split


def test_split_is_by_photograph(folder: Path) -> None:
    photographs = from_folder(folder, smallest=16, seed=3)
    train = {each.name for each in photographs.train}
    held_out = {each.name for each in photographs.held_out}
    assert len(held_out) == 1
    assert not train & held_out
    assert train | held_out == {f"{n}.png" for n in range(4)}


def test_no_crop_comes_from_a_held_out_photograph(tmp_path: Path) -> None:
    """Each photograph has one grey of its own, so that a crop tells where it comes from."""
    for n in range(8):
        Image.new("RGB", (32, 32), (n * 30,) * 3).save(tmp_path / f"{n}.png")
    photographs = from_folder(tmp_path, smallest=16, seed=0)
    crops = _crops(photographs.train, replace(QUICK, batch=64))
    seen = {round(float(value) * 255) for value in next(crops).unique()}
    assert seen == {int(each.name[0]) * 30 for each in photographs.train}
    assert not seen & {int(each.name[0]) * 30 for each in photographs.held_out}


def test_bundled_photographs_are_there_and_real() -> None:
    photographs = bundled(0)
    assert len(photographs.train) == 9
    assert len(photographs.held_out) == 3
    for each in photographs.train + photographs.held_out:
        assert min(each.pixels.shape[:2]) >= 256, each.name
        assert each.pixels.std() > 10, each.name


# Photographs of every kind


def read_one(path: Path, tmp_path: Path):
    """The photograph at `path`, read among three good ones."""
    photographs = from_folder(path.parent, smallest=16)
    return next(each for each in photographs.train + photographs.held_out if each.name == path.name)


@pytest.mark.parametrize("mode", ["L", "1", "P", "CMYK", "RGBA", "LA"])
@pytest.mark.promise("91")
def test_every_mode_of_image_is_read(folder: Path, mode: str) -> None:
    suffix = ".tif" if mode == "CMYK" else ".png"
    photograph(folder / f"other{suffix}", mode=mode)
    assert read_one(folder / f"other{suffix}", folder).pixels.shape == (40, 48, 3)


@pytest.mark.promise("91")
def test_sixteen_bits_are_kept(folder: Path) -> None:
    pixels = np.arange(48 * 40, dtype=np.uint16).reshape(40, 48) * 30
    Image.fromarray(pixels).save(folder / "deep.png")
    read = read_one(folder / "deep.png", folder)
    np.testing.assert_array_equal(read.pixels[..., 0], pixels)
    assert read.floats(slice(None), slice(None)).max() == pytest.approx(pixels.max() / 65535)


@pytest.mark.promise("91")
def test_exif_orientation_is_applied(folder: Path) -> None:
    image = Image.new("RGB", (48, 32), "white")
    image.paste("black", (0, 0, 24, 32))
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned a quarter clockwise
    image.save(folder / "turned.png", exif=exif)
    pixels = read_one(folder / "turned.png", folder).pixels
    assert pixels.shape[:2] == (48, 32)
    assert pixels[:20].max() == 0
    assert pixels[-20:].min() == 255


@pytest.mark.promise("91")
def test_transparent_is_white(folder: Path) -> None:
    Image.new("RGBA", (32, 32), (0, 0, 0, 0)).save(folder / "clear.png")
    assert read_one(folder / "clear.png", folder).pixels.min() == 255


@pytest.mark.promise("91")
def test_an_animation_gives_its_first_picture(folder: Path) -> None:
    frames = [Image.new("RGB", (32, 32), colour) for colour in ("black", "white")]
    frames[0].save(folder / "moving.gif", save_all=True, append_images=frames[1:])
    assert read_one(folder / "moving.gif", folder).pixels.max() == 0


@pytest.mark.promise("94")
def test_a_loop_of_links_ends(folder: Path) -> None:
    (folder / "again").symlink_to(folder, target_is_directory=True)
    assert len(from_folder(folder, smallest=16).train) == 3


# What is refused, and how


def damage_truncated(path: Path) -> None:
    photograph(path)
    path.write_bytes(path.read_bytes()[:900])


def damage_empty(path: Path) -> None:
    path.write_bytes(b"")


def damage_no_image(path: Path) -> None:
    path.write_text("dear diary")


def damage_small(path: Path) -> None:
    photograph(path, size=(15, 40))


def claim(path: Path, width: int, height: int) -> None:
    """A PNG header that claims so many pixels, with next to nothing behind it."""
    import struct
    import zlib

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")
    )


def damage_bomb(path: Path) -> None:
    claim(path, 50000, 50000)


def damage_large(path: Path) -> None:
    """Between Pillow's limit, where it only warns, and twice that, where it refuses."""
    claim(path, 12000, 10000)


def damage_nonsense(path: Path) -> None:
    """The signature of a PNG and then nonsense."""
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"\0" * 50)


DAMAGES = {
    "truncated": (damage_truncated, r"bad\.png cannot be read \(.*\)"),
    "empty": (damage_empty, r"bad\.png is not a PNG, JPEG, TIFF, WEBP, BMP, PPM or GIF image"),
    "no image": (damage_no_image, r"bad\.png is not a PNG, JPEG, TIFF, WEBP, BMP, PPM or GIF image"),
    "small": (damage_small, r"bad\.png is 15x40 pixels, smaller than the crop of 16x16"),
    "bomb": (
        damage_bomb,
        r"bad\.png claims more pixels than the limit of \d+ million \(a decompression bomb\?\)",
    ),
    "large": (
        damage_large,
        r"bad\.png claims more pixels than the limit of \d+ million \(a decompression bomb\?\)",
    ),
    "broken": (damage_nonsense, r"bad\.png (cannot be read \(.*\)|is not a PNG, JPEG, .* image)"),
}
every_damage = pytest.mark.parametrize("damage", DAMAGES)


@every_damage
@pytest.mark.promise("91", "F19")
def test_one_bad_image_among_good_ones_is_named_and_skipped(folder: Path, damage: str) -> None:
    make, message = DAMAGES[damage]
    make(folder / "bad.png")
    photographs = from_folder(folder, smallest=16)
    assert len(photographs.train) + len(photographs.held_out) == 4
    ((name, why),) = photographs.skipped
    assert re.fullmatch(message, f"{name} {why}")


@every_damage
@pytest.mark.promise("91", "94", "F19")
def test_bad_images_alone_are_refused(tmp_path: Path, damage: str) -> None:
    make, message = DAMAGES[damage]
    make(tmp_path / "bad.png")
    start = r"compare: the folder must hold at least 2 photographs, one of them to hold out, got 0 usable in "
    with pytest.raises(BadPhotographs) as caught:
        from_folder(tmp_path, smallest=16)
    assert re.fullmatch(f"{start}{re.escape(str(tmp_path))}; {message}", str(caught.value))


@pytest.mark.promise("94")
def test_an_empty_folder_one_photograph_and_no_folder_are_refused(tmp_path: Path) -> None:
    need = "compare: the folder must hold at least 2 photographs, one of them to hold out, got"
    with pytest.raises(BadPhotographs) as caught:
        from_folder(tmp_path, smallest=16)
    assert str(caught.value) == f"{need} no images in {tmp_path}"
    photograph(tmp_path / "one.png")
    with pytest.raises(BadPhotographs) as caught:
        from_folder(tmp_path, smallest=16)
    assert str(caught.value) == f"{need} 1 usable in {tmp_path}"
    with pytest.raises(BadPhotographs) as caught:
        from_folder(tmp_path / "none", smallest=16)
    assert str(caught.value) == f"compare: the folder must exist, got {tmp_path / 'none'}"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"methods": ()}, "compare: methods must name at least one way up"),
        (
            {"methods": ("linear", "linear")},
            "compare: methods must name each way up once, got linear, linear",
        ),
        ({"factor": 1}, "compare: factor must be at least 2, got 1"),
        ({"levels": 0}, "compare: levels must be at least 1, got 0"),
        ({"crop": 18}, "compare: crop must be divisible by factor ** levels = 4, got 18"),
        ({"levels": 10**9}, "compare: crop must be divisible by factor ** levels, got 16"),
        ({"factor": 10**18, "levels": 4}, "compare: crop must be divisible by factor ** levels, got 16"),
        (
            {"batch": 10**9},
            "compare: batch 1000000000, crop 16, width 4 and factor 2 make an array of 1024000000000 "
            "elements, at most 268435456 can be trained with",
        ),
        (
            {"width": 10**5, "batch": 1, "methods": ("pixel_shuffle",)},
            "compare: batch 1, crop 16, width 100000 and factor 2 make an array of 360000000000 elements, "
            "at most 268435456 can be trained with",
        ),
        ({"seed": -1}, "compare: seed must be at least 0, got -1"),
        ({"rate": float("nan")}, "compare: rate must be a finite number above 0, got nan"),
        ({"rate": 0.0}, "compare: rate must be a finite number above 0, got 0.0"),
    ],
)
def test_settings_that_do_not_fit_are_refused(change: dict, message: str) -> None:
    with pytest.raises(us.ShapeError) as caught:
        replace(QUICK, **change)
    assert str(caught.value) == message


def test_an_unknown_method_names_those_there_are() -> None:
    message = r"^compare: methods must be one of 'nearest', .* got 'bilinear' \(did you mean 'linear'\?\)$"
    with pytest.raises(us.ShapeError, match=message):
        Settings(methods=("bilinear",))


@pytest.mark.promise("F12")
def test_an_output_folder_that_is_a_file_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "out"
    file.write_text("kept")
    with pytest.raises(
        ValueError, match=r"^compare: out must be a folder that can be written, got .*out \(.*\)$"
    ):
        check_writable(file)
    assert file.read_text() == "kept"


@pytest.fixture
def open_path() -> Iterator[Path]:
    """A temporary folder that every user may enter."""
    with tempfile.TemporaryDirectory() as place:
        Path(place).chmod(0o755)
        yield Path(place)


def as_nobody(code: str) -> str:
    """What a Python process prints that has given up being root, whom permission bits do not bind."""
    start = """
import os
import numpy.random
import PIL.Image
from unsample.compare import check_writable, from_folder
PIL.Image.init()  # what is imported later may lie where nobody reads
if os.geteuid() == 0:
    os.setuid(65534)
"""
    done = subprocess.run([sys.executable, "-c", start + code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.promise("F12")
def test_a_read_only_output_folder_is_refused(open_path: Path) -> None:
    place = open_path / "read-only"
    place.mkdir(mode=0o555)
    code = f"""
try:
    check_writable({str(place)!r})
except ValueError as error:
    print(error)
"""
    reason = "Permission denied"
    assert as_nobody(code) == f"compare: out must be a folder that can be written, got {place} ({reason})\n"


@pytest.mark.promise("94")
def test_a_photograph_without_permission_is_named_and_skipped(open_path: Path) -> None:
    for number in range(3):
        photograph(open_path / f"{number}.png", seed=number)
    (open_path / "1.png").chmod(0)
    printed = as_nobody(f"print(from_folder({str(open_path)!r}, smallest=16).skipped)")
    assert printed == "(('1.png', 'cannot be read (Permission denied)'),)\n"


# What comes out


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Comparison:
    place = tmp_path_factory.mktemp("photographs")
    for number in range(4):
        photograph(place / f"<b>{number}$.png", seed=number)
    return compare(place, QUICK, progress=False)


def test_the_files_hold_the_results(found: Comparison, tmp_path: Path) -> None:
    written = found.save(tmp_path)
    assert sorted(path.name for path in written) == ["losses.png", "results.csv", "results.json", "sheet.png"]
    assert sorted(os.listdir(tmp_path)) == sorted(path.name for path in written), (
        "nothing else is left behind"
    )
    document = json.loads((tmp_path / "results.json").read_text())
    assert [each["method"] for each in document["results"]] == ["nearest", "max_unpool"]
    assert document["results"][0]["psnr"] == found.results[0].psnr
    assert document["results"][1]["losses"] == list(found.results[1].losses)
    assert document["settings"]["crop"] == 16
    assert document["metrics"]["ssim"]["gaussian_weights"] is True
    with open(tmp_path / "results.csv", newline="") as file:
        rows = list(csv.reader(file))
    header = "method,psnr,ssim,blockiness,checkerboard,parameters,multiply_adds,ms_per_step,peak_bytes"
    assert ",".join(rows[0]) == header
    assert [row[0] for row in rows[1:]] == ["nearest", "max_unpool"]
    assert float(rows[1][1]) == found.results[0].psnr
    for name in ("sheet.png", "losses.png"):
        with Image.open(tmp_path / name) as image:
            image.load()
            assert min(image.size) > 200
            assert np.asarray(image.convert("L")).std() > 10


def test_the_table_has_a_row_per_method_and_the_originals(found: Comparison) -> None:
    lines = repr(found).splitlines()
    assert [line.split()[0] for line in lines] == ["way", "nearest", "max_unpool", "(originals)"]
    page = found._repr_html_()
    assert page.count("<tr>") == 4
    assert "max_unpool" in page


def test_numbers_that_are_not_finite_are_null_in_json(found: Comparison, tmp_path: Path) -> None:
    odd = replace(found.results[0], psnr=float("inf"), losses=(float("nan"), 1.0))
    replace(found, results=(odd,)).save_numbers(tmp_path)
    (result,) = json.loads((tmp_path / "results.json").read_text())["results"]
    assert result["psnr"] is None
    assert result["losses"] == [None, 1.0]


@pytest.mark.promise("F11")
def test_a_write_that_fails_leaves_the_old_file_whole(
    found: Comparison, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found.save_numbers(tmp_path)
    before = (tmp_path / "results.json").read_bytes()

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        found.save_numbers(tmp_path)
    assert (tmp_path / "results.json").read_bytes() == before
    assert sorted(os.listdir(tmp_path)) == ["results.csv", "results.json"]


def test_peak_memory_counts_the_activations() -> None:
    """Twice the crops, twice the activations; the optimizer's state does not grow with them."""
    photographs = bundled(0)
    from unsample.compare import train

    def peak(batch: int) -> int:
        settings = Settings(methods=("nearest",), steps=1, batch=batch, crop=32, width=8)
        return next(train(photographs, settings, progress=False)).peak_bytes

    small, large = peak(2), peak(4)
    assert 1.5 < large / small < 2.2
    # At least: the 2 x 8 x 32 x 32 floats of both first convolutions and of what follows each.
    assert small > 4 * 2 * 8 * 32 * 32 * 4


def test_photographs_is_what_from_folder_returns(folder: Path) -> None:
    assert isinstance(from_folder(folder, smallest=16), Photographs)
