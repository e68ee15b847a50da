"""Names that the lessons of the course use: the model in one line, checks and reveals, and small widgets."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .catalog import Catalog, copy_lesson
    from .checks import check, reveal
    from .coding import decode, encode
    from .feedback import Feedback
    from .handed_in import collect
    from .model import use_model
    from .quiz.betting import Question, option_shares, questions
    from .quiz.recordings import Recording, recording
    from .texts import likeliest, next_token, read
    from .widgets.bets import Bet, Bets
    from .widgets.dial import Dial
    from .widgets.event_picker import EventPicker

# Each name is imported from its module on first use.
_MODULES = {
    "Bet": "widgets.bets",
    "Bets": "widgets.bets",
    "Catalog": "catalog",
    "Dial": "widgets.dial",
    "EventPicker": "widgets.event_picker",
    "Feedback": "feedback",
    "Question": "quiz.betting",
    "Recording": "quiz.recordings",
    "check": "checks",
    "collect": "handed_in",
    "copy_lesson": "catalog",
    "decode": "coding",
    "encode": "coding",
    "likeliest": "texts",
    "next_token": "texts",
    "option_shares": "quiz.betting",
    "questions": "quiz.betting",
    "read": "texts",
    "recording": "quiz.recordings",
    "reveal": "checks",
    "use_model": "model",
}

__all__ = [
    "Bet",
    "Bets",
    "Catalog",
    "Dial",
    "EventPicker",
    "Feedback",
    "Question",
    "Recording",
    "check",
    "collect",
    "copy_lesson",
    "decode",
    "encode",
    "likeliest",
    "next_token",
    "option_shares",
    "questions",
    "read",
    "recording",
    "reveal",
    "use_model",
]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return getattr(import_module(f".{_MODULES[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
