"""``%%deluge``: send a cell's text to a model, and show the completion coloured by probability.

Loading the extension also registers how responses and tables of log-probabilities display themselves in IPython.
"""

from __future__ import annotations

import contextlib
import keyword
from collections.abc import Callable, Iterator, Mapping
from string import Template
from typing import TYPE_CHECKING, Any, cast

from IPython.core.error import UsageError
from IPython.core.magic import Magics, line_cell_magic, magics_class
from IPython.core.magic_arguments import argument, magic_arguments, parse_argstring
from IPython.display import display
from traitlets import Bool, Enum, Float, Int, Unicode, Union

from .charts.tokens import confidence_chart, entropy_chart
from .client.client import LLMClient
from .errors import DelugeError
from .local import LocalModel
from .logprobs.table import Logprobs
from .models import REGISTRY
from .printable import printable
from .prompts import Conversation, RawPrompt
from .response import APIResponse
from .sampling import SamplingParams
from .text.counts import pluralize
from .widget.fallback import display_with_fallback, require_kernel
from .widget.live import LiveView
from .widget.view import LogprobView

if TYPE_CHECKING:
    from IPython.core.interactiveshell import ExecutionResult, InteractiveShell

Bundle = dict[str, Any]

_CHARTS: Mapping[str, tuple[Callable[[Any], Any], ...]] = {
    "entropy": (entropy_chart,),
    "confidence": (confidence_chart,),
    "both": (entropy_chart, confidence_chart),
    "none": (),
}


def _strip_quotes(text: str) -> str:
    # IPython splits the line of a magic and leaves the quotes on.
    return text[1:-1] if len(text) >= 2 and text[0] == text[-1] and text[0] in "'\"" else text


def _variable_name(name: str) -> str:
    if not name.isidentifier() or keyword.iskeyword(name):
        raise UsageError(f"--out must be the name of a variable, not {name!r}.")
    return name


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
    chart = Enum(list(_CHARTS), "both", help="The charts to show below the tokens.").tag(config=True)
    view = Bool(True, help="True to show the tokens.").tag(config=True)
    cache = Union([Bool(False), Unicode()], help="True to cache responses, or the path of the cache file.").tag(
        config=True
    )

    _cell = ""
    _displayed: APIResponse | None = None

    @magic_arguments()
    @argument("-m", "--model", help="the model: a name, or a variable that holds an LLMClient or a LocalModel")
    @argument("-k", "--top-logprobs", type=int, help="number of alternatives at each token, from 0 to 20")
    @argument("-t", "--temperature", type=float, help="0 takes the likeliest token, 1 samples as the model would")
    @argument("--max-tokens", type=int, help="the maximum length of the completion, in tokens")
    @argument("--system", type=_strip_quotes, help="the system message before the prompt")
    @argument("--seed", type=int, help="makes sampling repeatable if the server supports it")
    @argument("-o", "--out", type=_variable_name, help="the variable to store the response in")
    @argument("--chart", choices=list(_CHARTS), help="the charts to show below the tokens")
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
    @argument("--prefill", type=_strip_quotes, help="the beginning of the answer, which the model continues")
    @line_cell_magic
    def deluge(self, line: str, cell: str | None = None) -> Any:
        """Ask a model, and show its completion with each token coloured by probability.

        The body of the cell is the prompt. The response is the value of the cell (``_``), and is also stored in the
        variable of ``--out``. ``%deluge`` alone shows the settings and the models.

        Parameters
        ----------
        line
            The options.
        cell
            The prompt.

        Returns
        -------
        APIResponse
            The response; with ``%deluge``, the settings and models for display.

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
        options = parse_argstring(self.deluge, line)
        if cell is None:
            if line.strip():
                raise UsageError("Use %%deluge, with two percent signs, and write the prompt on the lines below it.")
            return Overview(self)
        live = LiveView(shown=self._shows_tokens(options))
        try:
            response = self._ask(options, cell, live)
        except DelugeError as error:
            raise UsageError(str(error)) from None
        if options.out is not None:
            cast(Any, self.shell).user_ns[options.out] = response
        if response.is_error:
            live.finish(response)
            raise UsageError(printable(response.error_message or ""))
        self._show(response, options, live)
        if options.read and response.note:
            display({"text/plain": printable(response.note)}, raw=True)
        if live.interrupted:
            cast(Any, self.shell).displayhook.update_user_ns(response)
            where = options.out or "_"
            received = pluralize(len(response.logprobs or ()), "token")
            raise UsageError(f"Interrupted: {where} has the {received} received so far.")
        return response

    def _ask(self, options: Any, cell: str, live: LiveView) -> APIResponse:
        text = self._fill(cell) if options.fill else cell
        # The notebook adds a line break at the end of a cell; it is not part of the prompt.
        text = text.removesuffix("\n") if options.raw or options.read else text.strip()
        if not text.strip():
            raise UsageError(f"The cell is empty: write the {'text' if options.read else 'prompt'} below %%deluge.")
        if options.read:
            return self._read(options, text)
        system = options.system if options.system is not None else self.system
        if options.raw:
            for name in ("system", "prefill"):
                if getattr(options, name) is not None:
                    raise UsageError(f"--raw continues the text without a chat; --{name} is for a chat.")
            prompt: RawPrompt | Conversation = RawPrompt(text)
        else:
            prompt = (Conversation().system(system) if system else Conversation()).user(text)
            if options.prefill is not None:
                prompt = prompt.assistant_prefix(options.prefill)
        params, from_line = self._settings(options)
        with self._client(options) as (client, is_own):
            if is_own:
                own = client.sampling_params[0]
                params = (
                    own.replace(**from_line | {"logprobs": True})
                    if own.full_vocab
                    else params.replace(**own.chosen() | from_line)
                )
            return live.answer(client, prompt, params, use_cache=options.cache is not False)

    def _read(self, options: Any, text: str) -> APIResponse:
        for name in ("temperature", "max_tokens", "system", "seed", "raw", "prefill"):
            value = getattr(options, name)
            if value is not None and value is not False:
                raise UsageError(
                    f"--read reads the cell and asks for no answer; --{name.replace('_', '-')} is for one."
                )
        count = self.top_logprobs if options.top_logprobs is None else options.top_logprobs
        with self._client(options) as (client, _):
            return client.read_sync([("", text)], top_logprobs=count, show_progress=False)[0]

    @contextlib.contextmanager
    def _client(self, options: Any) -> Iterator[tuple[LLMClient, bool]]:
        """Yield the client of a cell, and whether it is the user's own, which stays open."""
        variable = cast(Any, self.shell).user_ns.get(options.model) if options.model else None
        if isinstance(variable, LLMClient):
            yield variable, True
            return
        client = LLMClient(
            variable if isinstance(variable, LocalModel) else options.model or self.model,
            # --cache uses the file of the configuration if that names one.
            cache=self.cache if options.cache is None else options.cache and (self.cache or True),
        )
        try:
            yield client, False
        finally:
            client.close()

    def _settings(self, options: Any) -> tuple[SamplingParams, dict[str, Any]]:
        """Return the settings of this cell, and those of them that its line gives."""
        names = {"top_logprobs": "top_logprobs", "temperature": "temperature", "max_tokens": "max_new_tokens"}
        names["seed"] = "seed"
        from_line = {own: getattr(options, name) for name, own in names.items() if getattr(options, name) is not None}
        defaults = {own: getattr(self, name) for name, own in names.items() if getattr(self, name) is not None}
        return SamplingParams(logprobs=True, **defaults | from_line), from_line

    def _fill(self, cell: str) -> str:
        try:
            return Template(cell).substitute(cast(Any, self.shell).user_ns)
        except KeyError as error:
            raise UsageError(f"--fill: there is no variable {error.args[0]!r} in the notebook.") from None
        except ValueError:
            raise UsageError("--fill: a $ must be followed by a variable's name; write $$ for a dollar.") from None

    def _shows_tokens(self, options: Any) -> bool:
        # A terminal cannot show a widget, and it shows the value of the cell anyway.
        return hasattr(self.shell, "kernel") and bool(self.view if options.view is None else options.view)

    def _show(self, response: APIResponse, options: Any, live: LiveView) -> None:
        if response.logprobs is None or not hasattr(self.shell, "kernel"):
            return
        if self._shows_tokens(options):
            live.finish(response)
        elif (options.chart or self.chart) == "none":
            return
        if len(response.logprobs):
            for chart in _CHARTS[options.chart or self.chart]:
                display(chart(live.view or response.logprobs))
        if self._cell.lstrip().startswith("%%deluge"):
            self._displayed = response

    def show_response(self, response: APIResponse) -> None:
        """Display a response, unless it is the value of a ``%%deluge`` cell, which has displayed it already.

        Parameters
        ----------
        response
            The response.

        Raises
        ------
        NotImplementedError
            When it has no log-probabilities; IPython then shows its text.
        """
        if response is self._displayed:
            self._displayed = None
        elif response.logprobs is None:
            raise NotImplementedError
        else:
            show_table(response.logprobs)

    def before_cell(self, info: Any) -> None:
        """Record the text of the cell that is about to run.

        Parameters
        ----------
        info
            The information that IPython passes to ``pre_run_cell``.
        """
        self._cell = info.raw_cell or ""

    def after_cell(self, result: ExecutionResult) -> None:
        """Forget the response that the cell displayed: if it was the value, IPython has handled it by now.

        Parameters
        ----------
        result
            The result that IPython passes to ``post_run_cell``; not used.
        """
        self._displayed = None

    def complete(self, shell: InteractiveShell, event: Any) -> list[str]:
        """Return the completions of a word in a ``%%deluge`` line.

        Parameters
        ----------
        shell
            The shell, whose variables may name a client or a local model.
        event
            The completion event of IPython: the line, the text before the cursor, and the word.

        Returns
        -------
        list of str
            Options, models and choices that begin with the word.
        """
        words = event.line[: len(event.text_until_cursor)].split()
        previous = words[-2] if event.symbol and len(words) > 1 else words[-1] if words else ""
        if previous in ("-m", "--model"):
            own = [name for name, value in shell.user_ns.items() if isinstance(value, LLMClient | LocalModel)]
            choices = [*REGISTRY.known_names(), *(name for name in own if not name.startswith("_"))]
        elif previous == "--chart":
            choices = list(_CHARTS)
        else:
            choices = sorted(cast(Any, self.deluge).parser._option_string_actions)
        return [choice for choice in choices if choice.startswith(event.symbol)]


class Overview:
    """The settings of ``%%deluge`` and the models that it can ask, for display."""

    def __init__(self, magics: DelugeMagics) -> None:
        traits = magics.traits(config=True)
        self._settings = [(name, getattr(magics, name), trait.help) for name, trait in traits.items()]

    def __repr__(self) -> str:
        lines = [f"DelugeMagics.{name} = {value!r}" for name, value, _ in self._settings]
        return "\n".join([*lines, "", repr(REGISTRY.support_table())])

    def _repr_markdown_(self) -> str:
        rows = [f"| `DelugeMagics.{name}` | `{value!r}` | {meaning} |" for name, value, meaning in self._settings]
        table = REGISTRY.support_table().to_markdown()
        return "\n".join(
            [
                "Change a setting with `%config DelugeMagics.model = 'local'`.",
                "",
                "| Setting | Value | |",
                "| --- | --- | --- |",
                *rows,
                "",
                table,
            ]
        )


def response_bundle(response: APIResponse, **_: Any) -> Bundle:
    """Return the MIME bundle of a response: its tokens, or without log-probabilities its text or error."""
    if response.logprobs is not None:
        return table_bundle(response.logprobs)
    text = response.error_message if response.is_error else response.completion or ""
    parts = (text, response.note and f"({response.note})")
    return {"text/plain": printable("\n".join(part for part in parts if part))}


def table_bundle(table: Logprobs, **_: Any) -> Bundle:
    """Return the MIME bundle of a table of log-probabilities."""
    return LogprobView(table)._repr_mimebundle_()


def show_table(table: Logprobs) -> None:
    """Display a table as a :class:`deluge_nb.LogprobView`."""
    require_kernel()
    display_with_fallback(LogprobView(table))


_BUNDLES: tuple[tuple[type, Callable[..., Bundle]], ...] = ((APIResponse, response_bundle), (Logprobs, table_bundle))


def load(shell: InteractiveShell) -> None:
    """Register the magic, its completions, and the display of responses and tables with a shell."""
    if _registered(shell) is not None:
        return
    magics = DelugeMagics(shell)
    shell.register_magics(magics)
    events, formatter = cast(Any, shell).events, cast(Any, shell).display_formatter
    events.register("pre_run_cell", magics.before_cell)
    events.register("post_run_cell", magics.after_cell)
    for percent in ("%", "%%"):
        shell.set_hook("complete_command", magics.complete, str_key=f"{percent}deluge")
    for kind, bundle in _BUNDLES:
        formatter.mimebundle_formatter.for_type(kind, bundle)
    formatter.ipython_display_formatter.for_type(APIResponse, magics.show_response)
    formatter.ipython_display_formatter.for_type(Logprobs, show_table)


def unload(shell: InteractiveShell) -> None:
    """Remove everything that :func:`load` registered."""
    magics = _registered(shell)
    if magics is None:
        return
    manager, formatter = cast(Any, shell).magics_manager, cast(Any, shell).display_formatter
    manager.registry.pop(DelugeMagics.__name__, None)
    for kind in ("line", "cell"):
        manager.magics[kind].pop("deluge", None)
    if magics in shell.configurables:
        shell.configurables.remove(magics)
    magics.after_cell(cast(Any, None))
    cast(Any, shell).events.unregister("pre_run_cell", magics.before_cell)
    cast(Any, shell).events.unregister("post_run_cell", magics.after_cell)
    for percent in ("%", "%%"):
        cast(Any, shell).strdispatchers["complete_command"].strs.pop(f"{percent}deluge", None)
    for shown, _ in _BUNDLES:
        formatter.mimebundle_formatter.type_printers.pop(shown, None)
        formatter.ipython_display_formatter.type_printers.pop(shown, None)


def _registered(shell: InteractiveShell) -> DelugeMagics | None:
    magics = cast(Any, shell).magics_manager.registry.get(DelugeMagics.__name__)
    return magics if isinstance(magics, DelugeMagics) else None
