"""Accessibility: keyboard, screen readers, contrast, forced colours, zoom, touch, reduced motion."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from deluge_nb import LogprobView

from .accessible import is_accessible
from .tables import FRANCE, escapes_until_heard, long_table, table
from .test_page import CONTRAST

pytestmark = pytest.mark.browser

Host = Callable[..., Page]
THEMES = {"light": 'data-jp-theme-light="true"', "dark": 'data-jp-theme-light="false"'}
PALETTES = ["amber", "blue", "green", "grey"]


def themed(name: str) -> str:
    return f'{THEMES[name]} style="background: {"#fff" if name == "light" else "#111"}"'


def trait(page: Page, name: str) -> Any:
    return page.evaluate(f"window.model.get('{name}')")


BRANCH = {"id": 1, "parent": 0, "position": 5, "place": 0, "label": "·Lyon", "instead": "·Paris", "message": ""}
BRANCH |= {"logprob": -0.36, "total": -0.9, "tokens": 9}


@pytest.mark.parametrize("theme", list(THEMES))
def test_axe_finds_nothing_with_everything_open(host: Host, theme: str) -> None:
    page = host(LogprobView(FRANCE, title="The capital of France", limits=[0.05, 0.95]), theme=themed(theme))
    page.get_by_text("Display").click()
    is_accessible(page)
    page.get_by_text("Display").click()
    page.get_by_role("listbox").focus()
    for key in ("Home", "k", "ArrowRight", "Shift+ArrowRight", "Shift+ArrowRight", "k", "s"):
        page.get_by_role("listbox").focus()
        page.keyboard.press(key)
    page.get_by_role("listbox").focus()
    page.keyboard.press("?")
    nodes = [{**BRANCH, "status": "ready"}, {**BRANCH, "id": 2, "status": "asking"}]
    nodes.append({**BRANCH, "id": 3, "status": "failed", "message": "no answer"})
    page.evaluate("nodes => { window.model.set('tree', nodes); window.model.set('branching', ''); }", nodes)
    page.get_by_role("listbox").focus()
    page.keyboard.press("/")
    page.keyboard.type("capital")
    page.locator('[data-token="5"]').click()
    expect(page.locator(".deluge-card")).to_be_visible()
    is_accessible(page)


@pytest.mark.parametrize("palette", PALETTES)
@pytest.mark.parametrize("theme", list(THEMES))
def test_text_and_marks_have_contrast_on_every_step_of_every_palette(host: Host, theme: str, palette: str) -> None:
    # One probability for each of the 65 steps of heat.
    shades = [max(1 - (step / 64) ** 2, 1e-9) for step in range(65)]
    rows = [(text, p) for p in shades for text in ("a", " ", "\u200b")]
    page = host(LogprobView(table(*rows), palette=palette), theme=THEMES[theme])
    drawn = page.locator(".deluge-line .deluge-token")
    assert len({*drawn.evaluate_all("all => all.map(e => getComputedStyle(e).getPropertyValue('--u'))")}) == 65
    assert min(drawn.evaluate_all(CONTRAST)) >= 4.5


@pytest.mark.parametrize("theme", list(THEMES))
def test_dimmed_tokens_and_labels_have_contrast(host: Host, theme: str) -> None:
    page = host(LogprobView(FRANCE, limits=[0, 0.01]), theme=THEMES[theme])
    assert min(page.locator(".deluge-line .deluge-dim").evaluate_all(CONTRAST)) >= 4.5
    around = page.locator(".deluge-ticks span, .deluge-summary, .deluge-button")
    assert min(around.evaluate_all(CONTRAST)) >= 4.5


@pytest.mark.parametrize("palette", PALETTES)
@pytest.mark.parametrize("theme", list(THEMES))
def test_the_line_below_unsure_tokens_has_contrast(host: Host, theme: str, palette: str) -> None:
    page = host(LogprobView(FRANCE, palette=palette), theme=THEMES[theme])
    contrast = page.locator(".deluge-box").evaluate(
        """(box) => {
            const context = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
            const probe = document.createElement('span');
            box.append(probe);
            const luminance = (name) => {
                probe.style.color = `var(${name})`;
                context.fillStyle = getComputedStyle(probe).color;
                context.fillRect(0, 0, 1, 1);
                const [r, g, b] = [...context.getImageData(0, 0, 1, 1).data].map(
                    (v) => v / 255 <= 0.04045 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4);
                return 0.2126 * r + 0.7152 * g + 0.0722 * b;
            };
            const edge = luminance('--deluge-edge');
            const on = ['--deluge-ground', '--deluge-heat'].map((name) => luminance(name));
            return on.map((one) => (Math.max(one, edge) + 0.05) / (Math.min(one, edge) + 0.05));
        }"""
    )
    # WCAG 1.4.11 asks for a contrast of 3 on the background; on the strongest colour less is enough to be visible.
    assert contrast[0] >= 3
    assert contrast[1] >= 1.9


# Machado, Oliveira and Fernandes (2009), severity 1, for linear RGB.
DEFICIENCIES = {
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}


@pytest.mark.parametrize("palette", PALETTES)
@pytest.mark.parametrize("theme", list(THEMES))
def test_sure_and_unsure_differ_for_every_type_of_colour_vision(host: Host, theme: str, palette: str) -> None:
    import numpy as np

    page = host(LogprobView(table(("a", 0.9), ("b", 0.1)), palette=palette), theme=THEMES[theme])
    pixels = page.locator(".deluge-line .deluge-token").evaluate_all(
        """all => {
            const context = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
            return all.map((e) => { context.fillStyle = getComputedStyle(e).backgroundColor;
                context.fillRect(0, 0, 1, 1); return [...context.getImageData(0, 0, 1, 1).data].slice(0, 3); });
        }"""
    )
    shown = np.array(pixels) / 255
    linear = np.where(shown <= 0.04045, shown / 12.92, ((shown + 0.055) / 1.055) ** 2.4)
    lab = []
    for matrix in [np.eye(3), *map(np.array, DEFICIENCIES.values())]:
        seen = np.clip(linear @ matrix.T, 0, 1)
        xyz = seen @ np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]).T
        f = np.cbrt(xyz / [0.9505, 1, 1.089])
        lab.append(np.stack([116 * f[:, 1] - 16, 500 * (f[:, 0] - f[:, 1]), 200 * (f[:, 1] - f[:, 2])], axis=1))
    distances = [float(np.linalg.norm(pair[0] - pair[1])) for pair in lab]
    assert min(distances) >= 12


def test_the_keyboard_reaches_the_controls_of_a_long_text(host: Host) -> None:
    page = host(LogprobView(long_table(30)))
    page.get_by_label("Show up to").focus()
    stops: list[str] = []
    for _ in range(4):
        page.keyboard.press("Tab")
        stops.append(page.evaluate("document.activeElement.getAttribute('aria-label')"))
    assert stops[0] == "Previous surprise (p)"
    assert stops[1].endswith("(tokens below 10 %): show list")
    assert stops[2:] == ["Next surprise (n)", "Search the text"]


def test_the_keyboard_alone_reaches_every_feature(host: Host) -> None:
    page = host(LogprobView(FRANCE, title="Keys"))
    page.evaluate("window.model.set('branching', '')")
    stops: list[str] = []
    for _ in range(30):
        page.keyboard.press("Tab")
        stop_label = page.evaluate(
            """() => { const e = document.activeElement;
                return e === document.body ? '' : e.getAttribute('aria-label') || e.textContent; }"""
        )
        if not stop_label:
            break
        assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") != "none", stop_label
        stops.append(stop_label)
    assert stops == [
        "Colour by",
        "Show from",
        "Show up to",
        "Display",
        "Tokens of the completion",
    ]
    box = page.get_by_role("listbox")
    box.focus()
    # Moving, a range, its end.
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Shift+End")
    assert trait(page, "selection") == [0, 7]
    expect(page.get_by_role("status")).to_contain_text(
        f"tokens 1 to 7: 7 tokens · logprob −{-FRANCE.total_logprob:.3f} nats"
    )
    page.keyboard.press("Escape")
    page.keyboard.press("Escape")
    assert trait(page, "selection") == []
    # Colour, by the control's own keys.
    page.get_by_label("Colour by").focus()
    page.keyboard.press("e")
    assert trait(page, "color_by") == "entropy"
    # Display settings.
    page.get_by_text("Display").focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    page.keyboard.press("b")
    assert trait(page, "palette") == "blue"
    page.get_by_text("Display").focus()
    page.keyboard.press("Enter")
    # Surprises, their list, search, keys, a kept card, copying, a branch.
    box.focus()
    page.keyboard.press("n")
    assert trait(page, "selected") == 5
    page.keyboard.press("s")
    expect(page.locator(".deluge-list button")).to_be_focused()
    page.keyboard.press("Escape")
    page.keyboard.press("?")
    expect(page.locator(".deluge-help")).to_be_visible()
    page.keyboard.press("?")
    page.keyboard.press("/")
    page.keyboard.type("is")
    page.keyboard.press("Enter")
    assert trait(page, "selected") == 4
    page.keyboard.press("Escape")
    page.keyboard.press("k")
    assert trait(page, "pinned") == [4]
    page.keyboard.press("c")
    expect(page.locator(".deluge-spoken")).to_have_text("copied")
    page.keyboard.press("Enter")
    page.keyboard.press("Enter")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    assert page.evaluate("window.sent.filter((one) => one.branch)") == [{"branch": {"node": 0, "token": 4, "place": 1}}]
    page.keyboard.press("Escape")
    expect(box).to_be_focused()


def test_moving_between_tokens_is_announced_to_screen_readers(host: Host) -> None:
    page = host(LogprobView(FRANCE))
    page.get_by_role("listbox").focus()
    page.keyboard.press("End")
    page.keyboard.press("ArrowLeft")
    expect(page.get_by_role("status")).to_have_text(
        "token 6 of 7: ·Paris, 4 %, rank 3; alternatives: ·Lyon 70 %, ··Nice 10 %"
    )
    option = page.locator(f"#{page.get_by_role('listbox').get_attribute('aria-activedescendant')}")
    expect(option).to_have_attribute("aria-posinset", "6")
    expect(option).to_have_attribute("aria-setsize", "7")
    expect(option).to_have_attribute("aria-selected", "true")


def test_escape_is_passed_to_the_host_when_there_is_nothing_to_close(host: Host) -> None:
    page = host(LogprobView(FRANCE))
    page.get_by_role("listbox").focus()
    page.keyboard.press("Shift+ArrowRight")
    page.keyboard.press("Shift+ArrowRight")
    page.keyboard.press("Enter")
    assert escapes_until_heard(page) == 4  # It closes the card, clears the range, then clears the token.
    assert (trait(page, "selected"), trait(page, "selection")) == (None, [])
    expect(page.locator(".deluge-card")).to_be_hidden()


def test_the_selected_token_stays_an_element_when_scrolled_out_of_sight(host: Host) -> None:
    page = host(LogprobView(long_table(5000)))
    box = page.get_by_role("listbox")
    box.focus()
    page.keyboard.press("ArrowRight")
    box.evaluate("e => { e.scrollTop = e.scrollHeight / 2; }")
    expect(page.locator("[data-token='2500']").first).to_be_attached()
    page.keyboard.press("ArrowRight")
    expect(page.locator(f"#{box.get_attribute('aria-activedescendant')}")).to_be_in_viewport()


@pytest.mark.context(reduced_motion="reduce")
def test_reduced_motion_stops_all_animations(host: Host) -> None:
    page = host(LogprobView(long_table(3000)))
    moving = page.evaluate(
        """[...document.querySelectorAll('.deluge, .deluge *')].filter((e) => {
            const style = getComputedStyle(e);
            return parseFloat(style.transitionDuration) > 0 || style.animationName !== 'none'
                || style.scrollBehavior === 'smooth';
        }).length"""
    )
    assert moving == 0


@pytest.mark.context(has_touch=True, viewport={"width": 390, "height": 844})
def test_a_touch_opens_the_card_and_targets_are_large_enough(host: Host) -> None:
    page = host(LogprobView(FRANCE))
    page.locator('[data-token="5"]').tap()
    expect(page.locator(".deluge-card.deluge-open")).to_be_visible()
    small = page.locator(".deluge-button:visible, .deluge-choice:visible").evaluate_all(
        """all => all.map((e) => e.getBoundingClientRect()).filter((at) => at.width < 24 || at.height < 24).length"""
    )
    assert small == 0  # WCAG 2.5.8
    page.get_by_role("button", name="Close").tap()
    expect(page.locator(".deluge-card")).to_be_hidden()


@pytest.mark.context(viewport={"width": 640, "height": 450}, device_scale_factor=2)
def test_at_200_percent_nothing_is_cut_off(host: Host) -> None:
    page = host(LogprobView(long_table(300), title="Zoomed"))
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.get_by_text("Display").click()
    panel = page.locator(".deluge-panel").bounding_box()
    assert panel is not None
    assert panel["x"] >= 0
    assert panel["x"] + panel["width"] <= 640
    page.get_by_text("Display").click()
    page.locator('[data-token="20"]').first.click()
    card = page.locator(".deluge-card").bounding_box()
    assert card is not None
    assert card["x"] >= 0
    assert card["y"] >= 0
    assert card["x"] + card["width"] <= 640
    assert card["y"] + card["height"] <= 450


@pytest.mark.context(viewport={"width": 320, "height": 640})
def test_on_a_narrow_screen_nothing_is_cut_off(host: Host) -> None:
    page = host(LogprobView(long_table(300), title="Narrow"))
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.get_by_text("Display").click()
    panel = page.locator(".deluge-panel").bounding_box()
    assert panel is not None
    assert panel["x"] >= 0
    assert panel["x"] + panel["width"] <= 320


def test_the_display_settings_are_on_the_page_at_every_width(host: Host) -> None:
    page = host(LogprobView(long_table(300)))
    page.get_by_text("Display").click()
    panel, summary = page.locator(".deluge-panel"), page.get_by_text("Display")
    hung = 0
    for width in range(320, 900, 20):
        page.set_viewport_size({"width": width, "height": 640})
        summary.click()
        expect(panel).to_be_hidden()
        summary.click()
        expect(panel).to_be_visible()
        page.wait_for_function("document.querySelector('.deluge-panel').getBoundingClientRect().right <= innerWidth")
        at = panel.bounding_box()
        assert at is not None
        assert at["x"] >= 0
        hung += panel.evaluate("e => parseFloat(getComputedStyle(e).marginLeft) < 0")
    assert hung > 0, "no width put it near the edge"


@pytest.mark.context(forced_colors="active")
def test_forced_colours_keep_selection_hits_and_ranges_visible(host: Host) -> None:
    page = host(LogprobView(FRANCE, limits=[0, 0.95]))
    page.evaluate("window.model.set('selection', [2, 4])")
    page.locator('[data-token="5"]').click()
    style = "(e, name) => getComputedStyle(e)[name]"
    assert page.locator('[data-token="5"]').evaluate(style, "outlineStyle") == "solid"
    assert "overline" in page.locator('[data-token="2"]').evaluate(style, "textDecorationLine")
    ramp = page.locator(".deluge-handle").first.evaluate(style, "backgroundColor")
    assert ramp != page.locator(".deluge-box").evaluate(style, "backgroundColor")
    is_accessible(page)
