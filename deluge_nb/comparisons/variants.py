"""Read what is compared: clients, models and templates become calls, and responses are taken as they are."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..answers.inputs import Template, check_client, fill_prompt, placeholders
from ..client.client import LLMClient
from ..errors import SettingError, invalid_argument
from ..prompts import Conversation, RawPrompt, to_list
from ..text.counts import pluralize

if TYPE_CHECKING:
    from ..models.spec import ServedModel
    from ..response import APIResponse

_VALUES = "a client, the name of a model, a template with placeholders, or a list of responses"


class Call:
    """One call of one client: the prompts of some variants to all inputs.

    Parameters
    ----------
    asked
        The client, or the models that are asked.
    names, templates
        The variants, and the template of each. Several models share one template.
    """

    def __init__(
        self,
        asked: LLMClient | list[str | ServedModel],
        names: Sequence[str],
        templates: Sequence[Template | None],
    ) -> None:
        self.asked, self.names, self.templates = asked, list(names), list(templates)
        self.prompts: list[Any] = []
        self.responses: Sequence[APIResponse | None] = ()
        """The responses in the order of the requests: each input goes to all variants before the next one."""

    def fill(self, values: Sequence[Any]) -> None:
        """Make the prompts of all inputs."""
        templates = self.templates[:1] if self._is_by_model else self.templates
        settings = ["template"] if self._is_by_model else [f"variants[{name!r}]" for name in self.names]
        self.prompts = [
            fill_prompt(value, template, f"inputs[{row}]", setting)
            for row, value in enumerate(values)
            for template, setting in zip(templates, settings, strict=True)
        ]

    def ask(self, resume: Mapping[str, Sequence[APIResponse | None]] | None, show_progress: bool) -> None:
        """Ask for all responses; those that arrive before an exception are kept."""
        from ..answers.first_token import alternative_settings  # loads numpy

        earlier = None if resume is None else list(itertools.chain(*zip(*map(resume.get, self.names), strict=True)))
        with self._client() as client:
            before, settings = client.interrupted, alternative_settings(client)
            try:
                # One statement each: an interrupt before the attribute has the responses would lose them.
                if self._is_by_model:
                    self.responses = _by_input(
                        client.ask_all(
                            self.prompts, sampling_params=settings, show_progress=show_progress, resume=earlier
                        )
                    )
                else:
                    self.responses = client.process_prompts_sync(
                        self.prompts, sampling_params=settings, show_progress=show_progress, resume=earlier
                    )
            except BaseException:
                if client.interrupted is not before:
                    self.responses = client.interrupted
                raise

    def by_name(self, count: int) -> dict[str, list[APIResponse | None]]:
        """Return the responses of each variant to so many inputs; None where none has arrived."""
        width = len(self.names)
        flat = [*self.responses, *[None] * (count * width - len(self.responses))]
        return {name: flat[place::width] for place, name in enumerate(self.names)}

    @property
    def _is_by_model(self) -> bool:
        return isinstance(self.asked, list) and len(self.asked) > 1

    @contextlib.contextmanager
    def _client(self) -> Iterator[LLMClient]:
        if isinstance(self.asked, LLMClient):
            yield self.asked
            return
        client = LLMClient(self.asked)
        try:
            yield client
        finally:
            client.close()


class Variants:
    """The variants of a comparison: calls to make, and responses that are there already.

    Parameters
    ----------
    variants
        The variants by their names.
    template
        The template of the variants that are clients or models.
    client, model
        What templates are asked of.

    Raises
    ------
    SettingError
        When there are fewer than two, or one is none of the accepted values.
    """

    def __init__(
        self,
        variants: Mapping[str, Any],
        template: Template | None,
        client: LLMClient | None,
        model: str | ServedModel,
    ) -> None:
        if not isinstance(variants, Mapping) or len(variants) < 2:
            raise invalid_argument("variants", variants, f"a dict of at least two names, each with {_VALUES}")
        for name in variants:
            if not isinstance(name, str) or not name.strip():
                raise invalid_argument("variants", name, "a dict whose names are texts that are not empty")
        self.names = list(variants)
        self.given: dict[str, list[Any]] = {}
        self.calls: list[Call] = []
        self._template = template
        self._asked: LLMClient | list[str | ServedModel] = [model] if client is None else client
        models: dict[str, str | ServedModel] = {}
        for name, value in variants.items():
            self._read(name, value, models)
        if models:
            self.calls.append(Call(list(models.values()), list(models), [template] * len(models)))

    @property
    def templates(self) -> list[Template | None]:
        """The templates of all calls."""
        return [template for call in self.calls for template in call.templates]

    def check_count(self, count: int) -> None:
        """Raise unless every list of responses has one for each of so many inputs."""
        for name, responses in self.given.items():
            if len(responses) != count:
                raise SettingError(
                    f"variants[{name!r}] must have one response for each of the {pluralize(count, 'input')}, "
                    f"not {len(responses)}.",
                    setting=f"variants[{name!r}]",
                    value=len(responses),
                )

    def _read(self, name: str, value: Any, models: dict[str, str | ServedModel]) -> None:
        if _is_template(value):
            self._add(self._asked, name, value)
        elif isinstance(value, str):
            if any(map(str.isspace, value)) or not value:
                raise SettingError(
                    f"variants[{name!r}] must be the name of a model, or a template with a placeholder such as {{0}}, "
                    f"not {value[:80]!r}.",
                    setting=f"variants[{name!r}]",
                    value=value,
                )
            models[name] = value
        elif hasattr(value, "process_prompts_sync"):
            check_client(value, f"variants[{name!r}]")
            self._add(value, name, self._template)
        elif hasattr(value, "spec") and hasattr(value, "name"):
            models[name] = value
        elif isinstance(value, Iterable) and not isinstance(value, bytes | Mapping):
            self.given[name] = to_list(value)
        else:
            raise invalid_argument(f"variants[{name!r}]", value, _VALUES)

    def _add(self, asked: LLMClient | list[str | ServedModel], name: str, template: Template | None) -> None:
        """Add a variant to the call of the same client, or to a new one."""
        # The models of one client take turns: only in a call of its own does each input of a variant have the same one.
        is_shared = isinstance(asked, list) or len(asked.models) == 1
        for call in self.calls if is_shared else ():
            if call.asked is asked:
                call.names.append(name)
                call.templates.append(template)
                return
        self.calls.append(Call(asked, [name], [template]))


def _is_template(value: Any) -> bool:
    return isinstance(value, RawPrompt | Conversation) or (isinstance(value, str) and bool(placeholders(value)))


def _by_input(responses: Mapping[str, Sequence[APIResponse]]) -> list[APIResponse]:
    """Return the responses of several models in the order of the prompts, each prompt's next to each other."""
    return list(itertools.chain(*zip(*responses.values(), strict=True)))
