"""Draw a view as a picture, SVG or PNG, in the colours it has on the screen."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..logprobs.table import Logprobs
from ..render.arguments import as_file
from ..render.colors import Theme
from ..render.picture import api


class PictureExport:
    """The methods of a view that draw it as a picture, without browser or kernel."""

    def _picture_source(self) -> tuple[Logprobs, dict[str, Any]]:
        """Return the table to draw, and the colours and title of the view."""
        raise NotImplementedError

    def to_png(self, *, theme: Theme = "light", width: int = 80, limit: int | None = None, scale: float = 2) -> bytes:
        r"""Return the view as a PNG, in its own colours: see :func:`deluge_nb.to_png`.

        Parameters
        ----------
        theme
            ``"light"`` or ``"dark"``.
        width
            The width of a line in columns, from 20 to 1000; a wide character takes two.
        limit
            The number of tokens to draw; a note counts the rest. None draws all.
        scale
            Pixels of the PNG for each pixel of the SVG, from 0.5 to 8, rounded to eighths; 2 is sharp on
            high-resolution screens.

        Returns
        -------
        bytes
            The contents of a PNG file.

        Raises
        ------
        SettingError
            When an argument has an invalid value, or the picture would have more than 134 million pixels.

        Examples
        --------
        >>> from deluge_nb import LogprobView
        >>> LogprobView([{"token": "Paris", "logprob": -0.1}]).to_png()[:4]
        b'\x89PNG'
        """
        table, style = self._picture_source()
        return api.to_png(table, theme=theme, width=width, limit=limit, scale=scale, **style)

    def to_svg(self, *, theme: Theme = "light", width: int = 80, limit: int | None = None) -> str:
        """Return the view as an SVG, in its own colours: see :func:`deluge_nb.to_svg`.

        Parameters
        ----------
        theme, width, limit
            As for :meth:`to_png`.

        Returns
        -------
        str
            The text of an SVG file.

        Raises
        ------
        SettingError
            When an argument has an invalid value.

        Examples
        --------
        >>> from deluge_nb import LogprobView
        >>> LogprobView([{"token": "Paris", "logprob": -0.1}]).to_svg()[:4]
        '<svg'
        """
        table, style = self._picture_source()
        return api.to_svg(table, theme=theme, width=width, limit=limit, **style)

    def save_png(self, path: str | Path, **options: Any) -> None:
        """Write the view to a PNG file.

        Parameters
        ----------
        path
            The file to write.
        **options
            As for :meth:`to_png`.

        Raises
        ------
        OSError
            When the file cannot be written.
        SettingError
            When an option has an invalid value.
        """
        as_file(path).write_bytes(self.to_png(**options))

    def save_svg(self, path: str | Path, **options: Any) -> None:
        """Write the view to an SVG file.

        Parameters
        ----------
        path
            The file to write.
        **options
            As for :meth:`to_svg`.

        Raises
        ------
        OSError
            When the file cannot be written.
        SettingError
            When an option has an invalid value.
        """
        as_file(path).write_text(self.to_svg(**options), encoding="utf-8")
