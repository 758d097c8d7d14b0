"""What can be done with the page of `unsample explore`, by hand, by keyboard and by ear."""

import json
import random
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from browser import Watched, executable
from unsample.explore.page import SCRIPTS, page, script
from unsample.explore.state import make_state, table

WAYS = tuple(table()["ways"])
FIG7_LINK = (
    "way=conv_transpose&direction=up&size=2&kernel_size=3&stride=2&padding=0,0&dilation=1"
    "&output_padding=0&padding_mode=zeros&y=1,10&weight=2,3,4"
)


@pytest.fixture
def watched(browser: Any) -> Iterator[Watched]:
    with Watched(browser, viewport={"width": 1200, "height": 900}) as page:
        yield page
        assert page.faults == []
        assert page.requests == []


@pytest.fixture
def shown(watched: Watched, html: Path) -> Any:
    """The article's Fig. 7, open."""
    return watched.open(html)


def texts(page: Any, grid: str) -> list[str]:
    return page.locator(f'[data-grid="{grid}"] .cell').all_text_contents()


def lit(page: Any, grid: str) -> list[int]:
    cells = page.locator(f'[data-grid="{grid}"] .cell').all()
    return [i for i, cell in enumerate(cells) if "lit" in cell.get_attribute("class").split()]


def cell(page: Any, grid: str, i: int) -> Any:
    return page.locator(f'[data-grid="{grid}"] .cell').nth(i)


def follow(page: Any, address: str) -> None:
    """Go to another address of the open page."""
    page.evaluate(
        "(address) => new Promise((done) => {"
        " addEventListener('hashchange', () => setTimeout(done), { once: true });"
        " location.hash = address; })",
        address,
    )


# -- the file ------------------------------------------------------------------------------------------------


@pytest.mark.promise("F34")
def test_the_file_holds_everything_and_asks_for_nothing(fig7: dict[str, Any]) -> None:
    text = page(fig7)
    assert re.findall(r"\b(?:src|href|action)\s*=\s*[\"']|url\(|@import|\bimport\s*[({\"']", text) == []
    (policy,) = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]*)"', text)
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe" not in policy
    assert " style=" not in text
    for name in SCRIPTS:
        assert "{{" not in name


@pytest.mark.promise("95")
def test_words_in_a_state_cannot_end_the_script(fig7: dict[str, Any]) -> None:
    text = page({**fig7, "way": "</script><script>alert(1)</script>"})
    assert text.count("<script") == 2
    assert "\\u003c/script>" in text


def test_a_script_that_is_not_the_pages_own_does_not_run(
    browser: Any, fig7: dict[str, Any], tmp_path: Path
) -> None:
    planted = page(fig7).replace("</main>", "</main><script>window.planted = 1</script>")
    place = tmp_path / "planted.html"
    place.write_text(planted, encoding="utf-8")
    with Watched(browser) as watched:
        opened = watched.open(place)
        assert opened.evaluate("window.planted") is None
        assert texts(opened, "output") == ["2", "3", "24", "30", "40"]
        assert len(watched.faults) == 1
        assert "Content Security Policy" in watched.faults[0]


@pytest.mark.promise("F34")
def test_a_request_would_be_seen_and_is_forbidden(browser: Any, html: Path) -> None:
    with Watched(browser) as watched:
        opened = watched.open(html)
        assert (
            opened.evaluate("fetch('https://example.org').then(() => 'sent', () => 'refused')") == "refused"
        )
        assert "Content Security Policy" in watched.faults[0]


# -- partners ------------------------------------------------------------------------------------------------


def test_an_input_lights_its_stamp(shown: Any) -> None:
    cell(shown, "input", 0).hover()
    assert lit(shown, "output") == [0, 1, 2]
    assert lit(shown, "stamps") == [0, 1, 2]
    assert lit(shown, "taps") == [0, 1, 2]
    assert lit(shown, "overlap") == [0, 1, 2]
    assert lit(shown, "X") == [0, 1, 2]
    assert lit(shown, "Xt") == [0, 2, 4]
    assert shown.locator(".detail").text_content() == (
        "input[0] = 1 stamps 3 outputs: [0] with 2, [1] with 3, [2] with 4."
    )


def test_an_output_lights_all_that_meet_in_it(shown: Any) -> None:
    cell(shown, "output", 2).hover()
    assert lit(shown, "input") == [0, 1]
    assert lit(shown, "taps") == [0, 2]
    assert lit(shown, "stamps") == [2, 7]
    assert lit(shown, "X") == [2, 7]
    assert shown.locator(".detail").text_content() == "output[2] = 1 · 4 + 10 · 2 = 24."


def test_a_tap_lights_every_pair_that_it_joins(shown: Any) -> None:
    cell(shown, "taps", 1).hover()
    assert lit(shown, "input") == [0, 1]
    assert lit(shown, "output") == [1, 3]
    assert lit(shown, "X") == [1, 8]
    assert shown.locator(".detail").text_content() == (
        "Tap 1 (weight 3) joins input[0] → output[1], input[1] → output[3]."
    )


def test_a_matrix_cell_lights_its_mirror_image(shown: Any) -> None:
    cell(shown, "Xt", 5).hover()  # row 2, column 1
    assert lit(shown, "X") == [7]
    assert lit(shown, "Xt") == [5]
    assert lit(shown, "input") == [1]
    assert lit(shown, "output") == [2]
    assert lit(shown, "taps") == [0]
    cell(shown, "X", 4).hover()
    assert shown.locator(".detail").text_content() == "input[0] does not reach output[4]."
    shown.mouse.move(5, 5)
    assert shown.locator(".lit").count() == 0


def test_the_way_down_reads_what_the_way_up_stamps(watched: Watched, html: Path) -> None:
    opened = watched.open(html, FIG7_LINK.replace("direction=up", "direction=down") + "&x=1,2,3,4,5")
    assert texts(opened, "output") == ["20", "38"]
    cell(opened, "output", 1).hover()
    assert lit(opened, "input") == [2, 3, 4]
    assert opened.locator(".detail").text_content() == "output[1] = 3 · 2 + 4 · 3 + 5 · 4 = 38."


def test_a_window_that_loses_says_so(watched: Watched, html: Path) -> None:
    opened = watched.open(html, "way=max_unpool&size=5&kernel_size=3&stride=1&x=1,9,2,8,3")
    cell(opened, "input", 0).hover()
    assert opened.locator(".detail").text_content() == (
        "input[0] = 9 loses to another window that remembers the same element."
    )
    assert lit(opened, "output") == []
    cell(opened, "before pooling", 1).hover()
    assert opened.locator(".detail").text_content() == (
        "Before pooling[1] = 9: remembered by window [0] and window [1]."
    )


def test_in_the_way_down_sizes_change_their_names(shown: Any) -> None:
    def labels() -> list[str]:
        return shown.locator(
            '[data-field="size"] label, [data-field="output_size"] label'
        ).all_text_contents()

    assert labels() == ["Input size", "Output size asked for"]
    shown.get_by_text("Down", exact=True).click()
    assert labels() == ["Output size", "Input size asked for"]


# -- by keyboard ---------------------------------------------------------------------------------------------


def test_every_grid_is_one_stop_and_arrows_move_inside(shown: Any) -> None:
    assert shown.evaluate(
        "[...document.querySelectorAll('[role=grid]')].every("
        "(grid) => grid.querySelectorAll('[tabindex=\"0\"]').length === 1)"
    )
    cell(shown, "X", 0).focus()
    for key, at in [
        ("ArrowRight", 1),
        ("ArrowDown", 6),
        ("End", 9),
        ("Home", 5),
        ("Control+Home", 0),
        ("ArrowLeft", 0),
    ]:
        shown.keyboard.press(key)
        assert shown.evaluate("document.activeElement.dataset.i") == str(at), key
    shown.keyboard.press("End")
    shown.keyboard.press("Shift+Tab")
    shown.keyboard.press("Tab")
    assert shown.evaluate("document.activeElement.dataset.i") == "4", "the grid remembers its place"


def test_the_order_of_focus_is_the_order_of_reading(shown: Any) -> None:
    stops = []
    for _ in range(60):
        shown.keyboard.press("Tab")
        stop = shown.evaluate(
            "(() => { const e = document.activeElement; const grid = e.closest('[data-grid]');"
            " return grid?.dataset.grid ?? (e.name || e.dataset.step || e.id || e.textContent.trim()); })()"
        )
        if stop in stops[-1:] and stop in ("", "way"):
            continue
        stops.append(stop)
        if stop == "Xt":
            break
    wanted = ["Copy link", "Dark", "way", "direction", "rank", "taps", "input", "stamps", "output"]
    wanted += ["back", "play", "next", "range", "overlap", "tab-numpy", "Copy", "python-call", "X", "Xt"]
    places = [stops.index(each) for each in wanted]
    assert places == sorted(places)


def test_focus_says_aloud_what_it_meets(shown: Any) -> None:
    cell(shown, "output", 2).focus()
    assert shown.locator("[role=status]").text_content() == "output[2] = 1 · 4 + 10 · 2 = 24."
    assert lit(shown, "input") == [0, 1]


def test_a_typed_number_goes_everywhere(shown: Any) -> None:
    cell(shown, "input", 1).focus()
    shown.keyboard.type("-2.5")
    shown.keyboard.press("Enter")
    assert texts(shown, "output") == ["2", "3", "\u22121", "\u22127.5", "\u221210"]
    assert "y = np.array([[1.0, -2.5]])" in shown.locator("pre").text_content()
    assert "y=1,-2.5" in shown.evaluate("location.hash")
    assert shown.evaluate("document.activeElement.getAttribute('aria-label')") == "input 1: \u22122.5"
    shown.keyboard.press("F2")
    shown.keyboard.type("7")
    shown.keyboard.press("Escape")
    assert texts(shown, "input") == ["1", "\u22122.5"]
    cell(shown, "taps", 0).dblclick()
    shown.keyboard.type("0")
    cell(shown, "output", 0).click()  # leaving the cell keeps the number
    assert texts(shown, "output")[0] == "0"


@pytest.mark.parametrize("typed", ["-", "1e30", "1..2"])
def test_what_is_no_number_changes_nothing(typed: str, shown: Any) -> None:
    cell(shown, "input", 0).focus()
    shown.keyboard.press("Enter")
    shown.locator("input.edit").fill(typed)
    shown.keyboard.press("Enter")
    assert texts(shown, "input") == ["1", "10"]
    assert shown.locator(".detail").text_content() == (
        f"A cell holds a number up to 1,000,000,000 in size, got '{typed}'."
    )


def test_output_cells_cannot_be_edited(shown: Any) -> None:
    cell(shown, "output", 0).focus()
    shown.keyboard.type("9")
    assert shown.locator("input.edit").count() == 0
    assert cell(shown, "output", 0).get_attribute("aria-readonly") == "true"
    assert cell(shown, "input", 0).get_attribute("aria-readonly") == "false"


# -- settings ------------------------------------------------------------------------------------------------


def control(page: Any, name: str) -> Any:
    return page.locator(f'[data-field="{name}"] input')


def test_controls_change_the_picture_and_keep_the_focus(shown: Any) -> None:
    control(shown, "stride").fill("1")
    assert texts(shown, "output") == ["2", "23", "34", "40"]
    control(shown, "size").focus()
    shown.keyboard.press("ArrowUp")
    assert len(texts(shown, "input")) == 3
    assert shown.evaluate("document.activeElement.closest('[data-field]').dataset.field") == "size"
    shown.get_by_label("Pixel shuffle").check()
    shown.get_by_text("2-D", exact=True).click()
    assert shown.locator('[data-grid^="input-"]').count() == 4
    shown.get_by_text("Down", exact=True).click()
    assert shown.locator('[data-grid^="output-"]').count() == 4


def test_padding_per_side_as_a_word_and_the_size_asked_for(shown: Any) -> None:
    control(shown, "padding").nth(1).fill("1")
    assert texts(shown, "output") == ["2", "3", "24", "30"]
    shown.locator('[data-field="padding"] select').select_option("same")
    assert texts(shown, "output") == ["2", "3", "24", "30"]
    shown.locator('[data-field="padding"] select').select_option("numbers")
    shown.get_by_label("Output size asked for").check()
    control(shown, "output_size").nth(1).fill("6")
    assert texts(shown, "output") == ["2", "3", "24", "30", "40", "0"]


def test_a_refused_setting_is_a_sentence_over_the_last_picture(shown: Any) -> None:
    control(shown, "output_padding").fill("2")
    message = shown.locator("[role=alert]")
    assert message.text_content() == (
        "conv_transpose: output_padding must be smaller than stride or dilation, "
        "got output_padding (2,), stride (2,), dilation (1,)"
    )
    assert "refused" in shown.locator("#unsample-explore").get_attribute("class")
    assert texts(shown, "output") == ["2", "3", "24", "30", "40"]
    shown.locator("[data-step=next]").click()  # nothing to play, nothing thrown
    control(shown, "output_padding").fill("1")
    assert message.is_hidden()
    assert texts(shown, "output") == ["2", "3", "24", "30", "40", "0"]


def test_a_half_typed_number_waits(shown: Any) -> None:
    control(shown, "stride").fill("")
    assert texts(shown, "output") == ["2", "3", "24", "30", "40"]
    assert shown.locator("[role=alert]").is_hidden()


def test_unpooled_values_follow_the_pool_until_they_are_changed(watched: Watched, html: Path) -> None:
    opened = watched.open(
        html, "way=max_unpool&size=4&kernel_size=2&stride=2&padding=0,0&dilation=1&x=1,9,2,8"
    )
    assert texts(opened, "output") == ["0", "9", "0", "8"]
    cell(opened, "before pooling", 0).focus()
    opened.keyboard.type("20")
    opened.keyboard.press("Enter")
    assert texts(opened, "output") == ["20", "0", "0", "8"]
    cell(opened, "input", 1).focus()
    opened.keyboard.type("5")
    opened.keyboard.press("Enter")
    assert texts(opened, "output") == ["20", "0", "0", "5"]
    opened.get_by_text("Take the maxima again").click()
    assert texts(opened, "output") == ["20", "0", "0", "8"]


# -- steps ---------------------------------------------------------------------------------------------------


def test_steps_let_one_stamp_fall_after_the_other(shown: Any) -> None:
    shown.locator("[data-step=next]").click()
    assert texts(shown, "output") == ["2", "3", "4", "0", "0"]
    assert lit(shown, "input") == [0]
    assert shown.locator("[role=status]").text_content().startswith("input[0] = 1 stamps 3 outputs")
    assert "step=1" in shown.evaluate("location.hash")
    shown.locator("[data-step=next]").click()
    assert texts(shown, "output") == ["2", "3", "24", "30", "40"]
    shown.locator("[data-step=back]").click()
    shown.locator("[data-step=back]").click()
    assert texts(shown, "output") == ["0", "0", "0", "0", "0"]
    shown.locator("[data-step=all]").click()
    assert texts(shown, "output") == ["2", "3", "24", "30", "40"]


def test_the_slider_can_be_dragged(watched: Watched, html: Path) -> None:
    opened = watched.open(html, "way=nearest&size=6&factor=2")
    box = opened.locator("[data-step=range]").bounding_box()
    middle = box["y"] + box["height"] / 2
    opened.mouse.move(box["x"] + box["width"] - 8, middle)
    opened.mouse.down()
    counts = []
    for part in (0.8, 0.5, 0.2):
        opened.mouse.move(box["x"] + part * box["width"], middle)
        counts.append(opened.locator(".count").text_content())
    opened.mouse.up()
    assert counts == ["stamp 5 of 6", "stamp 3 of 6", "stamp 1 of 6"]
    assert opened.evaluate("document.activeElement.dataset.step") == "range"
    opened.locator("[data-step=all]").click()
    assert opened.evaluate("document.activeElement.dataset.step") == "play"


def test_playing_ends_by_itself_and_can_be_paused(shown: Any) -> None:
    play = shown.locator("[data-step=play]")
    play.click()
    assert play.text_content() == "Pause"
    play.click()
    assert play.text_content() == "Play"
    play.click()
    expect(shown.locator(".count")).to_have_text("stamp 2 of 2")
    expect(play).to_have_text("Play")


# -- links ---------------------------------------------------------------------------------------------------


def test_a_link_brings_the_state_back(watched: Watched, html: Path) -> None:
    opened = watched.open(html)
    assert opened.evaluate("location.hash") == f"#{FIG7_LINK}"
    for way in WAYS:
        for rank in ("1-D", "2-D"):
            opened.locator(f"input[name=way][value={way}]").check()
            opened.get_by_text(rank, exact=True).click()
            address = opened.evaluate("location.hash")
            before = (
                [texts(opened, name) for name in ("X", "Xt", "overlap")],
                opened.locator("pre").text_content(),
            )
            again = watched.open(html, address[1:])
            assert again.evaluate("location.hash") == address
            after = (
                [texts(again, name) for name in ("X", "Xt", "overlap")],
                again.locator("pre").text_content(),
            )
            assert after == before


def test_a_new_address_is_followed_while_the_page_is_open(shown: Any) -> None:
    follow(shown, FIG7_LINK.replace("stride=2", "stride=1"))
    assert texts(shown, "output") == ["2", "23", "34", "40"]


@pytest.mark.parametrize(
    ("address", "sentence"),
    [
        ("way=deconv", "explore: way of the link must be one of 'nearest', 'bed_of_nails', 'max_unpool', "
         "'conv_transpose', 'pixel_shuffle' or 'resize', got 'deconv'"),
        ("stride=2", "explore: way of the link must be one of 'nearest', 'bed_of_nails', 'max_unpool', "
         "'conv_transpose', 'pixel_shuffle' or 'resize', got ''"),
        ("way=nearest&size=1,2,3", "explore: draws 1 or 2 spatial axes, got 3"),
        ("way=nearest&size=2&factor=two", "explore: factor of the link must hold numbers, got 'two'"),
        ("way=nearest&size=2&factor=2,2", "explore: factor of the link must fit a 1-D picture, got '2,2'"),
        ("way=nearest&size=2.5&factor=2", "explore: size must be an int, got 2.5"),
        ("way=nearest&size=1e9", "explore: draws size up to 32, got 1000000000"),
        ("way=nearest&direction=left", "explore: direction must be one of 'up' or 'down', got 'left'"),
        ("way=nearest&size=2&y=1,NaN", "explore: y of the link must hold numbers, got 'NaN'"),
        ("way=resize&size=2&method=sinc", "explore: method must be one of 'linear', 'nearest', "
         "'nearest_ties_down', 'floor', 'ceil', 'cubic', 'catmull_rom', 'lanczos3', 'lanczos5' or 'area', "
         "got 'sinc'"),
        ("way=conv_transpose&size=2&padding=1",
         "explore: padding of the link must fit a 1-D picture, got '1'"),
        ("way=%E0%A4%A", "explore: the link must be written as this page writes it, got 'way=%E0%A4%A'"),
        ("way=conv_transpose&size=2&stride=0", "conv_transpose: stride must be at least 1, got 0"),
    ],
)  # fmt: skip
def test_a_bad_link_is_a_sentence(address: str, sentence: str, watched: Watched, html: Path) -> None:
    opened = watched.open(html, address)
    assert opened.locator("[role=alert]").text_content() == sentence
    assert opened.locator("[role=alert]").is_visible()
    assert opened.locator('[data-grid="output"] .cell').count() > 0, "a picture stands behind it"


@pytest.mark.parametrize("number", [50, pytest.param(150, marks=pytest.mark.slow)])
def test_no_address_throws(number: int, watched: Watched, html: Path) -> None:
    """Parts of good links dropped, doubled, cut and spoilt: a picture or a sentence, never an exception."""
    rng = random.Random(0)
    spoilt = [
        "",
        "0",
        "-1",
        "1.5",
        "x",
        "1e99",
        "9" * 30,
        ",",
        ";",
        "|",
        "1,,2",
        "true",
        "%",
        "null",
        "1;2|3",
    ]
    opened = watched.open(html)
    for _ in range(number):
        way = rng.choice(WAYS)
        parts = opened.evaluate(
            f"(() => {{ unsampleExplore.app.set({json.dumps(make_state(way, rank=rng.choice([1, 2])))});"
            " return location.hash.slice(1); })()"
        ).split("&")
        for _ in range(rng.randint(1, 3)):
            at = rng.randrange(len(parts))
            name, _, value = parts[at].partition("=")
            parts[at : at + 1] = rng.choice(
                [
                    [],
                    [parts[at]] * 2,
                    [f"{name}={rng.choice(spoilt)}"],
                    [f"{name}={value[: len(value) // 2]}"],
                    [f"{name}={value},{rng.choice(spoilt)}"],
                ]
            )
            parts = parts or ["way"]
        follow(opened, "&".join(parts) + f"&n={rng.random()}")
        assert opened.locator('[data-grid^="output"] .cell').count() > 0
    assert watched.faults == []


# -- everyone ------------------------------------------------------------------------------------------------

# Text and its background as painted: the nearest ancestor with a colour; every stop of a gradient counts.
CONTRASTS = """
() => {
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const channels = (colour) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data;
    return { rgb: [r, g, b], alpha: a / 255 };
  };
  const linear = (v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
  const luminance = (rgb) => {
    const [r, g, b] = rgb.map((v) => linear(v / 255));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ratio = (a, b) => {
    const [x, y] = [luminance(a), luminance(b)];
    return (Math.max(x, y) + 0.05) / (Math.min(x, y) + 0.05);
  };
  const behind = (element) => {
    for (let e = element; e; e = e.parentElement) {
      const style = getComputedStyle(e);
      const stops = style.backgroundImage.match(/rgba?\\([^)]*\\)/g);
      if (stops) return stops.map((stop) => channels(stop).rgb);
      const { rgb, alpha } = channels(style.backgroundColor);
      if (alpha > 0.99) return [rgb];
    }
    return [[255, 255, 255]];
  };
  const root = document.getElementById("unsample-explore");
  const found = { text: [], edge: [] };
  for (const element of root.querySelectorAll("*")) {
    const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
    const box = element.getBoundingClientRect();
    const style = getComputedStyle(element);
    if (!box.width || style.visibility === "hidden" || element.matches(":disabled, .live")) continue;
    const name = `${element.tagName}.${element.className} '${element.textContent.slice(0, 20)}'`;
    const text = own || element.matches("input[type=number], select");
    if (text && !(element.matches(".blank")))
      for (const rgb of behind(element)) found.text.push([ratio(channels(style.color).rgb, rgb), name]);
    if (element.matches("input[type=number], select, .editable"))
      for (const rgb of behind(element.parentElement))
        found.edge.push([ratio(channels(style.borderTopColor).rgb, rgb), name]);
  }
  return { text: found.text.sort((a, b) => a[0] - b[0]), edge: found.edge.sort((a, b) => a[0] - b[0]) };
}
"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("way", WAYS)
def test_contrast(way: str, scheme: str, browser: Any, html: Path) -> None:
    """WCAG 2.2, 1.4.3 and 1.4.11: text 4.5, edges of what can be operated 3."""
    with Watched(browser, color_scheme=scheme) as watched:
        opened = watched.open(html, f"way={way}&size=4" + ("&output_size=8" if way == "resize" else ""))
        found = opened.evaluate(CONTRASTS)
    assert len(found["text"]) > 60
    assert len(found["edge"]) > 3
    assert found["text"][0][0] >= 4.5, found["text"][:3]
    assert found["edge"][0][0] >= 3, found["edge"][:3]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_refusals_and_steps_have_contrast_and_stamps_differ(scheme: str, browser: Any, html: Path) -> None:
    with Watched(browser, color_scheme=scheme) as watched:
        opened = watched.open(html, "way=conv_transpose&size=9&stride=0")
        message = opened.evaluate(
            CONTRASTS.replace(
                "[...element.childNodes]", "element.matches('.message') && [...element.childNodes]"
            )
        )
        assert min(ratio for ratio, name in message["text"] if "message" in name) >= 4.5


def test_the_theme_can_be_chosen(watched: Watched, html: Path) -> None:
    opened = watched.open(html)
    background = "getComputedStyle(document.getElementById('unsample-explore')).backgroundColor"
    light = opened.evaluate(background)
    opened.get_by_label("Change between light and dark").click()
    assert opened.evaluate(background) != light
    opened.get_by_label("Change between light and dark").click()
    assert opened.evaluate(background) == light


def test_whatever_can_be_operated_has_a_name(watched: Watched, html: Path) -> None:
    for way in WAYS:
        opened = watched.open(html, f"way={way}&size=2,2" + ("&output_size=4,4" if way == "resize" else ""))
        unnamed = opened.evaluate(
            "[...document.querySelectorAll('button, input, select, [role=grid], [role=gridcell], section')]"
            ".filter((e) => !(e.getAttribute('aria-label') || e.getAttribute('aria-labelledby')"
            " || e.textContent.trim() || e.labels?.[0]?.textContent.trim()))"
            ".map((e) => e.outerHTML.slice(0, 80))"
        )
        assert unnamed == []
        headings = opened.evaluate("[...document.querySelectorAll('h1, h2')].map((e) => e.tagName)")
        assert headings[0] == "H1"
        assert headings.count("H1") == 1
        assert opened.evaluate("document.documentElement.lang") == "en"


@pytest.mark.parametrize("width", [360, 800, 1400])
def test_no_width_scrolls_sideways(width: int, browser: Any, html: Path) -> None:
    with Watched(browser, viewport={"width": width, "height": 800}) as watched:
        opened = watched.open(html)
        for way in WAYS:
            for size in ("9", "4,4"):
                asked = "&output_size=" + size.replace("4", "8") if way == "resize" else ""
                follow(opened, f"way={way}&size={size}{asked}")
                assert opened.locator("[role=alert]").is_hidden()
                assert opened.evaluate("document.documentElement.scrollWidth") <= width, (way, size)
        assert watched.faults == []


def test_fingers_find_large_enough_cells(browser: Any, html: Path) -> None:
    """WCAG 2.2, 2.5.8: what is edited or pressed spans at least 24 pixels."""
    with Watched(browser, viewport={"width": 360, "height": 800}, has_touch=True) as watched:
        opened = watched.open(html)
        small = opened.evaluate(
            "[...document.querySelectorAll('button, select, .editable, input[type=number], label')]"
            ".filter((e) => { const { width, height } = e.getBoundingClientRect();"
            " return width && Math.min(width, height) < 24; }).map((e) => e.outerHTML.slice(0, 80))"
        )
        assert small == []
        cell(opened, "input", 0).tap()
        assert lit(opened, "output") == [0, 1, 2]
        cell(opened, "input", 0).tap()
        assert opened.locator("input.edit").count() == 1


def test_motion_is_reduced_where_it_is_asked(browser: Any, html: Path) -> None:
    duration = "getComputedStyle(document.querySelector('.cell')).transitionDuration"
    for motion, wanted in (("no-preference", False), ("reduce", True)):
        with Watched(browser, reduced_motion=motion) as watched:
            still = watched.open(html).evaluate(duration)
            assert all(float(each.rstrip(" s")) == 0 for each in still.split(",")) is wanted


def test_on_paper_the_controls_are_gone_and_colours_stay(watched: Watched, html: Path) -> None:
    opened = watched.open(html)
    opened.emulate_media(media="print")
    assert opened.locator(".controls").is_hidden()
    assert opened.locator(".steps").is_hidden()
    assert opened.locator('[data-grid="output"]').is_visible()
    assert (
        opened.evaluate("getComputedStyle(document.querySelector('.cell.stamped')).printColorAdjust")
        == "exact"
    )


def test_the_script_is_one_module_without_names_of_the_outside() -> None:
    text = script()
    assert text.count("export default") == 1
    for outside in ("http:", "https:", "eval(", "innerHTML", "document.write", "XMLHttpRequest", "fetch("):
        assert outside not in text, outside


def test_the_same_module_runs_in_a_notebook(watched: Watched, fig7: dict[str, Any]) -> None:
    """As anywidget calls it: render({model, el}), with a model that is get, set, on and save_changes."""
    watched.page.set_content("<div id='cell'></div>")
    watched.page.add_script_tag(
        type="module",
        content=script()
        + f"""
window.saved = [];
const held = {{ state: {json.dumps(fig7)} }};
const listeners = [];
window.model = {{
  get: (name) => held[name],
  set: (name, value) => (held[name] = value),
  save_changes: () => saved.push(structuredClone(held.state)),
  on: (_, listener) => listeners.push(listener),
  off: (_, listener) => listeners.splice(listeners.indexOf(listener), 1),
  tell: (state) => {{ held.state = state; listeners.forEach((each) => each()); }},
  listeners,
}};
window.leave = render({{ model, el: document.getElementById("cell") }});
""",
    )
    opened = watched.page
    expect(opened.locator('[data-grid="output"] .cell')).to_have_text(["2", "3", "24", "30", "40"])
    assert opened.get_by_text("Copy link").count() == 0, "a notebook has no address"
    assert opened.evaluate("saved.at(-1).y") == [1, 10]
    control(opened, "stride").fill("1")
    assert opened.evaluate("saved.at(-1).stride") == [1]
    opened.evaluate("model.tell({ ...model.get('state'), weight: [1, 1, 1] })")
    assert texts(opened, "output") == ["1", "11", "11", "10"]
    opened.evaluate("model.tell({ ...model.get('state'), y: null, size: [3] })")
    assert opened.evaluate("saved.at(-1).y") == [1, 2, 3], "the page fills what it is not given, and says so"
    opened.evaluate("model.tell({ ...model.get('state'), stride: [0] })")
    assert opened.locator("[role=alert]").text_content() == "conv_transpose: stride must be at least 1, got 0"
    opened.evaluate("leave()")
    assert opened.evaluate("model.listeners.length") == 0


def test_without_chromium_these_tests_say_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(AssertionError, match="apt-get install chromium"):
        executable()
