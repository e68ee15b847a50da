"""``%%deluge``: a prompt in a cell, its completion coloured by probability."""

from __future__ import annotations

import keyword
from collections.abc import Callable, Mapping
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
from .prompts import Conversation, RawPrompt
from .response import APIResponse
from .sampling import SamplingParams
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


def _unquoted(text: str) -> str:
    """IPython splits a magic's line and leaves the quotes on."""
    return text[1:-1] if len(text) >= 2 and text[0] == text[-1] and text[0] in "'\"" else text


def _variable(name: str) -> str:
    if not name.isidentifier() or keyword.iskeyword(name):
        raise UsageError(f"--out must be the name of a variable, not {name!r}.")
    return name


@magics_class
class DelugeMagics(Magics):
    """Defaults of ``%%deluge``; change one with ``%config DelugeMagics.model = "gpt-4o-mini"``."""

    model = Unicode("local", help="The model to ask.").tag(config=True)
    top_logprobs = Int(20, help="How many alternatives to show at each token, from 0 to 20.").tag(config=True)
    temperature = Float(None, allow_none=True, help="0 takes the likeliest token; None leaves it to the model.").tag(
        config=True
    )
    max_tokens = Int(None, allow_none=True, help="The longest completion, in tokens.").tag(config=True)
    system = Unicode(None, allow_none=True, help="The instruction in front of the prompt.").tag(config=True)
    seed = Int(None, allow_none=True, help="Makes sampling repeatable where the server can.").tag(config=True)
    chart = Enum(list(_CHARTS), "both", help="Which charts to show under the tokens.").tag(config=True)
    view = Bool(True, help="Whether to show the tokens.").tag(config=True)
    cache = Union(
        [Bool(False), Unicode()], help="Whether to keep answers and show those that were kept; or a file for them."
    ).tag(config=True)

    _cell = ""
    _shown: APIResponse | None = None

    @magic_arguments()
    @argument("-m", "--model", help="the model: a name, or a variable that holds an LLMClient or a LocalModel")
    @argument("-k", "--top-logprobs", type=int, help="how many alternatives at each token, from 0 to 20")
    @argument("-t", "--temperature", type=float, help="0 takes the likeliest token, 1 samples as the model would")
    @argument("--max-tokens", type=int, help="the longest completion, in tokens")
    @argument("--system", type=_unquoted, help="the instruction in front of the prompt")
    @argument("--seed", type=int, help="makes sampling repeatable where the server can")
    @argument("-o", "--out", type=_variable, help="the variable that the response goes into")
    @argument("--chart", choices=list(_CHARTS), help="which charts to show under the tokens")
    @argument("--view", action="store_true", default=None, help="show the tokens")
    @argument("--no-view", dest="view", action="store_false", default=None, help="do not show the tokens")
    @argument("--cache", action="store_true", default=None, help="keep the answer, or show the one that was kept")
    @argument("--no-cache", dest="cache", action="store_false", default=None, help="ask anew, and keep nothing")
    @argument("--fill", action="store_true", help="put the notebook's variables in place of $name ($$ is a dollar)")
    @argument("--raw", action="store_true", help="let the model continue the text as it stands, without a chat")
    @argument("--prefill", type=_unquoted, help="the beginning of the answer, which the model continues")
    @line_cell_magic
    def deluge(self, line: str, cell: str | None = None) -> Any:
        """Ask a model, and see how sure it was of every token.

        The cell's body is the prompt. The response is the cell's value (``_``) and goes into ``--out``. ``%deluge``
        alone shows the settings and the models.
        """
        options = parse_argstring(self.deluge, line)
        if cell is None:
            if line.strip():
                raise UsageError("The prompt goes into the lines below: %%deluge with two percent signs.")
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
            raise UsageError(response.error_message)
        self._show(response, options, live)
        if live.interrupted:
            cast(Any, self.shell).displayhook.update_user_ns(response)
            where = options.out or "_"
            raise UsageError(f"Interrupted: {where} has the {len(response.logprobs or ())} tokens that had come.")
        return response

    def _ask(self, options: Any, cell: str, live: LiveView) -> APIResponse:
        text = self._filled(cell) if options.fill else cell
        # The line break that ends the cell is the notebook's, not the prompt's.
        text = text.removesuffix("\n") if options.raw else text.strip()
        if not text.strip():
            raise UsageError("The cell is empty: write the prompt below %%deluge.")
        system = options.system if options.system is not None else self.system
        if options.raw:
            for name in ("system", "prefill"):
                if getattr(options, name) is not None:
                    raise UsageError(f"--raw continues the text as it stands; --{name} is for a chat.")
            prompt: RawPrompt | Conversation = RawPrompt(text)
        else:
            prompt = (Conversation().system(system) if system else Conversation()).user(text)
            if options.prefill is not None:
                prompt = prompt.assistant_prefix(options.prefill)
        params, given = self._settings(options)
        named = cast(Any, self.shell).user_ns.get(options.model) if options.model else None
        if isinstance(named, LLMClient):
            own = named.sampling_params[0]
            params = (
                own.replace(**given | {"logprobs": True}) if own.full_vocab else params.replace(**own.chosen() | given)
            )
            return live.answer(named, prompt, params, use_cache=options.cache is not False)
        client = LLMClient(
            named if isinstance(named, LocalModel) else options.model or self.model,
            sampling_params=params,
            # A file that the configuration names is also the one that --cache means.
            cache=self.cache if options.cache is None else options.cache and (self.cache or True),
        )
        try:
            return live.answer(client, prompt, params)
        finally:
            client.close()

    def _settings(self, options: Any) -> tuple[SamplingParams, dict[str, Any]]:
        """The settings of this cell, and those of them that its line gives."""
        names = {"top_logprobs": "top_logprobs", "temperature": "temperature", "max_tokens": "max_new_tokens"}
        names["seed"] = "seed"
        given = {own: getattr(options, name) for name, own in names.items() if getattr(options, name) is not None}
        usual = {own: getattr(self, name) for name, own in names.items() if getattr(self, name) is not None}
        return SamplingParams(logprobs=True, **usual | given), given

    def _filled(self, cell: str) -> str:
        try:
            return Template(cell).substitute(cast(Any, self.shell).user_ns)
        except KeyError as error:
            raise UsageError(f"--fill: there is no variable {error.args[0]!r} in the notebook.") from None
        except ValueError:
            raise UsageError("--fill: a $ must be followed by a variable's name; write $$ for a dollar.") from None

    def _shows_tokens(self, options: Any) -> bool:
        # A terminal shows the cell's value, and that is all it could show.
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
            self._shown = response

    def show_response(self, response: APIResponse) -> None:
        """Show a response; but not the cell's value, where the cell has just shown it."""
        if response is self._shown:
            self._shown = None
        elif response.logprobs is None:
            raise NotImplementedError  # IPython shows its text
        else:
            show_table(response.logprobs)

    def before_cell(self, info: Any) -> None:
        """Remember which cell is run."""
        self._cell = info.raw_cell or ""

    def after_cell(self, result: ExecutionResult) -> None:
        """The cell's value has been displayed by now, if it has one."""
        self._shown = None

    def complete(self, shell: InteractiveShell, event: Any) -> list[str]:
        """What may follow in a ``%%deluge`` line."""
        words = event.line[: event.text_until_cursor.__len__()].split()
        before = words[-2] if event.symbol and len(words) > 1 else words[-1] if words else ""
        if before in ("-m", "--model"):
            own = [name for name, value in shell.user_ns.items() if isinstance(value, LLMClient | LocalModel)]
            choices = [*REGISTRY.known_names(), *(name for name in own if not name.startswith("_"))]
        elif before == "--chart":
            choices = list(_CHARTS)
        else:
            choices = sorted(cast(Any, self.deluge).parser._option_string_actions)
        return [choice for choice in choices if choice.startswith(event.symbol)]


class Overview:
    """The settings of ``%%deluge`` and the models it can ask, for display."""

    def __init__(self, magics: DelugeMagics) -> None:
        traits = magics.traits(config=True)
        self._settings = [(name, getattr(magics, name), trait.help) for name, trait in traits.items()]

    def __repr__(self) -> str:
        lines = [f"DelugeMagics.{name} = {value!r}" for name, value, _ in self._settings]
        return "\n".join([*lines, "", repr(REGISTRY.support_table())])

    def _repr_markdown_(self) -> str:
        rows = [f"| `DelugeMagics.{name}` | `{value!r}` | {told} |" for name, value, told in self._settings]
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
    """How a response displays itself: its tokens where there are any, else its text or its error."""
    if response.logprobs is not None:
        return table_bundle(response.logprobs)
    text = response.error_message if response.is_error else response.completion or ""
    return {"text/plain": "\n".join(part for part in (text, response.note and f"({response.note})") if part)}


def table_bundle(table: Logprobs, **_: Any) -> Bundle:
    """How a table of log-probabilities displays itself."""
    return LogprobView(table)._repr_mimebundle_()


def show_table(table: Logprobs) -> None:
    """Display a table as a view of it."""
    require_kernel()
    display_with_fallback(LogprobView(table))


_TAUGHT: tuple[tuple[type, Callable[..., Bundle]], ...] = ((APIResponse, response_bundle), (Logprobs, table_bundle))


def load(shell: InteractiveShell) -> None:
    """Give a shell the magic, its completions, and the display of responses and tables."""
    if _registered(shell) is not None:
        return
    magics = DelugeMagics(shell)
    shell.register_magics(magics)
    events, formatter = cast(Any, shell).events, cast(Any, shell).display_formatter
    events.register("pre_run_cell", magics.before_cell)
    events.register("post_run_cell", magics.after_cell)
    for percent in ("%", "%%"):
        shell.set_hook("complete_command", magics.complete, str_key=f"{percent}deluge")
    for taught, bundle in _TAUGHT:
        formatter.mimebundle_formatter.for_type(taught, bundle)
    formatter.ipython_display_formatter.for_type(APIResponse, magics.show_response)
    formatter.ipython_display_formatter.for_type(Logprobs, show_table)


def unload(shell: InteractiveShell) -> None:
    """Take all of it away again."""
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
    for taught, _ in _TAUGHT:
        formatter.mimebundle_formatter.type_printers.pop(taught, None)
        formatter.ipython_display_formatter.type_printers.pop(taught, None)


def _registered(shell: InteractiveShell) -> DelugeMagics | None:
    found = cast(Any, shell).magics_manager.registry.get(DelugeMagics.__name__)
    return found if isinstance(found, DelugeMagics) else None
