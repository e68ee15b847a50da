"""A client that goes to another process: what it must find there, so that the same question is asked."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING, Any, TypeVar

from ...errors import SettingError
from ..base import BaseClient

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ...sampling import SamplingParams
    from ...transport.throttle import PaceLike

Client = TypeVar("Client", bound=BaseClient)


def describe_place(client: BaseClient, settings: tuple[SamplingParams, ...]) -> list[dict[str, Any]]:
    """Return what a client asks from here, as plain JSON: the requests of each model, and the address of its server.

    The address is without login and query. Where it is not given, it depends on the environment, and so on the process.

    Parameters
    ----------
    client
        The client.
    settings
        Settings of each model.
    """
    requests = client.describe_requests(settings)
    # The server of an embedded model is started in each process, at an address of its own.
    addresses = ["" if route.endpoint.launch is not None else route.endpoint.base_url for route in client._routes]
    return [{"address": address, **request} for address, request in zip(addresses, requests, strict=True)]


def check_place(client: BaseClient, settings: tuple[SamplingParams, ...], expected: list[dict[str, Any]]) -> None:
    """Check that a client asks from this process what it asks from the one it came from.

    Parameters
    ----------
    client, settings
        As for :func:`describe_place`.
    expected
        What that returned there.

    Raises
    ------
    SettingError
        When an address or the weights of an embedded model are others here.
    """
    for here, there in zip(describe_place(client, settings), expected, strict=True):
        for name, value in there.items():
            if here.get(name) != value:
                raise SettingError(
                    f"{there['model']!r} has the {name} {here.get(name)!r} here, and {value!r} where the job was "
                    f"started; {_cure(name)}.",
                    setting="client",
                    value=here.get(name),
                )


def _cure(name: str) -> str:
    cures: Mapping[str, str] = {
        "address": "give base_url=, or set the same variable in both environments",
        "file": "install the same weights on both",
    }
    return cures.get(name, "install the same version of deluge-nb on both")


def pickled(value: Any, client: BaseClient) -> bytes:
    """Return what goes to another process together with a client.

    Parameters
    ----------
    value
        What goes there.
    client
        The client that it has.

    Raises
    ------
    SettingError
        When the client cannot go there.
    """
    try:
        return pickle.dumps(value)
    except (TypeError, AttributeError, pickle.PicklingError) as error:
        raise SettingError(
            f"The client cannot go to another process, for a part of it cannot be pickled ({error}); leave out the "
            "client's argument that is an object of your own (transport=, pace=), or run in this process.",
            setting="client",
            value=client,
        ) from None


def pace_of(client: BaseClient) -> PaceLike | None:
    """Return what paces the requests of a client; None where it has no limit.

    Parameters
    ----------
    client
        The client.
    """
    return client._routes[0].pace


def has_one_server(client: BaseClient) -> bool:
    """Return whether all models of a client are at one server, so that what one may not do, no other may.

    Parameters
    ----------
    client
        The client.
    """
    return len({route.endpoint.base_url for route in client._routes}) == 1


def with_pace(client: Client, pace: PaceLike) -> Client:
    """Return a client with equal settings whose requests are paced by an object.

    Parameters
    ----------
    client
        The client.
    pace
        The object, in place of the client's limits per minute.
    """
    return client._copied(max_requests_per_minute=None, max_tokens_per_minute=None, pace=pace)
