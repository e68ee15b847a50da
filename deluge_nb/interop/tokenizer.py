"""Look up the text and the bytes of token ids in a tokenizer.

``decode`` gives U+FFFD for half a character and drops the space that SentencePiece puts before a word. Therefore the
spelling in the vocabulary is read where its kind (byte-level, SentencePiece) can be recognised.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from typing import Any

from ..errors import SettingError
from ..logprobs.columns import RawBytes
from ..text.spelling import BYTE_LETTERS

_BYTE_TOKEN = re.compile(r"<0x([0-9A-Fa-f]{2})>")
_SENTENCEPIECE_SPACE = "\u2581"


class TokenTexts:
    """Texts and bytes of a tokenizer's tokens, each looked up once.

    Parameters
    ----------
    tokenizer
        A tokenizer of Transformers (``convert_ids_to_tokens``) or of ``tokenizers`` (``id_to_token``).

    Raises
    ------
    SettingError
        When it is neither.
    """

    def __init__(self, tokenizer: Any) -> None:
        spelling = getattr(tokenizer, "convert_ids_to_tokens", None)
        # By default Transformers removes the space of " ."; tokenizers has no such option.
        options = {"skip_special_tokens": False} | ({"clean_up_tokenization_spaces": False} if spelling else {})
        spelling = spelling or getattr(tokenizer, "id_to_token", None)
        decode = getattr(tokenizer, "decode", None)
        if not callable(spelling) or not callable(decode):
            raise SettingError(
                "tokenizer must be the model's own, of Transformers or tokenizers, with decode and "
                f"convert_ids_to_tokens or id_to_token, not {type(tokenizer).__name__}.",
                setting="tokenizer",
                value=tokenizer,
            )
        self._spelling: Callable[..., Any] = spelling
        self._decode: Callable[..., str] = partial(decode, **options)
        self.end: int | None = getattr(tokenizer, "eos_token_id", None)
        self.padding: int | None = getattr(tokenizer, "pad_token_id", None)
        self._cache: dict[int, tuple[str, RawBytes]] = {}

    def __getitem__(self, token_id: int) -> tuple[str, RawBytes]:
        """Return the text of a token and its bytes, None where they are unknown."""
        entry = self._cache.get(token_id)
        if entry is None:
            entry = self._cache[token_id] = self._read(token_id)
        return entry

    def _read(self, token_id: int) -> tuple[str, RawBytes]:
        decoded = self._decode([token_id])
        spelt = self._spelling(token_id)
        if not isinstance(spelt, str):  # a model may have more rows than its tokenizer has tokens
            return decoded, None
        byte = _BYTE_TOKEN.fullmatch(spelt)
        if byte is not None and decoded != spelt:
            raw = bytes([int(byte[1], 16)])
            return raw.decode("utf-8", "replace"), raw
        if _SENTENCEPIECE_SPACE in spelt:
            text = spelt.replace(_SENTENCEPIECE_SPACE, " ")
            return text, text.encode()
        if all(character in BYTE_LETTERS for character in spelt):
            raw = bytes(BYTE_LETTERS[character] for character in spelt)
            # "é" is a byte in one kind of vocabulary and a letter in another; its decoded text decides.
            if raw.decode("utf-8", "replace") == decoded:
                return decoded, raw
        return decoded, None
