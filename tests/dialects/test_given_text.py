"""Given text on servers other than llama.cpp's: a toy model on a real socket that plays each form, with its faults."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deluge_nb import APIResponse, Conversation, LLMClient, RawPrompt, SettingError, classify, next_token, read
from deluge_nb.client.sending import progress
from deluge_nb.client.sending.proof import differ
from deluge_nb.client.sending.request import build_ask, send
from deluge_nb.dialects.given_text.boundary import Token, align
from deluge_nb.logprobs.table import Logprobs
from deluge_nb.transport import portal
from tests.given_text_server import BOS, Toy, logprob_of, pieces_of, running

FORMS = {"vllm/toy": "prompt_logprobs", "toy": "echo", "sglang/toy": "sglang", "tgi/toy": "tgi"}
each_form = pytest.mark.parametrize("model", FORMS)
FIRST = "the first token has no log-probability, because no token stands before it"


def read_one(toy: Toy, model: str, text: str, before: Any = "", top_logprobs: int = 2) -> APIResponse:
    client = LLMClient(model, base_url=toy.url)
    (response,) = client.read_sync([(before, text)], top_logprobs=top_logprobs, show_progress=False)
    client.close()
    return response


def table_of(response: APIResponse) -> Logprobs:
    assert response.logprobs is not None, response.error_message
    return response.logprobs


def expected(before: str, text: str) -> list[float | None]:
    """The numbers of the toy model for the tokens of a text whose boundary is one of tokens."""
    pieces = pieces_of(before + text)
    skipped = len(pieces_of(before))
    assert b"".join(pieces[skipped:]).decode() == text
    return [logprob_of(pieces[i - 1] if i else None, pieces[i]) for i in range(skipped, len(pieces))]


@each_form
@pytest.mark.parametrize("bos", [False, True])
def test_each_token_has_its_own_number_with_and_without_a_token_in_front(model: str, bos: bool) -> None:
    with running(bos=bos) as toy:
        table = table_of(read_one(toy, model, " said that it was so.", "The old man"))
    assert table.text == " said that it was so."
    assert table.logprob.tolist() == expected("The old man", " said that it was so.")


@each_form
def test_the_first_token_of_a_text_has_a_number_only_after_a_token_in_front(model: str) -> None:
    with running() as toy:
        response = read_one(toy, model, "Hell no")
    assert table_of(response).censored.tolist() == [True, False]
    assert str(response.note).startswith(FIRST)
    with running(bos=True) as toy:
        response = read_one(toy, model, "Hell no")
    assert table_of(response).logprob[0] == logprob_of(BOS, b"Hell")
    assert FIRST not in str(response.note)


@each_form
def test_a_token_that_straddles_the_boundary_is_marked(model: str) -> None:
    with running(tokenizes=False) as toy:
        response = read_one(toy, model, "d man", "The ol")
    assert table_of(response).text == " old man"
    assert "the first row also holds 3 characters before the text" in str(response.note)


@pytest.mark.parametrize("bos", [False, True])
@pytest.mark.parametrize("text", ["d man", "d 🦆", "derly"])
def test_vllm_cuts_the_text_where_it_begins(bos: bool, text: str) -> None:
    with running(bos=bos) as toy:
        response = read_one(toy, "vllm/toy", text, "The ol")
    table, pieces = table_of(response), [b" ol", *pieces_of(text)]
    assert (table.text, response.note) == (text, None)
    assert table.logprob.tolist() == [logprob_of(*pair) for pair in itertools.pairwise(pieces)]
    # Both readings are paid for.
    assert response.input_tokens == 2 * bos + len(pieces_of("The ol" + text)) + 2 + len(pieces_of(text))


@pytest.mark.parametrize("before", ["The old ", "The old  "])
def test_trailing_spaces_of_the_prompt_stay_in_the_first_row(before: str) -> None:
    with running() as toy:
        response = read_one(toy, "vllm/toy", "man", before)
    assert table_of(response).tokens == [" man"]
    assert response.note == "the first row also holds 1 character before the text"


@pytest.mark.parametrize(
    "behaviour",
    [{"with_dummy_space": True}, {"with_dummy_space": True, "strips_spaces": True}, {"tokenizes": False}],
    ids=str,
)
def test_a_vllm_that_does_not_cut_the_text_alone_marks_the_straddling_token(behaviour: dict[str, bool]) -> None:
    with running(bos=True, **behaviour) as toy:
        response = read_one(toy, "vllm/toy", "d man", "The ol")
    assert table_of(response).text == " old man"
    assert response.note == "the first row also holds 3 characters before the text"


def test_a_route_that_vllm_does_not_have_is_asked_for_once_per_session() -> None:
    with running(tokenizes=False) as toy:
        for _ in range(2):
            read_one(toy, "vllm/toy", "d man", "The ol")
        assert [path for path, _ in toy.seen].count("/tokenize") == 1


def test_a_text_that_begins_with_a_token_takes_no_further_request() -> None:
    with running() as toy:
        read_one(toy, "vllm/toy", " man", "The old")
    assert "/tokenize" not in [path for path, _ in toy.seen]


@each_form
def test_characters_of_several_tokens_keep_their_rows(model: str) -> None:
    with running(bos=True) as toy:
        table = table_of(read_one(toy, model, " 🦆🐢 and 🦆", "Here"))
    assert table.text == " 🦆🐢 and 🦆"
    assert table.logprob.tolist() == expected("Here", " 🦆🐢 and 🦆")


@each_form
@pytest.mark.parametrize("bos", [False, True])
def test_tokens_whose_spaces_were_lost_still_spell_the_text(model: str, bos: bool) -> None:
    with running(bos=bos, strips_spaces=True) as toy:
        table = table_of(read_one(toy, model, " said that: it was so 🦆", "The old man"))
    assert table.text == " said that: it was so 🦆"
    assert table.logprob.tolist() == expected("The old man", " said that: it was so 🦆")


@pytest.mark.parametrize("model", ["vllm/toy", "toy"])
@pytest.mark.parametrize("before", ["Here is", "Here is\n", ""])
def test_empty_tokens_before_a_character_are_its_beginning(model: str, before: str) -> None:
    text = " 🦆🐢" if before == "Here is" else "🦆🐢 it is"
    with running(bos=True, joins_characters=True) as toy:
        table = table_of(read_one(toy, model, text, before))
    assert table.text == text
    assert (
        table.logprob.tolist()
        == [logprob_of(*pair) for pair in itertools.pairwise([BOS, *pieces_of(before + text)])][
            len(pieces_of(before)) :
        ]
    )


def test_a_first_character_of_several_tokens_keeps_its_rows_without_a_token_in_front() -> None:
    with running(joins_characters=True) as toy:
        response = read_one(toy, "vllm/toy", "🦆 it is")
    assert table_of(response).censored.tolist() == [True, *[False] * 3]
    assert str(response.note).startswith(FIRST)


@each_form
def test_a_first_token_that_nothing_stands_before_is_not_certain(model: str) -> None:
    with running(first_is_zero=True) as toy:
        response = read_one(toy, model, "Hell no")
    assert table_of(response).censored.tolist() == [True, False]
    assert str(response.note).startswith(FIRST)


def test_a_text_whose_first_token_is_not_returned_has_no_number() -> None:
    with running() as toy:
        client = LLMClient("sglang/toy", base_url=toy.url)
        client.read_sync([("The old man", " said")], show_progress=False)
        toy.lacks_first = True
        (response,) = client.read_sync([("", "Hell no")], show_progress=False)
    assert "of a part of it" in str(response.error_message)


def test_generated_tokens_may_be_written_as_ids() -> None:
    with running(names_drawn_by_id=True) as toy:
        assert table_of(read_one(toy, "vllm/toy", " said", "The old man")).tokens == [" said"]


@each_form
def test_a_withheld_number_or_one_above_0_is_censored_and_not_added(model: str) -> None:
    # Far from the end of the texts of the proof, whose last tokens are replaced, too.
    text = "".join(f" word {i}" for i in range(12))
    with running(bos=True, replaced={20: -9999.0, 19: 0.5}) as toy:
        response = read_one(toy, model, text, "A")
    table = table_of(response)
    assert "the server withheld the log-probability of 2 tokens" in str(response.note)
    size = len(table)
    assert [size - i for i in range(size) if table.censored[i]] == [20, 19]


@pytest.mark.parametrize("model", ["vllm/toy", "toy", "sglang/toy"])
def test_the_text_s_own_token_does_not_lengthen_the_list_of_alternatives(model: str) -> None:
    with running(twins=True) as toy:
        table = table_of(read_one(toy, model, " said so", "The old man", top_logprobs=2))
    assert set(table.top_counts.tolist()) == {2}


def test_two_ids_of_one_text_are_two_alternatives() -> None:
    with running(twins=True) as toy:
        table = table_of(read_one(toy, "vllm/toy", " said", "The old man", top_logprobs=3))
    assert [entry["token"] for entry in table.top(0)].count(" w0") == 2


@pytest.mark.parametrize(
    ("model", "behaviour", "reason"),
    [
        ("toy", {"ignores_echo": True}, "of generated tokens only"),
        ("vllm/toy", {"ignores_echo": True}, "of generated tokens only"),
        ("tgi/toy", {"empty_prefill": True}, "--enable-prefill-logprobs"),
        *[(model, {"shift": 1, "bos": bos}, "differ|without a number") for model in FORMS for bos in (False, True)],
        *[(model, {"nulls": True}, "without (their log-probabilities|a number)") for model in FORMS],
        *[(model, {"cut_to": 5}, "of a part of it") for model in ("vllm/toy", "toy", "tgi/toy")],
    ],
)
def test_a_server_that_does_not_prove_its_numbers_is_refused(model: str, behaviour: Any, reason: str) -> None:
    with running(**behaviour) as toy, pytest.raises(SettingError, match=reason):
        read_one(toy, model, " said so", "The old man")


def test_a_server_is_asked_for_its_proof_once_per_client() -> None:
    with running() as toy:
        client = LLMClient("toy", base_url=toy.url)
        for _ in range(3):
            client.read_sync([("The old man", " said")], show_progress=False)
        assert [body["max_tokens"] for _, body in toy.seen].count(8) == 1
        assert client.usage.requests == len(toy.seen)


def test_a_server_that_cannot_be_reached_is_no_proof_against_it() -> None:
    client = LLMClient("toy", base_url="http://127.0.0.1:9/v1", max_attempts=1)
    with pytest.raises(SettingError, match="could not be asked"):
        client.read_sync([("The old man", " said")], show_progress=False)
    with running() as toy:
        assert read(" said", before="The old man", model=LLMClient("toy", base_url=toy.url)).tokens == [" said"]


@each_form
def test_settings_are_neutral_and_one_token_at_most_is_generated(model: str) -> None:
    with running() as toy:
        LLMClient(model, base_url=toy.url, temperature=0.2, top_p=0.5).read_sync([("A", " b")], show_progress=False)
    _, body = toy.seen[-1]
    body = {**body, **body.get("parameters", {}), **body.get("sampling_params", {})}
    assert body.get("temperature", 1) == 1
    assert "top_p" not in body
    assert 1 in (body.get("max_tokens"), body.get("max_new_tokens"))


def test_sglang_is_asked_from_a_little_before_the_text() -> None:
    with running() as toy:
        read_one(toy, "sglang/toy", " said so", "The old man " * 20)
    path, body = toy.seen[-1]
    assert path == "/generate"
    assert body["logprob_start_len"] > 50


def test_fireworks_must_not_cut_a_long_text() -> None:
    from deluge_nb.dialects.given_text.echo import read as exchange
    from deluge_nb.models.endpoints import FIREWORKS
    from tests.dialects.llamacpp_cases import ask

    asked = ask(RawPrompt("a"), continuation="b", top_logprobs=2)
    object.__setattr__(asked, "endpoint", FIREWORKS)
    body = next(exchange(asked, "a", "b")).body
    assert body is not None
    assert body["context_length_exceeded_behavior"] == "error"


def test_together_has_the_prompt_apart_from_its_choice() -> None:
    from deluge_nb.dialects.given_text.echo import read_reply
    from tests.dialects.llamacpp_cases import ask

    columns = {"tokens": ["The", " fox", " jumps"], "token_logprobs": [None, -7.21, -2.05]}
    reply = {
        "prompt": [{"text": "The fox jumps", "logprobs": columns}],
        "choices": [{"text": " over", "logprobs": {"tokens": [" over"], "token_logprobs": [-0.41]}}],
    }
    reading = read_reply(ask(RawPrompt("The fox"), continuation=" jumps"), reply, "The fox", " jumps")
    assert [token.logprob for token in reading.tokens] == [None, -7.21, -2.05]
    assert [token.text for token in reading.generated] == [" over"]


@pytest.mark.parametrize("pair", [{"a": 1, "b": 2}, {"a", "b"}, "ab", ("a",), ("a", ""), ("a", 5)])
def test_what_is_no_pair_of_a_prompt_and_a_text_is_refused(pair: Any) -> None:
    with pytest.raises(SettingError, match=r"pairs\[0\]"):
        LLMClient("toy", base_url="http://127.0.0.1:9/v1").read_sync([pair], show_progress=False)


def test_an_older_vllm_is_asked_for_an_echo() -> None:
    with running(without_ids=True) as toy:
        table = table_of(read_one(toy, "vllm/toy", " said so", "The old man"))
    assert table.logprob.tolist() == expected("The old man", " said so")
    assert toy.seen[-1][1]["echo"] is True


def test_a_bos_token_without_text_is_no_part_of_the_text() -> None:
    with running(bos=True, empty_bos=True) as toy:
        table = table_of(read_one(toy, "toy", "Hell no"))
    assert table.tokens == ["Hell", " no"]


# Chats ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("begun", [None, "It is"])
def test_vllm_scores_the_answer_of_a_chat(begun: str | None) -> None:
    chat = Conversation().user("Who is it?")
    with running() as toy:
        response = read_one(toy, "vllm/toy", " me", chat if begun is None else chat.assistant_prefix(begun))
    assert table_of(response).tokens == [" me"]
    assert table_of(response).logprob[0] == logprob_of(b" is" if begun else b"]", b" me")


@pytest.mark.parametrize("model", ["toy", "sglang/toy", "tgi/toy"])
def test_a_chat_is_refused_where_only_raw_text_can_be_scored(model: str) -> None:
    with running() as toy, pytest.raises(SettingError, match=r"pass RawPrompt\(…\)"):
        read_one(toy, model, " me", Conversation().user("Who is it?"))
    assert not toy.seen


# Windows --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", ["vllm/toy", "toy"])
@pytest.mark.parametrize("before", ["", "Once upon a time"])
def test_a_text_longer_than_the_context_is_read_in_windows(model: str, before: str) -> None:
    text = "".join(f" part {i} of it" for i in range(60))
    with running(bos=True) as toy:
        whole = table_of(read_one(toy, model, text, before))
    with running(bos=True, context=80) as toy:
        response = read_one(toy, model, text, before)
    windows = table_of(response)
    assert windows.text == text
    assert windows.tokens == whole.tokens
    # The toy model looks at one token before, so that windows change nothing.
    assert windows.logprob.tolist() == whole.logprob.tolist()
    assert "overlapping windows of" in str(response.note)


@pytest.mark.parametrize("text", ["x" * 700, "🦆 and " * 90])
def test_a_long_text_without_spaces_or_of_split_characters_is_read_in_windows(text: str) -> None:
    with running(bos=True, context=90) as toy:
        response = read_one(toy, "vllm/toy", text)
    assert table_of(response).text == text
    numbers = [logprob_of(BOS, pieces_of(text)[0]), *expected("", text)[1:20]]
    assert table_of(response).logprob[:20].tolist() == numbers


def test_windows_without_a_common_boundary_are_refused() -> None:
    with running(bos=True, context=90) as toy:
        response = read_one(toy, "vllm/toy", "日本" * 150)
    assert "no boundary of tokens in common" in str(response.error_message)


@pytest.mark.parametrize("bos", [False, True])
def test_a_token_before_split_characters_is_no_part_of_them(bos: bool) -> None:
    with running(bos=bos) as toy:
        table = table_of(read_one(toy, "vllm/toy", "日本語"))
    assert len(table) == len(pieces_of("日本語"))
    assert table.censored.any() != bos


def test_another_refusal_is_no_reason_for_windows() -> None:
    with running() as toy:
        client = LLMClient("toy", base_url=toy.url, max_attempts=1)
        client.read_sync([("A", " b")], show_progress=False)
        before = len(toy.seen)
        toy.context = -1  # everything is too long
        (response,) = client.read_sync([("A", " b")], show_progress=False)
        assert response.is_error
        assert response.status_code == 400
        assert len(toy.seen) - before <= 2


# What stands on it ----------------------------------------------------------------------------------------------------


def test_the_end_of_a_text_is_read_from_the_token_after_it() -> None:
    with running() as toy:
        client = LLMClient("toy", base_url=toy.url)
        pairs: list[Any] = [(RawPrompt("The old man"), " said")]
        (response,) = client.score_continuations_sync(pairs, ends=True, top_logprobs=3, show_progress=False)
    table = table_of(response)
    assert table.tokens == [" said", ""]
    assert table.logprob[1] == -0.25


def test_classify_by_exact_likelihood_works_on_them() -> None:
    with running(bos=True) as toy:
        client = LLMClient("vllm/toy", base_url=toy.url)
        (found,) = classify(["The old man"], ["yes", "no"], client, method="exact", show_progress=False)
    assert found.error_message is None
    assert sum(found.probabilities.values()) == pytest.approx(1)
    assert found.loglik is not None
    assert set(found.loglik) == {"yes", "no"}


@pytest.mark.parametrize("number", [-9999.0, None])
def test_an_answer_with_a_withheld_number_has_no_exact_likelihood(number: Any) -> None:
    with running(bos=True) as toy:
        client = LLMClient("vllm/toy", base_url=toy.url)
        client.read_sync([("The old man", " said")], show_progress=False)  # the proof
        toy.replaced = {1: number}
        (found,) = classify(["a"], ["king", "time"], client, template=RawPrompt("once {0}"), method="exact")
    assert "withheld a log-probability of ' king'" in str(found.error_message)
    assert found.is_error


def test_the_next_token_has_as_many_alternatives_as_the_server_lists() -> None:
    with running() as toy:
        table = next_token("The old man", model=LLMClient("vllm/toy", base_url=toy.url))
    assert len(table) == 1
    assert len(table.top(0)) >= 20


# Mathematics ----------------------------------------------------------------------------------------------------------


@given(
    st.text(min_size=1) | st.text("a é🦆", min_size=1),
    st.data(),
    st.sampled_from([[], [Token("<s>", None)], [Token("", None)]]),
    st.booleans(),
)
@settings(max_examples=300)
def test_the_rows_of_a_text_spell_the_text_however_it_is_cut(
    text: str, data: Any, front: list[Token], is_stripped: bool
) -> None:
    octets = text.encode("utf-8", "replace")
    text = octets.decode()
    cuts = sorted(data.draw(st.sets(st.integers(1, max(len(octets) - 1, 1)))) | {0, len(octets)})
    pieces = [octets[a:b] for a, b in itertools.pairwise(cuts) if a < b]
    # Texts only, as most servers send them, with U+FFFD for unfinished characters.
    texts = [piece.decode("utf-8", "replace") for piece in pieces]
    # Without the space in front of a token, where it is decoded by itself.
    texts = [text.removeprefix(" ") for text in texts] if is_stripped else texts
    tokens = [*front, *(Token(text, -1.0) for text in texts), Token(" next", -1.0)]
    aligned = align(tokens, text)
    assert aligned is not None
    spelt, _ = aligned
    assert b"".join(token.known or b"" for token in spelt) == octets


@given(st.lists(st.floats(-9, -0.01), min_size=3, max_size=8), st.floats(-0.02, 0.02))
def test_small_differences_prove_and_shifts_do_not(numbers: list[float], noise: float) -> None:
    def table(values: list[float]) -> Logprobs:
        return Logprobs.from_entries([{"token": f"t{i}", "logprob": min(v, 0.0)} for i, v in enumerate(values)])

    assert differ(table(numbers), table([value + noise for value in numbers])) in ("", None)
    shifted = [numbers[0] - 3, *numbers[:-1]]
    assert differ(table(numbers), table(shifted)) != ""


@pytest.mark.parametrize("model", FORMS)
def test_exact_likelihoods_are_shares_of_the_spellings_on_every_form(model: str) -> None:
    with running() as toy:
        client = LLMClient(model, base_url=toy.url)
        template, labels = RawPrompt("once {0}"), ["king", "time"]
        (found,) = classify(["a"], labels, client, template=template, method="exact", show_progress=False)
    odds = (logprob_of(b" a", b" king") or 0) - (logprob_of(b" a", b" time") or 0)
    # The toy ends a text with a probability of e^-0.25, and lists nothing else that goes on with an answer.
    assert math.log(found.probabilities["king"] / found.probabilities["time"]) == pytest.approx(odds, abs=0.02)


@pytest.mark.parametrize("model", ["sglang/toy", "tgi/toy"])
def test_a_server_that_lists_nothing_after_an_answer_has_no_exact_likelihood(model: str) -> None:
    with running(lists_nothing_after=True) as toy:
        client = LLMClient(model, base_url=toy.url)
        (found,) = classify(["The old man"], ["yes", "no"], client, template=RawPrompt("{0}:"), method="exact")
    assert "listed no tokens after" in str(found.error_message)
    assert found.is_error


def test_a_long_text_reports_how_far_it_has_been_read() -> None:
    text = "".join(f" part {i} of it" for i in range(60))
    shares: list[float] = []
    with running(context=80) as toy:
        (item,) = LLMClient("vllm/toy", base_url=toy.url)._reading([("Once upon", text)], 1, True, None).items
        ask = replace(build_ask(item), report=shares.append)
        portal.run(send(ask, item.route.transport()))
    assert shares == sorted(shares)
    assert len(shares) > 2
    assert shares[-1] == 1


def test_the_bar_of_one_text_shows_its_percentage_and_is_gone_in_the_end(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "_DELAY", 0)
    bar = progress.ProgressBar(1, show=True, is_one_text=True)
    bar.move(0.5)
    bar._bar.refresh()
    assert " 50%|" in capsys.readouterr().err
    bar.close()
    assert not capsys.readouterr().err.replace("\x1b[A", "").strip()
