"""Logging of the command line: one line an event, to standard error."""

import logging
import sys

import structlog


def set_up(*, as_json: bool, quiet: bool = False, silent: bool = False) -> None:
    """Configure logging once, before anything runs.

    Args:
        as_json: One JSON object a line, for collectors; else coloured text.
        quiet: Only warnings and worse.
        silent: Only errors: for commands whose own output says what a warning would.
    """
    level = logging.ERROR if silent else logging.WARNING if quiet else logging.INFO
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info if as_json else structlog.dev.set_exc_info,
            structlog.processors.JSONRenderer()
            if as_json
            # Plain: the pretty one prints every local variable, which may hold the loop for a minute.
            else structlog.dev.ConsoleRenderer(
                colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
            ),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    logging.basicConfig(level=max(level, logging.WARNING), stream=sys.stderr)
