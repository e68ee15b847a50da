"""Saved views and comparisons: one page that works from a file, offline and in print."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from deluge_nb import LogprobCompare, LogprobView

from .tables import FRANCE, heats, long_table, table

pytestmark = pytest.mark.browser


def opened(page: Page, view: LogprobView | LogprobCompare, folder: Path) -> Page:
    path = folder / "saved.html"
    view.save_html(path)
    page.goto(path.as_uri())
    expect(page.locator(".deluge-box .deluge-token").first).to_be_visible()
    return page


def test_a_saved_page_has_colours_cards_and_keys(page: Page, tmp_path: Path) -> None:
    page.add_init_script(
        "window.refused = []; addEventListener('securitypolicyviolation', (e) => refused.push(e.violatedDirective));"
    )
    opened(page, LogprobView(FRANCE, title="Capitals", palette="blue", color_by="surprisal"), tmp_path)
    drawn = page.locator(".deluge-line .deluge-token")
    assert drawn.all_text_contents() == FRANCE.tokens
    surprisals = heats(drawn)
    assert surprisals == pytest.approx([min(1, -math.log2(p) / 10) for p in FRANCE.prob], abs=1 / 128 + 1e-6)
    assert len({*drawn.evaluate_all("all => all.map(e => getComputedStyle(e).backgroundColor)")}) > 4
    page.get_by_role("listbox").focus()
    page.keyboard.press("n")
    expect(page.locator(".deluge-card-head")).to_have_text("·Paris4 %")
    page.get_by_label("Colour by").select_option("entropy")
    assert heats(drawn) != surprisals
    assert page.title() == "Capitals"
    assert page.evaluate("window.refused") == []


def test_a_saved_page_has_the_alternatives_of_every_token(page: Page, tmp_path: Path) -> None:
    opened(page, LogprobView(long_table(30_000)), tmp_path)
    page.get_by_role("listbox").focus()
    page.keyboard.press("End")
    expect(page.locator(".deluge-card-list")).to_contain_text("·other")
    assert (tmp_path / "saved.html").stat().st_size < 1_000_000


def test_a_saved_page_shows_hostile_text_without_running_it(page: Page, tmp_path: Path) -> None:
    texts = [
        "</script><script>window.hacked = 1</script>",
        "<!--",
        "<script>",
        "]]>",
        "\u2028",
        "<img src=x onerror=hacked=1>",
    ]
    title = "</title><script>window.hacked = 1</script>"
    opened(page, LogprobView(table(*((text, 0.5) for text in texts)), title=title), tmp_path)
    assert page.evaluate("window.hacked") is None
    assert page.locator(".deluge-line .deluge-token").all_text_contents() == [
        text.replace("\u2028", "⟨U+2028⟩") for text in texts
    ]
    assert page.title() == title


def test_a_saved_page_shows_the_text_without_scripts(page: Page, tmp_path: Path) -> None:
    LogprobView(table(("<b>one</b>", 0.5), (" two", 0.5))).save_html(tmp_path / "saved.html")
    context = page.context.browser.new_context(java_script_enabled=False)  # type: ignore[union-attr]
    other = context.new_page()
    other.goto((tmp_path / "saved.html").as_uri())
    expect(other.locator("pre")).to_have_text("<b>one</b> two")
    context.close()


def test_the_whole_page_is_printed(page: Page, tmp_path: Path) -> None:
    opened(page, LogprobView(long_table(3000)), tmp_path)
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    page.emulate_media(media="print")
    drawn = page.locator(".deluge-line [role=option]").count()
    assert drawn == 3000
    box = page.locator(".deluge-box")
    assert box.evaluate("e => e.scrollHeight <= e.clientHeight + 1")
    expect(page.locator(".deluge-strip")).to_be_hidden()
    background = page.locator(".deluge-line .deluge-token").nth(5).evaluate("e => getComputedStyle(e).printColorAdjust")
    assert background == "exact"
    page.emulate_media(media="screen")
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.locator(".deluge-line [role=option]").count() < 1500


def test_saving_twice_writes_the_same_page(tmp_path: Path) -> None:
    view = LogprobView(FRANCE)
    view.save_html(tmp_path / "a.html")
    view.save_html(tmp_path / "b.html")
    one, other = ((tmp_path / name).read_text(encoding="utf-8") for name in ("a.html", "b.html"))
    assert abs(len(one) - len(other)) < 100
    assert "http://" not in one.replace("http://www.w3.org", "")


# Comparisons ---------------------------------------------------------------------------------------------------------

LYON = table(("The", 0.7), (" capital", 0.5), (" of", 0.99), (" France", 0.9), (" is", 0.9), (" Lyon", 0.6), (".", 0.9))


def test_a_saved_comparison_has_differences_cards_and_keys(page: Page, tmp_path: Path) -> None:
    page.add_init_script(
        "window.refused = []; addEventListener('securitypolicyviolation', (e) => refused.push(e.violatedDirective));"
    )
    opened(page, LogprobCompare(FRANCE, LYON, names=["mild", "hot"], title="Capitals", threshold=0.3), tmp_path)
    assert [page.locator(f'[data-of="{side}"]').all_text_contents() for side in (0, 1)] == [FRANCE.tokens, LYON.tokens]
    assert page.locator(".deluge-name").all_text_contents() == ["mild", "hot"]
    colors = page.locator(".deluge-token").evaluate_all("all => all.map(e => getComputedStyle(e).backgroundColor)")
    assert len(set(colors)) > 4
    page.get_by_role("listbox").focus()
    page.keyboard.press("n")
    expect(page.locator(".deluge-card")).to_contain_text("+0.62 nats")
    page.get_by_label("Colour by").select_option("entropy")
    entropies = page.locator(".deluge-token").evaluate_all("all => all.map(e => getComputedStyle(e).backgroundColor)")
    assert entropies != colors
    assert page.title() == "Capitals"
    assert page.evaluate("window.refused") == []


def test_a_saved_comparison_has_the_alternatives_of_every_token(page: Page, tmp_path: Path) -> None:
    opened(page, LogprobCompare(long_table(30_000), long_table(30_001)), tmp_path)
    page.get_by_role("listbox").focus()
    page.keyboard.press("End")
    expect(page.locator(".deluge-card-list").first).to_contain_text("·other")


def test_a_saved_comparison_shows_hostile_text_without_running_it(page: Page, tmp_path: Path) -> None:
    evil = "</script><script>window.hacked = 1</script>"
    opened(page, LogprobCompare(table((evil, 0.5)), table((evil, 0.2)), names=[evil, "<!--"], title=evil), tmp_path)
    assert page.evaluate("window.hacked") is None
    assert page.locator("[data-of='0']").all_text_contents() == [evil]
    assert page.locator(".deluge-name").all_text_contents() == [evil, "<!--"]
    assert page.title() == evil


def test_a_saved_comparison_shows_the_texts_without_scripts(page: Page, tmp_path: Path) -> None:
    LogprobCompare(table(("<b>one</b>", 0.5)), LYON, names=["a", "b"]).save_html(tmp_path / "saved.html")
    context = page.context.browser.new_context(java_script_enabled=False)  # type: ignore[union-attr]
    other = context.new_page()
    other.goto((tmp_path / "saved.html").as_uri())
    expect(other.locator("pre")).to_have_text(f"A: a\n\n<b>one</b>\n\nB: b\n\n{LYON.text}")
    context.close()


def test_the_whole_comparison_is_printed(page: Page, tmp_path: Path) -> None:
    opened(page, LogprobCompare(long_table(3000), long_table(3001)), tmp_path)
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    page.emulate_media(media="print")
    assert page.locator(".deluge-side [role=option]").count() == 6001
    box = page.locator(".deluge-box")
    assert box.evaluate("e => e.scrollHeight <= e.clientHeight + 1")
    page.emulate_media(media="screen")
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.locator(".deluge-side [role=option]").count() < 2000
