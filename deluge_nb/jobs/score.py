"""Ask one question about every row of a frame, in parts that survive crashes."""

from __future__ import annotations

import operator
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..answers.classify import Method
from ..answers.inputs import AnswerSet, Template, check_client
from ..answers.results import describe_little_mass
from ..errors import invalid_argument
from ..warning import warn
from .card import Display
from .engines.choice import choose_engine
from .inputs.frames import Frame
from .job import Job
from .run import prepare, run
from .spec import Keep, Precision, make_spec

if TYPE_CHECKING:
    from ..answers.calibrate import Calibration
    from ..client.client import LLMClient
    from .engines.base import Engine
    from .progress import Progress
    from .spec import Spec
    from .storage.folder import JobFolder


def score_frame(
    data: Any,
    template: Template,
    client: LLMClient,
    *,
    labels: AnswerSet | None = None,
    out: str | os.PathLike[str] | None = None,
    keep: Keep = "logprobs",
    part_rows: int = 1000,
    dedup: bool | None = None,
    on: Any = None,
    show_progress: bool = True,
    precision: Precision = "float64",
) -> Job:
    """Ask one question about every row of a frame, and keep the answers in a folder.

    The same call again goes on where an interrupt or a crash ended it, and sends nothing where nothing is missing.

    Parameters
    ----------
    data
        A data frame (pandas, polars, DuckDB, ``datasets``), an Arrow table, or the path of a Parquet file.
    template
        The prompt, with names of columns as placeholders: ``{text}``. A text, a :class:`~deluge_nb.RawPrompt` or a
        :class:`~deluge_nb.Conversation`.
    client
        The client to ask. With labels it asks for alternatives, and what it leaves open is chosen as for
        :func:`deluge_nb.classify`: temperature 0, and a few tokens (``max_new_tokens``).
    labels
        The answers, or a dict from each answer to its spellings: one column ``p_X`` for each answer X. By default, only
        the completions are kept.
    out
        The job's folder; by default one in your cache folder that belongs to this question and these rows.
    keep
        ``"probabilities"``; ``"logprobs"``: the log-probabilities, too; ``"all"``: also the replies as JSON, in
        ``raw_response``.
    part_rows
        Rows of a part. A crash can lose the answers of two parts, which are then asked again. A folder that has been
        begun keeps its own number.
    dedup
        Ask rows with the same prompt once. By default, where the temperature is 0.
    on
        Where to run: None for this process; ``"dask"`` for worker processes on this machine; a client of
        ``dask.distributed``; ``"ray"`` for the Ray that is running, or one on this machine; ``"openai-batch"`` for the
        batch service at the client's address, at half the price and within a day; ``"files"`` to write batch files and
        read their answers; or an engine.
    show_progress
        Show a card in a notebook, a progress bar elsewhere.
    precision
        ``"float32"`` stores log-probabilities in half the space.

    Returns
    -------
    Job
        ``table`` has the columns of the input and then ``completion``, ``label``, ``probability`` (the share of the
        label), ``matched_mass``, ``decided``, ``p_X`` for each label X, ``error``, ``status_code``, and ``logprobs``.

    Raises
    ------
    SettingError
        When an argument has an invalid value, template and columns do not fit together, a column of the input has the
        name of a result, or the folder holds another job.
    LogprobsNotSupportedError
        When labels are given and a model gives no log-probabilities.
    MissingDependencyError
        When pyarrow is not installed.
    KeyboardInterrupt
        If interrupted; the parts that are done are kept.

    Examples
    --------
    >>> import tempfile
    >>> from deluge_nb import LLMClient, score_frame
    >>> client = LLMClient("local", logprobs=True, max_new_tokens=2)
    >>> rows = {"city": ["Paris", "Rome"]}
    >>> job = score_frame(rows, "Where is {city}?", client, out=tempfile.mkdtemp(), show_progress=False)
    >>> len(job.table), job.table.column_names[:2], len(job.logprobs(0))
    (2, ['city', 'completion'], 2)
    """
    check_client(client, "client")
    spec = make_spec(template, client, labels=labels, keep=keep, precision=precision)
    return _start(data, spec, out, part_rows, dedup, on, show_progress)


def classify_frame(
    data: Any,
    labels: AnswerSet,
    client: LLMClient,
    *,
    template: Template,
    method: Method = "first-token",
    calibration: Calibration | None = None,
    out: str | os.PathLike[str] | None = None,
    keep: Keep = "logprobs",
    part_rows: int = 1000,
    dedup: bool | None = None,
    on: Any = None,
    show_progress: bool = True,
    precision: Precision = "float64",
) -> Job:
    """Classify every row of a frame as :func:`deluge_nb.classify` does, and keep the answers in a folder.

    Parameters
    ----------
    data, labels, client
        As for :func:`score_frame`.
    template
        The question, with names of columns as placeholders.
    method, calibration
        As for :func:`deluge_nb.classify`. A calibration is measured once for each part.
    out, keep, part_rows, dedup, on, show_progress, precision
        As for :func:`score_frame`. Of a row that takes several requests, the first response is kept.

    Returns
    -------
    Job
        As from :func:`score_frame`.

    Raises
    ------
    SettingError, LogprobsNotSupportedError, MissingDependencyError, KeyboardInterrupt
        As from :func:`score_frame`.

    Examples
    --------
    >>> import tempfile
    >>> from deluge_nb import LLMClient, RawPrompt, classify_frame
    >>> rows = {"text": ["I loved it.", "A waste of time."]}
    >>> question, out = RawPrompt("Review: {text} Sentiment:"), tempfile.mkdtemp()
    >>> job = classify_frame(
    ...     rows, ["positive", "negative"], LLMClient("local"), template=question, out=out, show_progress=False
    ... )
    >>> job.table["label"].to_pylist()
    ['positive', 'negative']
    """
    check_client(client, "client")
    spec = make_spec(
        template, client, labels=labels, keep=keep, precision=precision, method=method, calibration=calibration
    )
    return _start(data, spec, out, part_rows, dedup, on, show_progress)


def _start(
    data: Any,
    spec: Spec,
    out: str | os.PathLike[str] | None,
    part_rows: int,
    dedup: bool | None,
    on: Any,
    show_progress: bool,
) -> Job:
    if isinstance(part_rows, bool) or not hasattr(part_rows, "__index__") or part_rows < 1:
        raise invalid_argument("part_rows", part_rows, "an integer of at least 1")
    if dedup is not None and not isinstance(dedup, bool):
        raise invalid_argument("dedup", dedup, "True, False or None")
    if out is not None and (not isinstance(out, str | os.PathLike) or not os.fspath(out)):  # "" is the current folder
        raise invalid_argument("out", out, "the path of a folder, or None for one in your cache folder")
    engine = choose_engine(on)
    check = getattr(engine, "check", None)
    if check is not None:
        check(spec)
    # Absolute, so that the job finds its folder from another working directory, too.
    path = None if out is None else Path(out).expanduser().absolute()
    folder = prepare(Frame(data), spec, path, operator.index(part_rows), dedup, warn)
    return Job(folder, spec, engine, _run(folder, spec, engine, show_progress), _retry)


def _run(folder: JobFolder, spec: Spec, engine: Engine, show_progress: bool, *, again: bool = False) -> Progress:
    with Display(spec.names, str(folder.path), show=show_progress) as display:
        progress = run(folder, spec, engine, display.update, warn, again=again)
    if progress.failed and progress.cell is None:  # else the card says so
        transient = f"; job.retry() asks {progress.transient} of them again" if progress.transient else ""
        reason, _ = progress.failures.most_common(1)[0]
        warn(f"{progress.describe_failed()} failed, most often for this reason: {reason}{transient}")
    little = describe_little_mass(progress.little_mass, progress.with_mass, "row")
    if little is not None:
        warn(little)
    return progress


def _retry(folder: JobFolder, spec: Spec, engine: Engine, show_progress: bool) -> Progress:
    return _run(folder, spec, engine, show_progress, again=True)
