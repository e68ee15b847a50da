"""The text before the tokens: what is shown of it in each static form, and where it is known from."""

from __future__ import annotations

import html
import pickle
import re
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deluge_nb import (
    APIResponse,
    Conversation,
    LLMClient,
    LogprobView,
    RawPrompt,
    SettingError,
    as_logprobs,
    read,
    to_html,
    to_png,
    to_svg,
    to_text,
)
from deluge_nb.interop.before import known_before
from deluge_nb.render.excerpt import before_fragments, draw_before

GREENER = as_logprobs([{"token": " greener", "logprob": -0.25}, {"token": "!", "logprob": -0.5}])
GRASS = "The grass is always"
HOSTILE = [
    "<script>window.hacked = 1</script>",
    '"><img src=x onerror=alert(1)>',
    "\x1b[31mred\x07",
    "\u202edesrever",
    "\x00\x85\u2028\r\n\t$x^2$",
    "\ud800",
    "e" + "\u0301" * 400,
]


def text_of(*args: Any, **options: Any) -> str:
    """Return the text of a short answer, without its numbers below."""
    return to_text(*args, **options).partition("\n\n")[0]


FORMS: list[Callable[..., Any]] = [to_html, to_text, to_svg, to_png]


def grey_words(svg: str, before: str) -> str:
    """Return the words that a picture has more with a text before its tokens."""
    with_it, without = (re.findall(r"<text[^>]*>([^<]*)</text>", picture) for picture in (svg, to_svg(GREENER)))
    assert [word for word in with_it if word in without] == without, before
    return " ".join(word for word in with_it if word not in without)


def test_each_form_shows_the_text_before_the_tokens() -> None:
    assert text_of(GREENER, before=GRASS) == "The grass is always greener!"
    assert f'<span class="deluge-before">{GRASS}</span><span class="deluge-token"' in to_html(GREENER, before=GRASS)
    assert grey_words(to_svg(GREENER, before=GRASS), GRASS) == GRASS
    assert to_png(GREENER, before=GRASS) != to_png(GREENER)


def test_a_terminal_shows_it_in_grey_and_the_tokens_in_their_colours() -> None:
    alone = to_text(GREENER, color=True)
    assert to_text(GREENER, before=GRASS, color=True) == f"\x1b[90m{GRASS}\x1b[0m{alone}"


@pytest.mark.parametrize("form", FORMS)
def test_an_empty_text_changes_nothing(form: Callable[..., Any]) -> None:
    assert form(GREENER, before="") == form(GREENER)


@pytest.mark.parametrize("form", FORMS)
def test_something_that_is_no_text_is_refused_in_one_sentence(form: Callable[..., Any]) -> None:
    with pytest.raises(SettingError, match=r"^before must be a text or None, not 3\.$"):
        form(GREENER, before=3)


@given(st.text(max_size=1000))
def test_the_last_300_characters_are_shown_after_an_ellipsis(text: str) -> None:
    drawn = draw_before(text)
    if len(text) <= 300:
        assert not drawn.startswith("…") or text.startswith("…")
    else:
        assert drawn == f"…{draw_before(text[-300:])}"


@given(st.text(max_size=400))
def test_lines_have_the_whole_text(text: str) -> None:
    drawn = "".join(part.shown + "\n" * part.breaks for part in before_fragments(text))
    assert drawn == draw_before(text).replace("\t", "    ")


@pytest.mark.parametrize("hostile", HOSTILE)
def test_hostile_text_is_only_text(hostile: str) -> None:
    page = to_html(GREENER, before=hostile)
    shown = re.search(r'<span class="deluge-before">([^<]*)</span>', page)
    assert shown is not None
    assert html.unescape(shown[1]) == draw_before(hostile)
    controls = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
    for form in (page, to_text(GREENER, before=hostile), to_svg(GREENER, before=hostile)):
        assert not controls.search(form)
    assert to_png(GREENER, before=hostile)


def test_a_response_knows_the_text_that_it_continues() -> None:
    assert known_before(APIResponse("local", logprobs=GREENER, prompt=RawPrompt(GRASS))) == GRASS
    assert text_of(APIResponse("local", logprobs=GREENER, prompt=RawPrompt(GRASS))) == "The grass is always greener!"


@pytest.mark.parametrize(
    "prompt",
    [
        Conversation.user("Grass?").assistant_prefix("It is"),
        [{"role": "user", "content": "Grass?"}, {"role": "assistant", "content": "It is"}],
    ],
)
def test_a_response_knows_the_beginning_of_its_answer(prompt: Any) -> None:
    assert known_before(APIResponse("local", logprobs=GREENER, prompt=prompt)) == "It is"


@pytest.mark.parametrize("prompt", ["Is the grass greener?", Conversation.user("Grass?"), None, 7])
def test_nothing_stands_before_the_answer_of_a_chat(prompt: Any) -> None:
    assert known_before(APIResponse("local", logprobs=GREENER, prompt=prompt)) == ""


def test_a_beginning_that_the_tokens_repeat_is_not_shown_twice() -> None:
    prompt = Conversation.user("Grass?").assistant_prefix(" greener")
    assert known_before(APIResponse("local", completion="!", logprobs=GREENER, prompt=prompt)) == ""


def test_characters_of_a_token_that_straddles_the_beginning_are_not_shown_twice() -> None:
    response = APIResponse("m", completion="eener!", logprobs=GREENER, prompt=RawPrompt("The grass is gr"))
    assert known_before(response) == "The grass is"


def test_an_argument_outweighs_what_is_known() -> None:
    response = APIResponse("local", logprobs=GREENER, prompt=RawPrompt(GRASS))
    assert text_of(response, before="") == " greener!"
    assert text_of(response, before="It is") == "It is greener!"


@pytest.mark.model
def test_a_text_that_was_read_knows_what_stands_before_it() -> None:
    table = read(" Paris.", before="The capital of France is")
    assert table.before == "The capital of France is"
    assert pickle.loads(pickle.dumps(table)).before == table.before
    assert table[1:].before is None
    assert LogprobView(table).to_text().startswith("The capital of France is Paris.\n")


@pytest.mark.model
@pytest.mark.parametrize(
    ("prompt", "before"),
    [
        (RawPrompt("The capital of France is"), "The capital of France is"),
        (Conversation.user("What is the capital of France?").assistant_prefix("It is "), "It is"),
        ("What is the capital of France?", ""),
    ],
)
def test_an_answer_of_the_model_knows_what_it_continues(prompt: Any, before: str) -> None:
    client = LLMClient("local", logprobs=True, max_new_tokens=3)
    (response,) = client.process_prompts_sync([prompt], show_progress=False)
    view = LogprobView(response)
    assert view.before == before
    first = (response.completion or "").splitlines()[0]
    assert view.to_text().startswith(before + first)
