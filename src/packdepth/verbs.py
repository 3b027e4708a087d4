"""Parts that the verbs of the command line share: examples at the end of their help, and -o for their output."""

from __future__ import annotations

import functools
import inspect
import textwrap
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

from tyro.conf import Positional, arg

from packdepth.errors import InputError

Verb = Callable[..., None]
EXAMPLES = "\nExamples:\n"  # the section of a docstring that holds one command in each line
HELP = frozenset({"-h", "--help"})
PLACE = Positional[Annotated[str, arg(metavar="[OUTPUT]", help="the output, where no -o names it.")]]
OPTION, REQUIRED = (Annotated[Path | None, arg(aliases=["-o"], metavar="PATH")] for _ in range(2))


def examples_of(verb: Verb) -> list[str]:
    r"""Return the commands in the section `Examples:` of a verb's docstring, which is its last one.

    Args:
        verb: the function.

    >>> def show() -> None:
    ...     "Show.\n\nExamples:\n    packdepth show\n"
    >>> examples_of(show)
    ['packdepth show']
    """
    _, _, section = inspect.cleandoc(verb.__doc__ or "").partition(EXAMPLES)
    return [line for line in textwrap.dedent(section).splitlines() if line]


def end_of_help(arguments: Sequence[str], verbs: Mapping[str, Any]) -> str:
    r"""Return the text below the help of a verb, its examples; an empty text where no verb's help is asked for.

    Args:
        arguments: the arguments of the command line.
        verbs: verbs by their name, and groups of them.

    >>> def show() -> None:
    ...     "Show.\n\nExamples:\n    packdepth show\n"
    >>> print(end_of_help(["show", "--help"], {"show": show}))
    <BLANKLINE>
    examples:
      packdepth show
    """
    level: Any = verbs
    for word in arguments:
        if not isinstance(level, Mapping) or word not in level:
            break
        level = level[word]
    if isinstance(level, Mapping) or not HELP & set(arguments):
        return ""
    return "\n".join(["", "examples:", *(f"  {example}" for example in examples_of(level))])


def named_output(verb: Verb) -> Verb:
    """Return a verb whose output is named by -o or --output, or in its place among the positional arguments.

    Args:
        verb: the function, with a positional parameter `output`, which has no default or is the only positional one.

    >>> def write(output: Path, /) -> None:
    ...     print(output)
    >>> named_output(write)("", output=Path("a")), named_output(write)("b", output=None)
    a
    b
    (None, None)
    """
    before = inspect.signature(verb, eval_str=True).parameters
    place = list(before).index("output")
    required = before["output"].default is inspect.Parameter.empty
    parameters = [
        parameter.replace(name="place", annotation=PLACE, default="") if name == "output" else parameter
        for name, parameter in before.items()
    ]
    position = next((i for i, each in enumerate(parameters) if each.kind is each.KEYWORD_ONLY), len(parameters))
    kind = REQUIRED if required else OPTION
    option = inspect.Parameter("output", inspect.Parameter.KEYWORD_ONLY, default=None, annotation=kind)
    signature = inspect.Signature([*parameters[:position], option, *parameters[position:]])

    @functools.wraps(verb)
    def run(*arguments: Any, **options: Any) -> None:
        bound = signature.bind(*arguments, **options)
        bound.apply_defaults()
        given, named = list(bound.args), bound.kwargs
        output: Path | None = named.pop("output")
        if output is not None and given[place]:  # then what stands in the place of the output is the first KEY=VALUE
            if "=" not in given[place] or len(given) == place + 1:
                raise InputError(f"-o {output}: names the output, but so does {given[place]}; leave one of them out")
            given[place + 1] = (given[place], *given[place + 1])
        elif given[place]:
            output = Path(given[place])
        if output is None and required:
            raise InputError("the output is not named; add -o and where to write it")
        given[place : place + 1] = [before["output"].default if output is None else output]
        verb(*given, **named)

    del run.__wrapped__  # it has another signature, and tyro would take that
    run.__signature__ = signature  # type: ignore[attr-defined]
    run.__annotations__ = {name: parameter.annotation for name, parameter in signature.parameters.items()}
    return run
