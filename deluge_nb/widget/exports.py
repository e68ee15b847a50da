"""Write a widget as HTML, text or a picture, in the colours it has on the screen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ..logprobs.table import Logprobs
from ..paths import write_file
from ..render import html
from ..render.colors import Palette, Theme
from ..render.picture import api
from ..render.scale import ColorBy
from ..render.terminal import to_text
from ..response.sample_tree import SampleRow, tree_to_html, tree_to_text


class TextExport:
    """The methods of a widget that write it as HTML and as text, without browser or kernel."""

    def _export(self, form: Literal["html", "text", "svg", "png"], **options: Any) -> Any:
        """Return a static form."""
        raise NotImplementedError

    def to_html(self, *, standalone: bool = False, limit: int | None = None) -> str:
        """Return the widget as HTML that runs no scripts, in its own colours.

        Parameters
        ----------
        standalone
            Return a whole page, to save or send, instead of an element.
        limit
            The number of tokens to show of each response, or of rows of a table; a note counts the rest. None shows
            all.

        Returns
        -------
        str
            HTML that loads nothing.

        Raises
        ------
        SettingError
            When an argument has an invalid value.

        Examples
        --------
        >>> from deluge_nb import LogprobView
        >>> "Paris: 90.5 %" in LogprobView([{"token": "Paris", "logprob": -0.1}]).to_html()
        True
        """
        return self._export("html", standalone=standalone, limit=limit)

    def to_text(self, *, limit: int | None = None) -> str:
        """Return the widget for a terminal, without colours.

        Of a view it is the completion, and a list of its least probable tokens. Of a comparison, text that only one
        response has is in brackets, and a list of the largest differences follows. Of a table, each input has under it
        a line for each variant.

        Parameters
        ----------
        limit
            The number of tokens to show of each response, or of rows of a table; a note counts the rest. None shows
            all.

        Returns
        -------
        str
            Lines of plain text.

        Raises
        ------
        SettingError
            When ``limit`` has an invalid value.

        Examples
        --------
        >>> from deluge_nb import LogprobView
        >>> print(LogprobView([{"token": "Paris", "logprob": -0.1}]).to_text())
        Paris
        <BLANKLINE>
          Paris    90.5 %
        """
        return self._export("text", limit=limit)


class StaticExport(TextExport):
    """The methods of a widget that write it as a picture, too."""

    def to_png(self, *, theme: Theme = "light", width: int = 80, limit: int | None = None, scale: float = 2) -> bytes:
        r"""Return the widget as a PNG, in its own colours: see :func:`deluge_nb.to_png`.

        Parameters
        ----------
        theme
            ``"light"`` or ``"dark"``.
        width
            The width in columns, from 20 to 1000; a wide character takes two. Responses share it.
        limit
            The number of tokens to draw of each response; a note counts the rest. None draws all.
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
        return self._export("png", theme=theme, width=width, limit=limit, scale=scale)

    def to_svg(self, *, theme: Theme = "light", width: int = 80, limit: int | None = None) -> str:
        """Return the widget as an SVG, in its own colours: see :func:`deluge_nb.to_svg`.

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
        return self._export("svg", theme=theme, width=width, limit=limit)

    def save_png(self, path: str | Path, **options: Any) -> None:
        """Write the widget to a PNG file.

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
        write_file(path, self.to_png(**options))

    def save_svg(self, path: str | Path, **options: Any) -> None:
        """Write the widget to an SVG file.

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
        write_file(path, self.to_svg(**options))


@dataclass(frozen=True, slots=True)
class AnswerForms:
    """Static forms of an answer, or of several: their tree, and below it the tokens of the first one, ``caption``."""

    table: Logprobs
    caption: str
    rows: Sequence[SampleRow]
    color_by: ColorBy
    palette: Palette
    title: str
    before: str

    def export(self, form: Literal["html", "text", "svg", "png"], **options: Any) -> Any:
        """Return one of the forms."""
        if form == "text":
            return self.below_tree("text", to_text(self.table, before=self.before, **options))
        write: Any = {"html": html.to_html, "svg": api.to_svg, "png": api.to_png}[form]
        style: Any = {"color_by": self.color_by, "palette": self.palette, "before": self.before}
        if form == "html" and self.rows:
            is_page = options.pop("standalone")
            element = self.below_tree("html", write(self.table, **style, title=self.caption, **options))
            return html.whole_page(element, self.title) if is_page else element
        return write(self.table, **style, title=self.title or None, **options)

    def bundle(self) -> dict[str, str]:
        """Return HTML and text by MIME type, truncated as beside a widget."""
        title = self.caption if self.rows else self.title
        forms = html.static_bundle(self.table, self.color_by, title, self.palette, self.before)
        return {kind: self.below_tree(kind.removeprefix("text/"), text) for kind, text in forms.items()}

    def below_tree(self, form: str, answer: str) -> str:
        """Return a form of the first answer below that of the tree; unchanged if there is one answer."""
        if not self.rows:
            return answer
        if form == "html":
            return tree_to_html(self.rows, title=self.title, palette=self.palette) + answer
        return f"{tree_to_text(self.rows)}\n\n{self.caption}:\n{answer}"
