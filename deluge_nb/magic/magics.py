"""The magic itself: its options, its defaults, and what a cell shows."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, cast

from IPython.core.error import UsageError
from IPython.core.magic import Magics, line_cell_magic, magics_class, no_var_expand
from IPython.core.magic_arguments import argument, magic_arguments
from IPython.display import display
from traitlets import Bool, Enum, Float, Int, Unicode, Union

from ..charts.tokens import confidence_chart, entropy_chart, token_chart
from ..client.continuation import Continuer
from ..errors import DelugeError
from ..printable import printable
from ..response import APIResponse
from ..text.counts import pluralize
from ..widget.fallback import display_with_fallback, require_kernel
from ..widget.live import LiveView
from .asking import (
    Defaults,
    Question,
    ask_several,
    check_reading,
    count_of,
    explain,
    open_client,
    question_of,
    read_text,
)
from .cells import Cells, explain_place
from .completion import LineMatcher
from .course import course
from .display import Responses, show_table
from .line import (
    asks_for_help,
    help_text,
    integer,
    misplaced_prompt,
    number,
    one_of,
    read_options,
    some_text,
    variable_name,
)
from .overview import Help, Overview, models_with

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

_CHARTS: Mapping[str, Callable[[Any], Any] | None] = {
    "entropy": entropy_chart,
    "confidence": confidence_chart,
    "both": token_chart,
    "none": None,
}


@magics_class
class DelugeMagics(Magics):
    """The magic ``%%deluge`` and its default settings.

    Change a setting with ``%config DelugeMagics.model = "gpt-4o-mini"``; an option in the line of a cell overrides it.

    Examples
    --------
    >>> from deluge_nb.magic import DelugeMagics
    >>> magics = DelugeMagics()
    >>> magics.model, magics.top_logprobs, magics.chart
    ('local', 20, 'both')
    """

    model = Unicode("local", help="The model to ask.").tag(config=True)
    top_logprobs = Int(20, help="The number of alternatives to show at each token, from 0 to 20.").tag(config=True)
    temperature = Float(
        None, allow_none=True, help="0 takes the likeliest token; None uses the default of the model."
    ).tag(config=True)
    max_tokens = Int(None, allow_none=True, help="The maximum length of the completion, in tokens.").tag(config=True)
    system = Unicode(None, allow_none=True, help="The system message before the prompt.").tag(config=True)
    seed = Int(None, allow_none=True, help="Makes sampling repeatable if the server supports it.").tag(config=True)
    chart = Enum(list(_CHARTS), "both", help="The chart to show below the tokens.").tag(config=True)
    view = Bool(True, help="True to show the tokens.").tag(config=True)
    cache = Union([Bool(False), Unicode()], help="True to cache responses, or the path of the cache file.").tag(
        config=True
    )

    def __init__(self, shell: InteractiveShell | None = None, **options: Any) -> None:
        super().__init__(shell, **options)
        self.cells = Cells(in_terminal=hasattr(shell, "simple_prompt"))
        """The cells that run; fed by the shell's events."""
        self.explain_place = explain_place
        """The transformer of the shell's cells; an attribute, so that a reloaded module unregisters the same."""
        self._matcher: Any = None

    @property
    def _defaults(self) -> Defaults:
        return Defaults({name: getattr(self, name) for name in self.trait_names(config=True)}, self.variables)

    @property
    def variables(self) -> dict[str, Any]:
        """The notebook's variables."""
        return cast(Any, self.shell).user_ns

    @magic_arguments("%deluge")
    @argument(
        "-m", "--model", type=some_text, help="the model: a name, or a variable that holds an LLMClient or a LocalModel"
    )
    @argument("-k", "--top-logprobs", type=integer, help="number of alternatives at each token, from 0 to 20")
    @argument("-t", "--temperature", type=number, help="0 takes the likeliest token, 1 samples as the model would")
    @argument("--max-tokens", type=integer, help="the maximum length of the completion, in tokens")
    @argument("--system", help="the system message before the prompt")
    @argument("--top-p", type=number, help="sample only from the likeliest tokens that add up to this probability")
    @argument("--stop", action="append", metavar="TEXT", help="a text at which the answer ends; may be repeated")
    @argument("--seed", type=integer, help="makes sampling repeatable if the server supports it")
    @argument("-n", type=integer, help="number of independent answers, shown as a tree; the value is a list of them")
    @argument("--full-vocab", action="store_true", default=None, help="show the whole vocabulary at each token")
    @argument("--base-url", type=some_text, metavar="URL", help="the address of the server that has the model")
    @argument(
        "--compare",
        type=some_text,
        metavar="MODEL",
        help="ask a second model the same, and show both answers side by side",
    )
    @argument("-o", "--out", type=variable_name, help="the variable to store the response in")
    @argument(
        "--chart",
        type=one_of(_CHARTS),
        choices=list(_CHARTS),
        metavar="KIND",
        help=f"the chart to show below the tokens: {', '.join(_CHARTS)}",
    )
    @argument("--view", action="store_true", default=None, help="show the tokens")
    @argument("--no-view", dest="view", action="store_false", default=None, help="do not show the tokens")
    @argument(
        "--cache",
        action="store_true",
        default=None,
        help="return the cached response, or cache the new one",
    )
    @argument("--no-cache", dest="cache", action="store_false", default=None, help="ask again and do not cache")
    @argument("--fill", action="store_true", help="replace $name by the notebook's variables ($$ is a dollar sign)")
    @argument("--raw", action="store_true", help="let the model continue the text, without a chat")
    @argument("--read", action="store_true", help="show how probable the text of the cell itself is, and ask nothing")
    @argument("--prefill", help="the beginning of the answer, which the model continues")
    @no_var_expand
    @line_cell_magic
    def deluge(self, line: str, cell: str | None = None) -> Any:
        """Ask a model, and show its completion with each token coloured by probability.

        The body of the cell is the prompt, to the letter. The response is the value of the cell (``_``), and is also
        stored in the variable of ``--out``. ``%deluge`` alone shows the settings, ``%deluge models``
        the models, ``%deluge course`` the lessons and ``%deluge help`` the options.

        Parameters
        ----------
        line
            The options.
        cell
            The prompt.

        Returns
        -------
        APIResponse or list of APIResponse
            The response, or with ``-n`` and ``--compare`` the responses; with ``%deluge``, the settings or the models
            for display.

        Raises
        ------
        UsageError
            When an option is wrong, or the request fails: one line, without a traceback.

        Examples
        --------
        In [1]: %%deluge --model local --temperature 0 --out answer
           ...: What is the capital of France?

        In [2]: answer.completion
        Out[2]: 'The capital of France is Paris.'
        """
        try:
            return self._run(line, cell)
        except UsageError as error:  # may quote a server, or the line itself
            raise UsageError(printable(str(error))) from None

    def _run(self, line: str, cell: str | None) -> Any:
        parser = cast(Any, self.deluge).parser
        if asks_for_help(line):
            return Help(help_text(parser))
        if cell is None:
            return self._answer_line(line)
        body = self.cells.body(cell)
        options = read_options(parser, line)
        text = read_text(options, body, self.variables)
        try:
            if options.read:
                return self._read(options, text)
            question = question_of(options, text, self._defaults)
            if options.n is not None or options.compare is not None:
                return self._ask_several(options, question)
            return self._ask_one(options, question)
        except DelugeError as error:
            raise UsageError(explain(error, options, self._defaults.configured)) from None

    def _answer_line(self, line: str) -> Any:
        words = line.split()
        if not words:
            return Overview(self)
        if words == ["help"]:
            return Help(help_text(cast(Any, self.deluge).parser))
        if words[0] == "models":
            return models_with(" ".join(words[1:]))
        if words[0] == "course":
            return course(words[1:])
        raise misplaced_prompt(line)

    def _ask_one(self, options: Any, question: Question) -> APIResponse:
        live = LiveView(shown=self._shows_tokens(options))
        with open_client(options, self._defaults, options.model) as (client, is_own):
            params = question.params_for(client, is_own=is_own)
            try:
                response = live.answer(client, question.prompt, params, use_cache=options.cache is not False)
            except KeyboardInterrupt:
                raise UsageError("Interrupted before the first token.") from None
        return self._finish(options, response, live)

    def _read(self, options: Any, text: str) -> APIResponse:
        check_reading(options)
        count = self.top_logprobs if options.top_logprobs is None else options.top_logprobs
        with open_client(options, self._defaults, options.model) as (client, _):
            try:
                (response,) = client.read_sync(
                    [("", text)], top_logprobs=count, show_progress=False, use_cache=options.cache is not False
                )
            except KeyboardInterrupt:
                raise UsageError("Interrupted before the text was read.") from None
        response = self._finish(options, response, LiveView(shown=self._shows_tokens(options)))
        if response.note:
            display({"text/plain": printable(response.note)}, raw=True)
        return response

    def _finish(self, options: Any, response: APIResponse, live: LiveView) -> APIResponse:
        """Store a response and show it."""
        self._store(options, response)
        if response.is_error:
            live.finish(response)
            raise UsageError(response.error_message or "")
        try:
            self._show(response, options, live)
        except KeyboardInterrupt:
            if not live.interrupted:
                raise self._interrupted(options, response, "whole answer") from None
        if live.interrupted:
            received = pluralize(len(response.logprobs), "token") if response.logprobs else "text"
            raise self._interrupted(options, response, f"{received} received so far")
        return response

    def _store(self, options: Any, value: APIResponse | Responses) -> None:
        if options.out is not None:
            self.variables[options.out] = value

    def _interrupted(self, options: Any, value: APIResponse | Responses, kept: str) -> UsageError:
        """Make a part the value of its cell, which an error has none of, and return the line that says so."""
        cast(Any, self.shell).displayhook.update_user_ns(value)
        return UsageError(f"Interrupted: {options.out or '_'} has the {kept}.")

    def _ask_several(self, options: Any, question: Question) -> Responses:
        answers: list[APIResponse] = []
        interrupted = False
        models = [options.model] if options.compare is None else [options.model, options.compare]
        count, use_cache = count_of(options), options.cache is not False
        with contextlib.ExitStack() as stack:
            clients = [stack.enter_context(open_client(options, self._defaults, model)) for model in models]
            settings = [question.params_for(client, is_own=is_own) for client, is_own in clients]
            # What the last model cannot do is known before the first is asked.
            for (client, _), params in zip(clients, settings, strict=True):
                client.dry_run([question.prompt], sampling_params=params)
            for (client, _), params in zip(clients, settings, strict=True):
                try:
                    answers += ask_several(client, question.prompt, params, count, use_cache=use_cache)
                except KeyboardInterrupt:
                    answers += [response for response in client.interrupted or () if response is not None]
                    interrupted = True
                    break
                except DelugeError as error:
                    if not answers:
                        raise
                    answers.append(APIResponse(client.models[0], is_error=True, error_message=str(error)))
        if interrupted and not answers:
            raise UsageError("Interrupted before the first answer.")
        (client, _), params = clients[0], settings[0]
        # The view of the answers branches with this later; a closed client opens again by itself.
        author = Continuer(client, question.prompt, sampling_params=params, use_cache=use_cache)
        responses = Responses(answers, are_compared=options.compare is not None, author=author)
        self._store(options, responses)
        try:
            self._show_several(options, responses)
        except KeyboardInterrupt:
            interrupted = True
        if interrupted:
            raise self._interrupted(options, responses, f"{pluralize(len(responses), 'answer')} received so far")
        if all(response.is_error for response in responses):
            raise UsageError(responses[0].error_message or "")
        return responses

    def _show_several(self, options: Any, responses: Responses) -> None:
        if self._has_kernel or not self._has_view(options):
            self.cells.mark_shown(responses)
        for response in responses:
            if response.is_error and not all(other.is_error for other in responses):
                display({"text/plain": printable(f"{response.model}: {response.error_message}")}, raw=True)
        if self._shows_tokens(options) and (widget := responses.widget()) is not None:
            display_with_fallback(widget)

    @property
    def _has_kernel(self) -> bool:
        return hasattr(self.shell, "kernel")

    def _has_view(self, options: Any) -> bool:
        return bool(self.view if options.view is None else options.view)

    def _shows_tokens(self, options: Any) -> bool:
        # A terminal cannot show a widget, and it shows the value of the cell anyway.
        return self._has_kernel and self._has_view(options)

    def _show(self, response: APIResponse, options: Any, live: LiveView) -> None:
        if not self._has_view(options) or (self._has_kernel and response.logprobs is not None):
            self.cells.mark_shown(response)
        if response.logprobs is None or not self._has_kernel:
            return
        live.finish(response)
        chart = _CHARTS[options.chart or self.chart]
        if chart is not None and len(response.logprobs):
            display(chart(live.view or response.logprobs))

    def show_value(self, value: APIResponse | Responses) -> None:
        """Display the value of a cell, unless the cell has shown it already, or was asked not to.

        Parameters
        ----------
        value
            A response, or several.

        Raises
        ------
        NotImplementedError
            When it has no form but its text; IPython then shows that.
        """
        if self.cells.has_shown(value):
            return
        if isinstance(value, APIResponse):
            if value.logprobs is None:
                raise NotImplementedError
            show_table(value)
            return
        require_kernel()
        widget = value.widget()
        if widget is None:
            raise NotImplementedError
        display_with_fallback(widget)

    @property
    def matcher(self) -> Any:
        """The matcher that completes the line, for IPython's completer; the same at each access."""
        if self._matcher is None:
            self._matcher = LineMatcher(cast(Any, self.deluge).parser, self.variables).matcher
        return self._matcher
