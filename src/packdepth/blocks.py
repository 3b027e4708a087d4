"""Blocks of a run file: typed, closed, immutable, and found by their `kind`, here or in installed packages.

The block of a component is the class with its options in a run file. It is defined in the file of the loss term, the
network or the source that it describes. There is no central list of blocks. A `Family` finds the class of a `kind` in
three places:

1. packdepth's own: the classes that the modules of a package, such as `packdepth.objectives`, define;
2. classes that were defined in this process: in a notebook, or in a file that `packdepth train --use FILE` imports;
3. entry points of installed packages, which are imported only when a kind is in neither of the other places.
"""

from __future__ import annotations

import difflib
import importlib
import importlib.metadata
import importlib.util
import inspect
import pkgutil
import re
import sys
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar, Generic, TypeVar, get_args

from pydantic import (
    BaseModel,
    ConfigDict,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    PydanticUserError,
    ValidationError,
    ValidationInfo,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import core_schema

from packdepth.errors import InputError, in_one_line

FILE = "the file "  # begins the origin of a block that a script defines
PYTHON_FILE = re.compile(r"\w[\w.-]*\.py")


def nearest(name: str, names: list[str]) -> str:
    """Return advice on a misspelled name, as the end of a sentence: the most similar valid name, or all valid names.

    Args:
        name: the misspelled name.
        names: the valid names.

    >>> nearest("smothness", ["photometric", "smoothness"])
    "did you mean 'smoothness'?"
    """
    close = difflib.get_close_matches(name, names, n=1)
    return f"did you mean '{close[0]}'?" if close else f"valid names are {', '.join(names)}"


class Closed(BaseModel):
    """A part of a run file. An unknown key is an error that names the nearest valid one.

    >>> class Window(Closed):
    ...     width: int = 3
    ...     '''Width of the window, in pixels.'''
    >>> Window(width=5)
    Window(width=5)
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
    renamed: ClassVar[Mapping[str, str]] = {}
    """Keys that were renamed: old name to present name. Run files with the old names remain valid."""

    @model_validator(mode="before")
    @classmethod
    def _known_keys(cls, values: Any) -> Any:
        """Raise ValueError for an unknown key, for a bool in place of a number, and for 0 or 1 in place of a bool."""
        if not isinstance(values, dict):
            return values
        names = list(cls.model_fields)
        values = {cls.renamed.get(key, key): value for key, value in values.items()}
        for key in values:
            if key not in names:
                raise ValueError(f"unknown key '{key}': {nearest(str(key), names)}")
            # Python accepts True as 1 and pydantic accepts 1 as True, but in a run file they mean different things.
            value, kind = values[key], cls.model_fields[key].annotation
            if isinstance(value, bool) and kind in (int, float):
                raise ValueError(f"{key} must be a number (found {value})")
            if type(value) is int and kind is bool:
                raise ValueError(f"{key} must be true or false (found {value})")
        return values


class Block(Closed):
    """A part of a run file with a `kind`, which names what it describes.

    A subclass narrows `kind` to one literal text, or to several: `kind: Literal["my_term"] = "my_term"`.

    >>> from packdepth.optimization.schedules import Cosine
    >>> Cosine.kinds()
    ('cosine',)
    """

    kind: str
    """Name by which a run file asks for this block."""
    class_facts: ClassVar[tuple[str, ...]] = ()
    """Names of class attributes that a subclass may set, such as `needs` of a term. A run file cannot set them."""

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        """Raise TypeError for a subclass whose `kind` is not literal, or with an option named as in `class_facts`."""
        super().__pydantic_init_subclass__(**kwargs)
        if "kind" in cls.__annotations__ and not cls.kinds():
            raise TypeError(f'{cls.__name__}: its kind must be a literal text, such as kind: Literal["mine"] = "mine"')
        for name in cls.class_facts:
            if name in cls.model_fields:
                raise TypeError(
                    f"{cls.__name__}: {name} is a fact about the class and no option of a run file; "
                    f"annotate it as ClassVar, such as {name}: ClassVar = ..."
                )

    @classmethod
    def kinds(cls) -> tuple[str, ...]:
        """Return the kinds of this class; an empty tuple for a base class."""
        return tuple(kind for kind in get_args(cls.model_fields["kind"].annotation) if isinstance(kind, str))


class Unknown(Block):
    """Placeholder for a block whose class is not installed and is needed for training only. It keeps keys and values.

    >>> Unknown(kind="my_term", weight=0.1).model_dump()
    {'kind': 'my_term', 'weight': 0.1}
    """

    model_config = ConfigDict(extra="allow")

    @model_validator(mode="before")
    @classmethod
    def _known_keys(cls, values: Any) -> Any:
        """Return the values unchanged: every key is accepted."""
        return values


AnyBlock = TypeVar("AnyBlock", bound=Block)


@dataclass(frozen=True)
class Family(Generic[AnyBlock]):
    """All blocks that one place of a run file accepts, such as all loss terms.

    Args:
        base: the class that the blocks derive from.
        group: the group of entry points by which installed packages offer their blocks; the name of an entry point is
            the kind.
        packages: the packages whose modules define packdepth's own blocks.

    >>> from packdepth.objectives.term import TERMS
    >>> TERMS.find("smoothness").__name__
    'Smoothness'
    """

    base: type[AnyBlock]  # class that the blocks derive from
    group: str  # group of entry points of installed packages
    packages: tuple[str, ...]  # packages of packdepth's own blocks

    def find(self, kind: str, packages: Mapping[str, str] | None = None) -> type[AnyBlock]:
        """Return the class of a kind.

        Args:
            kind: the kind, as in a run file.
            packages: the packages that a checkpoint was trained with, by kind. If one is missing, the error names it.

        Raises:
            ValueError: if there is none; one sentence that lists the valid kinds.
            InputError: if somebody else's class of this kind cannot be imported or used.
        """
        found = self._defined().get(kind)
        if found is not None:
            self.check_name(found)
        found = found or self.own().get(kind) or self._installed(kind)
        if found is None:
            raise ValueError(self._unknown(kind, packages or {}))
        if inspect.isabstract(found):
            missing = ", ".join(sorted(found.__abstractmethods__))
            raise InputError(f"{found.__name__}, the class of kind '{kind}', does not define {missing}; add it")
        return found

    def own(self) -> Mapping[str, type[AnyBlock]]:
        """Return packdepth's own classes by kind."""
        return _own(self)

    def kinds(self) -> list[str]:
        """Return every kind that `find` knows, packdepth's own first. It does not import installed packages."""
        others = {*self._defined(), *(point.name for point in importlib.metadata.entry_points(group=self.group))}
        return [*sorted(self.own()), *sorted(others - set(self.own()))]

    def check_name(self, block: type[Block]) -> None:
        """Raise InputError if a class of another project has a kind that is one of packdepth's own.

        Args:
            block: the class.
        """
        for kind in block.kinds():
            if self.own().get(kind, block) is not block:
                raise InputError(f"{block.__name__}: its kind '{kind}' is one of packdepth's own; give it another kind")

    def _defined(self) -> dict[str, type[AnyBlock]]:
        """Return the classes that were defined in this process and are not packdepth's own, by kind.

        If several classes have the same kind, the last one of `descendants` counts.
        """
        classes = [block for block in descendants(self.base) if block not in self.own().values()]
        return {kind: block for block in classes for kind in block.kinds()}

    def _installed(self, kind: str) -> type[AnyBlock] | None:
        """Return the class that an installed package offers for a kind; None if no package does."""
        point = entry_point(self.group, kind, "kind")
        if point is None:
            return None
        block = load_entry_point(point)
        if not (isinstance(block, type) and issubclass(block, self.base) and kind in block.kinds()):
            raise InputError(
                f"entry point {kind} = {point.value} of group {self.group}: is no {self.base.__name__} of kind "
                f"'{kind}'; see docs/extending.md"
            )
        return block

    def _unknown(self, kind: str, packages: Mapping[str, str]) -> str:
        """Return the error message for an unknown kind."""
        kinds = self.kinds()
        close = difflib.get_close_matches(kind, kinds, n=1)
        what = f"unknown kind '{kind}'" if kind else "its kind is missing"
        if kind in packages:
            what += f", which comes from {packages[kind]} and is not installed here"
            file = file_of(packages[kind])
            what += f": name it with --use {file}" if file else ": install or import it, or name it with --use"
        elif close:
            what += f" (did you mean '{close[0]}'?)"
        modules = {module.__name__ for module in used().values()}
        for block in descendants(self.base):
            if block.__module__ in modules and not block.kinds() and not inspect.isabstract(block):
                what += f'; the class {block.__name__} has no kind: give it kind: Literal["{kind}"] = "{kind}"'
        others = ", and those of --use and of installed packages" if kind and not close and kind not in packages else ""
        return f"{what}; valid kinds are {', '.join(kinds)}{others}"


@cache
def _own(family: Family[AnyBlock]) -> Mapping[str, type[AnyBlock]]:
    """Return packdepth's own classes of a family, by kind."""
    modules = [module for package in family.packages for module in submodules(package)]
    classes = [value for module in modules for value in vars(module).values() if isinstance(value, type)]
    found = [value for value in classes if issubclass(value, family.base) and value.__module__.startswith("packdepth.")]
    return {kind: block for block in found for kind in block.kinds()}


def submodules(package: str) -> Iterator[Any]:
    """Import and yield the modules of a package, in the order of their names.

    Args:
        package: name of the package.

    >>> [module.__name__ for module in submodules("packdepth.geometry")][:2]
    ['packdepth.geometry.align', 'packdepth.geometry.camera']
    """
    path = importlib.import_module(package).__path__
    for module in sorted(pkgutil.iter_modules(path), key=lambda module: module.name):
        yield importlib.import_module(f"{package}.{module.name}")


def descendants(base: type[AnyBlock]) -> Iterator[type[AnyBlock]]:
    """Yield all classes that derive from a class, directly or not: each class is followed by its own subclasses.

    Args:
        base: the class.

    >>> from packdepth.optimization.blocks import Schedule
    >>> from packdepth.optimization.schedules import Cosine
    >>> Cosine in descendants(Schedule)
    True
    """
    for block in base.__subclasses__():
        yield block
        yield from descendants(block)


def entry_point(group: str, name: str, what: str) -> importlib.metadata.EntryPoint | None:
    """Return the entry point of a name, without importing it; None if no installed package declares it.

    Args:
        group: the group of entry points.
        name: the name of the entry point.
        what: what the name is, such as "kind", for the sentence of an error.

    Raises InputError if several packages declare it.

    >>> entry_point("packdepth.terms", "no such term", "kind") is None
    True
    """
    points = tuple(importlib.metadata.entry_points(group=group, name=name))
    if len(points) > 1:
        owners = " and ".join(_owner(point) for point in points)
        raise InputError(f"{what} '{name}' is offered by the installed packages {owners}; uninstall one of them")
    return points[0] if points else None


def load_entry_point(point: importlib.metadata.EntryPoint) -> Any:
    """Return the object of an entry point.

    Args:
        point: the entry point.

    Raises InputError, which names its package, if the entry point cannot be imported.
    """
    try:
        return point.load()
    except Exception as error:
        raise InputError(
            f"the installed package {_owner(point)}: its {point.name} ({point.value}) cannot be imported "
            f"({_reason(error)}); mend or remove the package"
        ) from error


def _owner(point: importlib.metadata.EntryPoint) -> str:
    """Return the name of the package that declares an entry point."""
    return point.dist.name if point.dist is not None else point.value


def _reason(error: Exception) -> str:
    """Return class and message of an exception as one line; of pydantic's on an attribute without a type, the cause."""
    if isinstance(error, PydanticUserError) and error.code == "model-field-missing-annotation":
        name = re.findall(r"`(\w+)", error.message)[0]
        return (
            f"the attribute {name} of a block has no type; annotate it as an option of a run file, such as "
            f"{name}: float, or as a fact about the class: {name}: ClassVar[tuple[str, ...]]"
        )
    return f"{type(error).__name__}: {' '.join(str(error).split())}".removesuffix(": ")


_used: dict[str, ModuleType] = {}  # modules that `use` has imported, by its argument `name`


def use(name: str) -> None:
    """Import a Python file or an installed module, so that the blocks that it defines are found by their kind.

    Only the command line calls this, with the argument of --use. A run file or a checkpoint cannot name code.

    Args:
        name: the path of a Python file, or the name of an installed module.

    Raises InputError if there is no such file or module, or if it cannot be imported.
    """
    path = Path(name)
    is_file = path.suffix == ".py" or path.exists()
    if is_file and not path.exists():
        raise InputError(f"--use {name}: not found; give the path of a Python file, or an installed module")
    if is_file and not (path.is_file() and path.suffix == ".py"):
        raise InputError(f"--use {name}: is no Python file; give a file whose name ends in .py, or an installed module")
    try:
        _used[name] = _import_file(path) if is_file else importlib.import_module(name)
    except Exception as error:
        beside = path.with_name(f"{path.name}.py")
        is_missing = isinstance(error, ModuleNotFoundError) and error.name in (name, _top(name))
        if is_missing and beside.is_file():
            raise InputError(f"--use {name}: is no installed module; for the file, write --use {beside}") from error
        raise InputError(f"--use {name}: cannot be imported ({_reason(error)}); mend it, or name another") from error


def _import_file(path: Path) -> ModuleType:
    """Import a Python file under a name that no installed module has."""
    name = f"packdepth_use_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def used() -> Mapping[str, ModuleType]:
    """Return the modules that `use` has imported, by its argument `name`."""
    return _used


def package_of(block: type) -> str | None:
    """Return the origin of a class: name and version of its package, or the file that --use has to name.

    Args:
        block: the class.

    Returns:
        The origin in words; None for packdepth's own classes.

    >>> from packdepth.optimization.schedules import Cosine
    >>> package_of(Cosine) is None
    True
    """
    top = _top(block.__module__)
    if top == _top(__name__):
        return None
    package = _installed_package(top)
    if package is not None:
        return package
    file = getattr(sys.modules.get(block.__module__), "__file__", None)
    return f"{FILE}{Path(file).name}" if file else "a notebook or script"


def file_of(origin: str) -> str | None:
    """Return the name of the Python file that an origin of `package_of` names; None if it names something else.

    Args:
        origin: the origin, which a checkpoint may hold.

    >>> file_of("the file my_terms.py")
    'my_terms.py'
    >>> file_of("astronomy 1.2") is None
    True
    """
    name = origin.removeprefix(FILE)
    return name if origin.startswith(FILE) and PYTHON_FILE.fullmatch(name) else None


def _top(module: str) -> str:
    return module.partition(".")[0]


@cache
def _installed_package(top: str) -> str | None:
    """Return name and version of the installed package with a top-level module, None if there is none."""
    points = importlib.metadata.entry_points()
    for group in (group for group in points.groups if group.startswith("packdepth.")):
        for point in points.select(group=group):  # an editable package lists its entry points, but no modules
            if _top(point.module) == top and point.dist is not None:
                return f"{point.dist.name} {point.dist.version}"
    names = importlib.metadata.packages_distributions().get(top)
    return f"{names[0]} {importlib.metadata.version(names[0])}" if names else None


@contextmanager
def blaming(what: str, block: type) -> Iterator[None]:
    """Turn an error in somebody else's code into one sentence that names what failed, its package and the line.

    Errors of packdepth's own classes, and every InputError, are raised unchanged.

    Args:
        what: name of the code in the `with` statement, such as "the term 'glare'"; the sentence begins with it.
        block: the class of that code.

    Raises InputError.
    """
    package = package_of(block)
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        if package is None:
            raise
        frames = [
            (Path(frame.f_code.co_filename).name, line)
            for frame, line in traceback.walk_tb(error.__traceback__)
            if _top(frame.f_globals.get("__name__", "")) == _top(block.__module__)
        ]
        line = f" in line {frames[-1][1]} of {frames[-1][0]}" if frames else ""
        raise InputError(f"{what} (of {package}) fails{line} ({_reason(error)}); mend it") from error


class ByKind:
    """Annotation of a field whose class is found by its `kind`, such as `Annotated[Term, ByKind(TERMS)]`.

    The value of the field is a block of the family, or a mapping with the `kind` and the options of one.

    Args:
        family: the blocks that the field accepts.
        keep_unknown: whether a block of unknown kind in a checkpoint is kept as `Unknown`; if not, it is an error.

    >>> from typing import Annotated
    >>> from packdepth.optimization.blocks import SCHEDULES, Schedule
    >>> class Options(Closed):
    ...     schedule: Annotated[Schedule, ByKind(SCHEDULES)]
    >>> Options(schedule={"kind": "constant"})
    Options(schedule=Constant(kind='constant'))
    """

    def __init__(self, family: Family[Any], keep_unknown: bool = False) -> None:
        self.family, self.keep_unknown = family, keep_unknown

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        """Return the schema by which pydantic validates and writes such a field."""
        return core_schema.with_info_plain_validator_function(
            self._validated,
            serialization=core_schema.plain_serializer_function_ser_schema(
                lambda block, info: block.model_dump(mode=info.mode), info_arg=True
            ),
        )

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Return the JSON schema of such a field, which accepts packdepth's own blocks of the family."""
        return {
            "anyOf": [handler(block.__pydantic_core_schema__) for block in dict.fromkeys(self.family.own().values())]
        }

    def _validated(self, value: Any, info: ValidationInfo) -> Block:
        """Return a value that is a block unchanged, and parse a mapping into a block."""
        context: CheckpointContext = info.context or CheckpointContext()
        if isinstance(value, self.family.base) or (self.keep_unknown and isinstance(value, Unknown)):
            self.family.check_name(type(value))
            return value
        if not isinstance(value, Mapping):
            is_text = value is None or isinstance(value, (str, int, float, list))
            objects = "" if is_text else f", or an object of a class that derives from {self.family.base.__name__}"
            raise ValueError(f"must be a block of keys and values{objects} (found {_described(value)})")
        kind = str(value.get("kind") or "")
        try:
            block: type[Block] = self.family.find(kind, context.packages)
        except ValueError as error:
            if isinstance(error, InputError) or not (self.keep_unknown and context.is_checkpoint and kind):
                raise
            block = Unknown
        try:
            return block.model_validate(dict(value), context=info.context)
        except ValidationError as error:
            raise _InsideError(error) from None


@dataclass(frozen=True)
class CheckpointContext:
    """Options for parsing the run file of a checkpoint.

    Args:
        is_checkpoint: whether the values belong to a checkpoint. Blocks that only training needs may then be unknown.
        packages: the packages that the checkpoint was trained with, by kind.

    >>> CheckpointContext().is_checkpoint
    False
    """

    is_checkpoint: bool = False  # whether the values belong to a checkpoint
    packages: Mapping[str, str] = field(default_factory=dict)  # packages that it was trained with, by kind


class _InsideError(ValueError):
    """A validation error of a `ByKind` field: the place inside the block, and the description."""

    def __init__(self, error: ValidationError) -> None:
        self.where, self.what = _place_and_wording(error)
        super().__init__(f"{self.where}: {self.what}" if self.where else self.what)


Model = TypeVar("Model", bound=BaseModel)


def parse(model: type[Model], values: Any, origin: str, context: CheckpointContext | None = None) -> Model:
    """Return an instance of a model from values.

    Args:
        model: the class.
        values: the values, as YAML or JSON gives them.
        origin: name of the file or object that the values come from; error messages begin with it.
        context: the checkpoint's context; None if the values do not belong to a checkpoint.

    Raises InputError, one sentence that names the place, what was found and what to do.

    >>> from packdepth.optimization.schedules import Cosine
    >>> parse(Cosine, {"warmup": 10}, "run.yaml").warmup
    10
    """
    try:
        return model.model_validate(values, context=context)
    except ValidationError as error:
        where, what = _place_and_wording(error)
    raise InputError(f"{origin}: {in_one_line(f'{where}: {what}' if where else what)}")


def _place_and_wording(error: ValidationError) -> tuple[str, str]:
    """Return the place of the first of pydantic's errors, such as `data.train[0].root`, and its description."""
    first: Any = error.errors()[0]
    where, inside = _location(first["loc"]), first.get("ctx", {}).get("error")
    if isinstance(inside, _InsideError):
        return ".".join(filter(None, (where, inside.where))), inside.what
    return where, _wording(first)


_WORDINGS = {
    "missing": "is missing",
    "model_type": "must be a block of keys and values",
    "model_attributes_type": "must be a block of keys and values",
    "dict_type": "must be a block of keys and values",
    "list_type": "must be a list",
    "tuple_type": "must be a list",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "string_type": "must be text, in quotes",
    "path_type": "must be a path",
}


def _wording(error: Any) -> str:
    """Return the description of one entry of pydantic's list of errors."""
    kind, found, context = error["type"], error["input"], error.get("ctx", {})
    if kind == "missing":
        return _WORDINGS[kind]
    if kind == "value_error":  # raised by one of packdepth's validators, whose message is already good
        return str(context["error"])
    if kind in ("too_short", "too_long"):
        bound = f"at least {context['min_length']}" if kind == "too_short" else f"at most {context['max_length']}"
        return f"must hold {bound} item{'' if bound.endswith(' 1') else 's'}, not {context['actual_length']}"
    text = _WORDINGS.get(kind) or re.sub("^Input should ", "must ", error["msg"])
    if kind in ("list_type", "tuple_type") and isinstance(found, str):
        text += _as_list(found)
    if kind == "literal_error" and f"'{found}'" in context["expected"]:
        text += " in quotes"
    return f"{text} (found {_described(found)})"


def _as_list(text: str) -> str:
    """Return the form of a list for numbers that somebody wrote in another form, as in 32x64; "" for other texts."""
    if size := re.fullmatch(r"\s*(\d+)\s*[xX×*]\s*(\d+)\s*", text):
        return f", height first, such as [{size[1]}, {size[2]}]"
    numbers = re.findall(r"(?<![\w.])-?\d+(?:\.\d+)?", text)
    return f", such as [{', '.join(numbers)}]" if len(numbers) > 1 else ""


def _described(found: Any) -> str:
    """Return a short description of a wrong value."""
    if found is None:
        return "nothing"
    if isinstance(found, (dict, list)):
        return "a list" if isinstance(found, list) else "a block of keys and values"
    if isinstance(found, type):
        return f"the class {found.__name__}; write {found.__name__}(...)"
    if not isinstance(found, (str, int, float, Path)):
        return f"an object of class {type(found).__name__}"
    try:
        return repr(found)
    except ValueError:  # Python writes no number of more than 4300 digits
        return "a number of thousands of digits"


def _location(parts: tuple[int | str, ...]) -> str:
    """Return pydantic's location as text, such as `data.train[0].root`."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in parts).removeprefix(".")
