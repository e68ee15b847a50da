"""Read the model of an estimator, and open a client for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ..errors import SettingError, invalid_argument

if TYPE_CHECKING:
    from ..client.client import LLMClient

# Estimators are copied, printed, and written to files.
_SECRETS = ("api_key", "extra_headers")


def open_client(model: Any) -> LLMClient:
    """Return a new client.

    Parameters
    ----------
    model
        A model's name, a local model, or a dict of settings.

    Raises
    ------
    SettingError
        When the value is none of these, or holds a secret.
    """
    from ..client.client import LLMClient

    if hasattr(model, "process_prompts_sync"):
        raise SettingError(
            "model must be a name or a dict of settings, not a client, because scikit-learn copies it: "
            "write {'model': 'gpt-4o-mini', 'cache': True}.",
            setting="model",
        )
    if not isinstance(model, Mapping):
        return LLMClient(model)
    settings = dict(model)
    secret = next((name for name in _SECRETS if name in settings), None)
    if secret is not None:
        raise SettingError(
            f"model must not have {secret!r}, because estimators are printed and written to files: put the key into "
            "the endpoint's environment variable.",
            setting="model",
        )
    if "model" not in settings:
        raise invalid_argument("model", list(settings), "a dict with the name at 'model'")
    return LLMClient(settings.pop("model"), **settings)


def is_greedy(model: Any) -> bool:
    """Return whether the model is asked at temperature 0, which is the default of :func:`deluge_nb.classify`."""
    return not (isinstance(model, Mapping) and model.get("temperature"))
