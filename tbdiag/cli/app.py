"""The typer application: collects the command modules and turns every error into one line and an exit code."""

from __future__ import annotations

import importlib
import os
import pkgutil
import sys
from collections.abc import Callable
from typing import Annotated, Any

import typer

import tbdiag.cli
from tbdiag.errors import TbdiagError

_NOT_COMMANDS = {"app", "output", "settings"}


def build_app(only: str | None = None) -> typer.Typer:
    """The application with every command module of this package registered (each has ``register(app)``).

    Args:
        only: the command that will be called (``""`` for none): of the others just name and help are kept, because it takes
            typer some milliseconds to understand the parameters of each. None keeps all.
    """
    app = typer.Typer(
        name="tbdiag",
        help="Automatic diagnosis of training runs from TensorBoard logs.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
    )

    @app.callback()
    def _options(
        version: Annotated[bool, typer.Option("--version", help="Show the version and exit.", is_eager=True, callback=_version)] = False,
    ) -> None:
        pass

    for info in sorted(pkgutil.iter_modules(tbdiag.cli.__path__), key=lambda i: i.name):
        if info.name not in _NOT_COMMANDS and not info.name.startswith("_"):
            importlib.import_module(f"tbdiag.cli.{info.name}").register(app)
    for command in app.registered_commands:
        if only is not None and command.callback is not None and command.callback.__name__ != only:
            command.callback = _without_parameters(command.callback)
    return app


def _without_parameters(callback: Callable[..., Any]) -> Callable[[], None]:
    def outline() -> None:
        raise AssertionError("a command that was not asked for is called")

    outline.__name__, outline.__doc__ = callback.__name__, callback.__doc__
    return outline


def run(arguments: list[str] | None = None) -> int:
    """Run the command line and return its exit code; errors are one line on standard error."""
    given = sys.argv[1:] if arguments is None else arguments
    app = build_app(next((argument for argument in given if not argument.startswith("-")), ""))
    try:
        result = app(args=given, standalone_mode=False)
    except TbdiagError as error:
        return _fail(str(error), error.exit_code)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        return _fail("interrupted", 130)
    except Exception as error:
        exit_code = getattr(error, "exit_code", None)
        if isinstance(exit_code, int):
            show = getattr(error, "format_message", None)
            return _fail(show() if show else str(error), exit_code) if exit_code else 0
        if os.environ.get("TBDIAG_DEBUG"):
            raise
        return _fail(f"internal error: {type(error).__name__}: {error} (set TBDIAG_DEBUG=1 for the traceback)", 2)
    return result if isinstance(result, int) else 0


def _fail(message: str, code: int) -> int:
    text = " ".join(message.split())
    if text:
        sys.stderr.write(f"tbdiag: {text}\n")
    return code


def _version(wanted: bool) -> None:
    if wanted:
        from tbdiag import __version__

        sys.stdout.write(f"tbdiag {__version__}\n")
        raise typer.Exit
