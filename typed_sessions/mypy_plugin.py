"""A mypy plugin: literal keys of a session, and the values under them, have the types that its schema declares.

    [mypy]
    plugins = typed_sessions.mypy_plugin

Code that only knows the framework is checked, too, once a setting names the schema of `from quart import session`, and
of `request.session` in Starlette, FastAPI and Litestar:

    [typed_sessions]
    schema = shop.visitors.Visitor
    allowed_keys = csrf_token, identity.id

Where packages of one repository have schemas of their own, `schema` has a line for each, `shop: shop.visitors.Visitor`;
a line without a package is for all others. In pyproject.toml the table is `[tool.typed_sessions]`.

The module is one file and imports nothing of this package: by the file's digest mypy tells that what it found with
another release of the plugin is out of date.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Mapping, Sequence
from configparser import Error as IniError
from configparser import RawConfigParser
from contextlib import contextmanager
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property, lru_cache, partial
from heapq import nlargest
from pathlib import Path
from typing import Final, TypeGuard, cast

from mypy.build import default_data_dir
from mypy.checker import TypeChecker
from mypy.erasetype import remove_instance_last_known_values
from mypy.errorcodes import CALL_ARG, ErrorCode
from mypy.errors import CompileError
from mypy.expandtype import expand_self_type, expand_type_by_instance
from mypy.indirection import TypeIndirectionVisitor
from mypy.maptype import map_instance_to_supertype
from mypy.messages import format_type_distinctly
from mypy.modulefinder import BuildSource, FindModuleCache, compute_search_paths
from mypy.nodes import (
    ARG_OPT,
    ARG_POS,
    ARG_STAR2,
    ArgKind,
    AssignmentStmt,
    Block,
    CallExpr,
    ClassDef,
    ComparisonExpr,
    ConditionalExpr,
    Context,
    Decorator,
    DictExpr,
    Expression,
    ForStmt,
    FuncDef,
    IfStmt,
    Import,
    ImportAll,
    ImportBase,
    ImportFrom,
    IndexExpr,
    ListExpr,
    MatchStmt,
    MypyFile,
    NameExpr,
    OperatorAssignmentStmt,
    OpExpr,
    OverloadedFuncDef,
    RefExpr,
    SetExpr,
    StarExpr,
    Statement,
    StrExpr,
    SymbolNode,
    TryStmt,
    TupleExpr,
    TypeAlias,
    TypeApplication,
    TypeInfo,
    Var,
    WhileStmt,
    WithStmt,
)
from mypy.options import Options
from mypy.plugin import (
    AttributeContext,
    CheckerPluginInterface,
    ClassDefContext,
    FunctionContext,
    MethodContext,
    MethodSigContext,
    Plugin,
    ReportConfigContext,
)
from mypy.plugins.common import add_attribute_to_class
from mypy.server.deps import get_type_triggers
from mypy.server.trigger import make_trigger
from mypy.subtypes import is_subtype
from mypy.typeops import make_simplified_union, try_getting_str_literals
from mypy.types import (
    AnyType,
    CallableType,
    FunctionLike,
    Instance,
    NoneType,
    ProperType,
    TupleType,
    Type,
    TypedDictType,
    TypeOfAny,
    TypeVarType,
    UninhabitedType,
    UnionType,
    get_proper_type,
)
from mypy.typevars import fill_typevars_with_any
from typing_extensions import override

__all__ = ["SESSION_KEY", "SESSION_VALUE", "SessionPlugin", "plugin"]

_PACKAGE: Final = "typed_sessions"
_SESSION: Final = "typed_sessions.core.mixin.Session"
_FRAMEWORKS: Final = frozenset({"fastapi", "flask", "litestar", "quart", "starlette"})
_IN_FRAMEWORKS: Final = tuple(f"{framework}." for framework in sorted(_FRAMEWORKS))
_OURS: Final = _FRAMEWORKS | {_PACKAGE}
"""Packages that cannot import a program's schema."""
_FRAMEWORK_SESSIONS: Final = frozenset(
    {
        "flask.globals.SessionMixinProxy",
        "flask.sessions.SecureCookieSession",
        "flask.sessions.SessionMixin",
        "quart.sessions.SecureCookieSession",
        "quart.sessions.SessionMixin",
        "starlette.middleware.sessions.Session",
        "typed_sessions.frameworks.request_session.RequestSession",
    }
)
_REQUEST_SESSIONS: Final = {
    "litestar.connection.base.ASGIConnection.session": "typed_sessions.frameworks.request_session.RequestSession",
    "starlette.requests.HTTPConnection.session": "starlette.middleware.sessions.Session",
}
"""The attributes of requests that are sessions, each with what the plugin takes it for: to a checker it is any dict."""
_FRAMEWORK_MIXIN: Final = "flask.sessions.SessionMixin"
"""What both frameworks' own `session` is to a type checker."""
_FRAMEWORK_BASE: Final = "typing.MutableMapping"
"""The base of that class."""
_TAKE_SCHEMA: Final = frozenset(
    {
        "typed_sessions.asgi.Sessions",
        "typed_sessions.flask.Sessions",
        "typed_sessions.litestar.Sessions",
        "typed_sessions.frameworks.flask_interface.SecureCookieSessionInterface",
        "typed_sessions.frameworks.interface.SecureCookieSessionInterface",
        "typed_sessions.frameworks.quart_interface.SecureCookieSessionInterface",
        "typed_sessions.quart.Sessions",
        "typed_sessions.core.null_session.NullSession",
        "typed_sessions.core.session.SecureCookieSession",
    }
)
"""The classes whose type argument is that of a schema which they are given."""
_FIELDS_METADATA: Final = ("attrs", "dataclass")
"""Where mypy notes the fields of attrs classes, and of dataclasses and Structs."""
_HINTED: Final = 10
"""How many keys are compared closely with a misspelt one: difflib takes its time, and schemas may be generated."""
_PRIORITY: Final = 10
"""Of an added dependency; the one that mypy's documentation of the hook suggests."""

SESSION_KEY: Final = ErrorCode("session-key", "Check that literal keys of a session are declared", "Sessions")
SESSION_VALUE: Final = ErrorCode("session-value", "Check values against the declared fields of a session", "Sessions")


def plugin(version: str) -> type[Plugin]:  # noqa: ARG001 -- mypy passes its version
    """Return the plugin's class: mypy's entry point."""
    return SessionPlugin


class SessionPlugin(Plugin):
    """Finds the hook for a method of a session; what hooks do is in functions."""

    def __init__(self, options: Options) -> None:
        super().__init__(options)
        self._settings = read_settings(options.config_file)
        self._sessions = {_SESSION, *_FRAMEWORK_SESSIONS} if self._settings.schemas else {_SESSION}
        self._checked_by: CheckerPluginInterface | None = None
        self._keys: dict[Type, Keys] = {}
        self._configured: dict[str, Configured] = {}
        self._signature_hooks = {name: partial(self._adjusted, adjust) for name, adjust in _ADJUSTMENTS.items()}

    @override
    def get_method_signature_hook(self, fullname: str) -> Callable[[MethodSigContext], FunctionLike] | None:
        class_name, _, method = fullname.rpartition(".")
        hook = self._signature_hooks.get(method)  # of all methods in the program: first what takes the least time
        if hook is not None and self._is_session(class_name):
            return hook
        return self._check_method if self._is_in_framework(fullname) else None

    @override
    def get_base_class_hook(self, fullname: str) -> Callable[[ClassDefContext], None] | None:
        return _add_methods if self._settings.schemas and fullname == _FRAMEWORK_BASE else None

    @override
    def get_attribute_hook(self, fullname: str) -> Callable[[AttributeContext], Type] | None:
        if fullname == f"{_FRAMEWORK_MIXIN}.data":
            return self._configured_data
        if fullname in _REQUEST_SESSIONS and self._settings.schemas:
            return partial(self._session_of_request, _REQUEST_SESSIONS[fullname])
        return self._check_attribute if self._is_in_framework(fullname) else None

    @override
    def get_method_hook(self, fullname: str) -> Callable[[MethodContext], Type] | None:
        # A TypeVar has no full name, nor has a union to whose key is assigned: mypy then asks for "get of Mapping".
        if " of " not in fullname:
            return None
        adjust = _ADJUSTMENTS.get(fullname.partition(" ")[0])
        return None if adjust is None else partial(self._result_for_unnamed, adjust)

    @override
    def get_function_hook(self, fullname: str) -> Callable[[FunctionContext], Type] | None:
        # Where the items of that union have different methods, mypy does not even say what they are methods of.
        if fullname.startswith("__setitem__ of "):
            return self._result_for_union
        if fullname in _TAKE_SCHEMA:
            return _check_schema_is_given
        return self._check_function if self._is_in_framework(fullname) else None

    @override
    def get_additional_deps(self, file: MypyFile) -> list[tuple[int, str, int]]:
        """Have the configured schema's module checked before, and changed with, the modules that use a framework."""
        path = self._settings.schema_for(file.fullname)
        if path is None or _is_ours(file) or _framework_import(file) is None:
            return []
        module = module_on_disk(path, file, self.options)
        return [] if module == file.fullname else [(_PRIORITY, module, -1)]

    @override
    def report_config_data(self, ctx: ReportConfigContext) -> object:
        """Have everything checked anew when a setting changes."""
        return {"schema": self._settings.schema, "allowed_keys": sorted(self._settings.allowed_keys)}

    def _is_session(self, class_name: str) -> bool:
        if class_name == _SESSION:
            return True
        if class_name.startswith("builtins."):  # most that have a `get` or an `update` are dicts
            return False
        symbol = self.lookup_fully_qualified(class_name)
        node = None if symbol is None else symbol.node
        return isinstance(node, TypeInfo) and any(base.fullname in self._sessions for base in node.mro)

    def _adjusted(self, adjust: Adjustment, ctx: MethodSigContext) -> CallableType:
        """Return the signature of a method of a session, as its schema has it."""
        keys = self._keys_of(ctx)
        return adjust(ctx, keys) if keys.schemas else ctx.default_signature

    def _keys_of(self, ctx: MethodSigContext) -> Keys:
        """Return the keys of a session, kept for the module at hand. In the daemon classes change: nothing is kept."""
        if self._checked_by is not ctx.api:
            self._checked_by = ctx.api
            self._keys.clear()
        keys = self._keys.get(ctx.type)
        if keys is None:
            keys = Keys(ctx.api, self._schemas(ctx.type, ctx), self._settings.allowed_keys)
            if keys.schemas and not _is_fine_grained(self.options):
                self._keys[ctx.type] = keys
        return keys

    def _result_for_unnamed(self, adjust: Adjustment, ctx: MethodContext) -> Type:
        return self._adjusted(adjust, _as_signature_context(ctx.type, ctx)).ret_type

    def _result_for_union(self, ctx: FunctionContext) -> Type:
        if isinstance(ctx.context, IndexExpr):
            receiver = get_proper_type(ctx.api.get_expression_type(ctx.context.base))
            self._adjusted(_adjust_write, _as_signature_context(receiver, ctx))
        return ctx.default_return_type

    def _schemas(self, receiver: Type, ctx: MethodSigContext) -> list[Schema]:
        """Return the schema of a session; several if it may be one of several; none if its keys are open."""
        receiver = get_proper_type(receiver)
        match receiver:
            case TypeVarType():
                return self._schemas(receiver.upper_bound, ctx)
            case UnionType():
                return [schema for item in receiver.relevant_items() for schema in self._schemas(item, ctx)]
            case Instance():
                for base in receiver.type.mro:
                    if base.fullname == _SESSION:
                        return schemas_of(map_instance_to_supertype(receiver, base).args[0])
                is_framework = self._is_session(receiver.type.fullname)
                return self._find_configured(ctx.api, ctx.context).schemas if is_framework else []
            case _:
                return []

    def _find_configured(self, api: CheckerPluginInterface, use: Context) -> Configured:
        """Return what the settings name for the module at hand; report a name that means nothing.

        That is said where a module imports a framework, and so once for all uses in it.
        """
        path = self._settings.schema_for(api.tree.fullname if isinstance(api, TypeChecker) else "")
        if path is None:
            return _NOTHING_CONFIGURED
        configured = self._configured.get(path) or self._look_up(path)
        _note_modules(api, configured.modules)
        if _is_fine_grained(self.options):
            _note_triggers(api, configured.triggers)
        elif configured.problem is None:
            self._configured[path] = configured
        if configured.problem is not None and isinstance(api, TypeChecker) and not _is_ours(api.tree):
            api.fail(configured.problem, _framework_import(api.tree) or use, code=SESSION_KEY)
        return configured

    def _look_up(self, path: str) -> Configured:
        prefixes = _prefixes(path)
        module = next((prefix for prefix in prefixes[1:] if prefix in (self._modules or {})), None)
        classes = [prefix for prefix in prefixes if module is None or len(prefix) > len(module)]
        symbol = self.lookup_fully_qualified(path)
        declared = None if symbol is None else _declared_type(symbol.node)
        schemas = [] if declared is None else schemas_of(declared)
        problem = "cannot be found" if symbol is None else "is no class that declares the keys of a session"
        message = f'The schema "{path}", which the settings of {_PACKAGE} name, {problem}'
        modules = [] if module is None else [module]
        triggers = [make_trigger(name) for name in classes]
        declared = declared or AnyType(TypeOfAny.from_error)
        return Configured(declared, schemas, modules, triggers, None if schemas else message)

    def _is_in_framework(self, fullname: str) -> bool:
        """Return True for what shows that the configured schema matters: anything of a framework."""
        return bool(self._settings.schemas) and fullname.startswith(_IN_FRAMEWORKS)

    def _check_attribute(self, ctx: AttributeContext) -> Type:
        self._find_configured(ctx.api, ctx.context)
        return ctx.default_attr_type

    def _configured_data(self, ctx: AttributeContext) -> Type:
        """Return the type of the data of a framework's session: object for a module that no schema is named for."""
        return self._find_configured(ctx.api, ctx.context).declared or ctx.default_attr_type

    def _session_of_request(self, class_name: str, ctx: AttributeContext) -> Type:
        """Return a class with the keys of the configured schema as the type of `request.session`."""
        symbol = self.lookup_fully_qualified(class_name)
        node = None if symbol is None else symbol.node
        if isinstance(node, TypeInfo) and self._find_configured(ctx.api, ctx.context).schemas:
            return Instance(node, [])
        return ctx.default_attr_type

    def _check_function(self, ctx: FunctionContext) -> Type:
        self._find_configured(ctx.api, ctx.context)
        return ctx.default_return_type

    def _check_method(self, ctx: MethodSigContext) -> CallableType:
        self._find_configured(ctx.api, ctx.context)
        return ctx.default_signature


def _add_methods(ctx: ClassDefContext) -> None:
    """Give the frameworks' session what one of this library has beside a mapping."""
    info = ctx.cls.info
    if info.fullname != _FRAMEWORK_MIXIN or "promote" in info.names:
        return

    def typed(name: str, *arguments: Type) -> Instance:
        return ctx.api.named_type(name, list(arguments))

    def method(returns: Type, **taken: ArgKind) -> CallableType:
        names = [None if kind is ARG_STAR2 else name for name, kind in taken.items()]
        types: list[Type] = [text if name == "key" else typed("builtins.object") for name in taken]
        return CallableType(types, list(taken.values()), names, returns, typed("builtins.function"))

    text, value = typed("builtins.str"), typed("builtins.object")
    for name, typ in {
        "copy": method(typed("builtins.dict", text, value)),
        "data": value,
        "extras": typed("typing.MutableMapping", text, value),
        "get": method(value, key=ARG_POS, default=ARG_OPT),
        "invalidate": method(NoneType()),
        "pop": method(value, key=ARG_POS, default=ARG_OPT),
        "promote": method(NoneType(), values=ARG_STAR2),
        "regenerate": method(NoneType()),
        "setdefault": method(value, key=ARG_POS, default=ARG_OPT),
    }.items():
        # A class that is based on it and on `dict` may have the other's attributes under these names.
        attribute = add_attribute_to_class(ctx.api, ctx.cls, name, typ, override_allow_incompatible=True)
        attribute.is_property = True  # it cannot be set


def _check_schema_is_given(ctx: FunctionContext) -> Type:
    """Report `Sessions[Visitor]()`: mypy takes it for a `Sessions[dict[str, object]]`, and finds nothing wrong."""
    made = get_proper_type(ctx.default_return_type)
    if isinstance(ctx.context, CallExpr) and isinstance(made, Instance) and not _is_given_schema(ctx):
        asked = [get_proper_type(argument) for argument in _type_arguments(ctx.context.callee)]
        if any(not isinstance(argument, AnyType) and not _is_dict(argument) for argument in asked):
            ctx.api.fail(f'Missing argument "schema" in call to "{made.type.name}"', ctx.context, code=CALL_ARG)
    return ctx.default_return_type


def _type_arguments(callee: Expression) -> Sequence[Type]:
    """Return those that are written where a class is called, or in its alias."""
    match callee:
        case IndexExpr(analyzed=TypeApplication(types=types)):
            return types
        case RefExpr(node=TypeAlias(target=target)):
            named = get_proper_type(target)
            return named.args if isinstance(named, Instance) else []
        case _:
            return []


def _is_dict(typ: ProperType) -> bool:
    return isinstance(typ, Instance) and typ.type.fullname == "builtins.dict"


def _is_given_schema(ctx: FunctionContext) -> bool:
    for name, given in zip(ctx.callee_arg_names, ctx.arg_types, strict=False):
        if name == "schema":
            return any(not isinstance(get_proper_type(typ), NoneType) for typ in given)
    return False


def _as_signature_context(receiver: ProperType, ctx: MethodContext | FunctionContext) -> MethodSigContext:
    """Return what a hook for signatures would have got of a call that mypy shows only to a hook for results."""
    signature = CallableType(
        [AnyType(TypeOfAny.special_form)] * len(ctx.args),
        [ARG_POS] * len(ctx.args),
        [None] * len(ctx.args),
        ctx.default_return_type,
        ctx.api.named_generic_type("builtins.function", []),
    )
    return MethodSigContext(receiver, ctx.args, signature, ctx.context, ctx.api)


@dataclass(frozen=True)
class Settings:
    """What the configuration file says to this plugin."""

    schema: str | None = None
    """The full name of the class that types the frameworks' own session, or a line for each package."""
    allowed_keys: frozenset[str] = frozenset()
    """Undeclared keys that may be used, beside those that begin with `_`."""

    @cached_property
    def schemas(self) -> Mapping[str, str]:
        """The full names of those classes by their packages; that under an empty name is for all others.

        Raises:
            ValueError: the setting is wrong; the message says how.
        """
        schemas: dict[str, str] = {}
        for entry in [] if self.schema is None else _entries(self.schema) or [""]:
            package, colon, path = (part.strip() for part in entry.rpartition(":"))
            if not ("." in path and _is_dotted(path)) or (colon and not _is_dotted(package)):
                raise ValueError(
                    'must be the full name of a class, "module.Class", or a line "package: module.Class" for each '
                    f"package, not {entry!r}"
                )
            if package in schemas:
                raise ValueError(
                    f"names two classes for {f'the package {package}' if package else 'all other packages'}"
                )
            schemas[package] = path
        return schemas

    def schema_for(self, module: str) -> str | None:
        """Return the full name of a module's schema: that of the innermost package that is named."""
        packages = (*_prefixes(module), "")
        return next((self.schemas[package] for package in packages if package in self.schemas), None)


def read_settings(config_file: str | None) -> Settings:
    """Return the settings from mypy's own configuration file.

    Raises:
        CompileError: a setting is unknown or wrong; mypy prints the message, and checks nothing.
    """
    if config_file is None:
        return Settings()
    table = _settings_table(Path(config_file))
    unknown = sorted(set(table) - {"schema", "allowed_keys"})
    if unknown:
        raise _refused(config_file, f'unknown setting "{unknown[0]}"; the settings are schema and allowed_keys')
    schema, allowed = table.get("schema"), table.get("allowed_keys", "")
    schema = "\n".join(schema) if _is_list_of_texts(schema) else schema
    if schema is not None and not isinstance(schema, str):
        raise _refused(config_file, f'schema must be the full name of a class, "module.Class", not {schema!r}')
    names = _entries(allowed) if isinstance(allowed, str) else allowed
    if not _is_list_of_texts(names):
        raise _refused(config_file, f"allowed_keys must be a list of keys, not {allowed!r}")
    settings = Settings(schema, frozenset(name.strip() for name in names) - {""})
    try:
        settings.schemas  # noqa: B018 -- it is read here, and checked
    except ValueError as error:
        raise _refused(config_file, f"schema {error}") from error
    return settings


def _entries(setting: str) -> list[str]:
    """Return what a text of settings names, between commas and in lines."""
    return [entry.strip() for entry in setting.replace("\n", ",").split(",") if entry.strip()]


def _is_list_of_texts(setting: object) -> TypeGuard[list[str]]:
    return isinstance(setting, list) and all(isinstance(entry, str) for entry in cast("list[object]", setting))


def _settings_table(path: Path) -> Mapping[str, object]:
    """Return this plugin's table of a configuration file. mypy itself has read the file without complaint."""
    try:
        if path.suffix == ".toml":
            document: dict[str, dict[str, object]] = tomllib.loads(path.read_text(encoding="utf-8"))
            table = document.get("tool", {}).get(_PACKAGE, {})
            if not isinstance(table, dict):
                raise _refused(str(path), f"must be a table, not {table!r}")
            return cast("dict[str, object]", table)
        parser = RawConfigParser()
        parser.read(path, encoding="utf-8")
    except (IniError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise _refused(str(path), str(error)) from error
    return dict(parser.items(_PACKAGE)) if parser.has_section(_PACKAGE) else {}


def _is_dotted(name: str) -> bool:
    return all(part.isidentifier() for part in name.split("."))


def _refused(config_file: str, problem: str) -> CompileError:
    return CompileError([f"{config_file}: error: [{_PACKAGE}]: {problem}"], use_stdout=True)


@dataclass(frozen=True)
class Schema:
    """What a declared class says about the keys of a session."""

    name: str
    info: TypeInfo
    keys: Collection[str]
    type_of: Callable[[str], Type]
    """Returns the type of a key: most uses of a session name one of many."""
    readonly: frozenset[str] = frozenset()
    is_open: bool = False
    """True if there may be more keys than these: a base of the class is of type Any."""


def schemas_of(declared: Type) -> list[Schema]:
    """Return what `S` in `Session[S]` declares; nothing if it leaves the keys open, as `dict[str, object]` does."""
    declared = get_proper_type(declared)
    match declared:
        case TypeVarType():
            return schemas_of(declared.upper_bound)
        case UnionType():
            items = [schemas_of(item) for item in declared.relevant_items()]
            return [schema for schemas in items for schema in schemas] if all(items) else []
        case TypedDictType():
            info = declared.fallback.type
            types = declared.items
            return [Schema(info.name, info, types, types.__getitem__, frozenset(declared.readonly_keys))]
        case Instance():
            info, names = declared.type, _field_names(declared.type)
            is_open = any(base.fallback_to_any for base in info.mro)
            if names is None and not is_open:
                return []
            return [Schema(info.name, info, names or (), partial(_field_type, declared), is_open=is_open)]
        case _:
            return []


@dataclass(frozen=True)
class Configured:
    """What the settings' name of a schema means."""

    declared: Type | None
    """The type of the data; None where nothing is named."""
    schemas: list[Schema]
    modules: list[str]
    triggers: list[str]
    problem: str | None
    """Why it means nothing."""


_NOTHING_CONFIGURED: Final = Configured(None, [], [], [], None)
"""For a module that no schema is named for."""


def _is_ours(file: MypyFile) -> bool:
    return file.fullname.partition(".")[0] in _OURS


def _framework_import(file: MypyFile) -> ImportBase | None:
    """Return the statement by which a module imports a framework first."""
    return next((statement for statement in file.imports if not _FRAMEWORKS.isdisjoint(_packages(statement))), None)


def _packages(statement: ImportBase) -> Iterator[str]:
    """Yield the packages at the top of what a statement imports from."""
    match statement:
        case Import():
            yield from (name.partition(".")[0] for name, _ in statement.ids)
        case ImportFrom() | ImportAll():
            yield statement.id.partition(".")[0]
        case _:
            pass


def module_on_disk(path: str, file: MypyFile, options: Options) -> str:
    """Return the module in the full name of a class, as a file can import it. The class may be within others.

    Nothing is loaded yet when this is asked for, so files are looked for, as mypy itself does.
    """
    prefixes = _prefixes(path)[1:]
    if len(prefixes) == 1:
        return prefixes[0]
    depth = file.fullname.count(".") + file.is_package_init_file()
    base = Path(file.path).absolute().parents[depth]
    source = BuildSource(file.path, file.fullname, base_dir=str(base))
    finder = FindModuleCache(compute_search_paths([source], options, default_data_dir()), None, options)
    return next((prefix for prefix in prefixes if isinstance(finder.find_module(prefix), str)), prefixes[0])


def _prefixes(path: str) -> list[str]:
    """Return a dotted name and what it begins with, the longest first: `a.b.C`, `a.b`, `a`."""
    parts = path.split(".")
    return [".".join(parts[:length]) for length in range(len(parts), 0, -1)]


def _declared_type(node: SymbolNode | None) -> Type | None:
    """Return the type that a configured name stands for: a class, an alias, or what a function makes."""
    match node:
        case TypeInfo():
            instance = fill_typevars_with_any(node)
            if node.typeddict_type is None or not isinstance(instance, Instance):
                return instance
            # As in an annotation: its own fallback is what all TypedDicts have in common.
            return _with_fallback(expand_type_by_instance(node.typeddict_type, instance), instance)
        case TypeAlias():
            return node.target
        case FuncDef(type=CallableType() as signature) | Decorator(func=FuncDef(type=CallableType() as signature)):
            return signature.ret_type
        case _:
            return None


def _with_fallback(declared: Type, fallback: Instance) -> Type:
    declared = get_proper_type(declared)
    return declared.copy_modified(fallback=fallback) if isinstance(declared, TypedDictType) else declared


def _field_names(info: TypeInfo) -> list[str] | None:
    """Return the names of a class's fields in the order of their declaration; None if it declares none."""
    for base in info.mro:
        for kind in _FIELDS_METADATA:
            if kind in base.metadata:
                fields = cast("list[dict[str, object]]", base.metadata[kind]["attributes"])
                return [str(field["name"]) for field in fields if not field.get("is_init_var")]
    names = dict.fromkeys(
        name
        for base in reversed(info.mro)
        for name, symbol in base.names.items()
        if not name.startswith("__") and _is_attribute(symbol.node, protocol=info.is_protocol)
    )
    return list(names) or None


def _is_attribute(node: SymbolNode | None, *, protocol: bool) -> bool:
    """Return True for what a plain class declares for its instances; a property of a Protocol stands for a field."""
    match node:
        case Var():
            return not (node.is_classvar or node.is_inferred)
        case Decorator():
            return protocol and node.func.is_property
        case OverloadedFuncDef():
            return protocol and node.is_property
        case _:
            return False


def _field_type(instance: Instance, name: str) -> Type:
    """Return the type of a field, with the class's type arguments in their places."""
    symbol = instance.type.get(name)
    node = None if symbol is None else symbol.node
    if isinstance(node, OverloadedFuncDef):
        node = node.items[0]
    match node:
        case Var(type=declared) if declared is not None:
            declared = expand_self_type(node, declared, instance)
        case Decorator(func=FuncDef(type=CallableType(ret_type=declared))):
            pass
        case _:  # not annotated
            return AnyType(TypeOfAny.unannotated)
    return expand_type_by_instance(declared, map_instance_to_supertype(instance, node.info))


@dataclass(frozen=True)
class Declared:
    """What a schema says about one key."""

    key: str
    type: Type
    schema: Schema | None
    """None for a key that is not the schema's business: another's, a wrong one, or one that only run time knows."""

    @property
    def readonly(self) -> bool:
        """True if the key is ReadOnly in a TypedDict. Writing a key of a frozen class replaces the data."""
        return self.schema is not None and self.key in self.schema.readonly


@dataclass(frozen=True)
class Value:
    """A value to be stored: that of an expression, or of a type if the expression only holds it."""

    where: Expression
    type: Type | None = None

    def type_as(self, api: CheckerPluginInterface, expected: Type) -> Type:
        """Return the type that the value has where a type is expected."""
        return _type_in_context(api, self.where, expected) if self.type is None else self.type


class Keys:
    """The keys of one session: looks them up, and reports what is wrong with them."""

    def __init__(self, api: CheckerPluginInterface, schemas: list[Schema], allowed: frozenset[str]) -> None:
        self.api = api
        self.schemas = schemas
        self.allowed = allowed
        self._found: dict[str, list[Declared]] = {}

    def find(self, key: Expression) -> list[Declared]:
        """Return what the schemas declare for each of the keys that an expression may be. It is never empty."""
        names = _literals(self.api, key)
        if names is None and isinstance(key, NameExpr):
            names = _looped_literals(self.api, key)
        if names is None:
            return [Declared("", self._object(), None)]
        return [declared for name in names for declared in self.find_name(name, key)]

    def find_name(self, key: str, where: Expression) -> list[Declared]:
        """Return what the schemas declare for a key. One that may not be used is reported, and is of type Any."""
        known = self._found.get(key)
        if known is not None:
            return known
        found = [self._declared(schema, key, where) for schema in self.schemas]
        if all(declared.schema is not None for declared in found):  # what was reported is to be so again
            self._found[key] = found
        return found

    def check_write(self, declared: Declared, value: Value) -> bool:
        """Return True if a value may be stored under a key; report it if not."""
        if declared.schema is None:
            return True
        if declared.readonly:
            self.check_removal(declared, value.where)
            return False
        given = value.type_as(self.api, declared.type)
        if is_subtype(given, declared.type, options=self.api.options):
            return True
        given_text, expected_text = format_type_distinctly(given, declared.type, options=self.api.options)
        self.api.fail(
            f'Value of key "{declared.key}" of "{declared.schema.name}" has incompatible type {given_text}; '
            f"expected {expected_text}",
            value.where,
            code=SESSION_VALUE,
        )
        return False

    def check_removal(self, declared: Declared, where: Expression) -> None:
        """Report a key that may not be written."""
        if declared.schema is not None and declared.readonly:
            self.api.fail(f'Key "{declared.key}" of "{declared.schema.name}" is read-only', where, code=SESSION_VALUE)

    def _declared(self, schema: Schema, key: str, where: Expression) -> Declared:
        declared = schema.type_of(key) if key in schema.keys else None
        _note_key(self.api, schema, key, declared)
        if declared is not None:
            return Declared(key, declared, schema)
        if key.startswith("_") or key in self.allowed:
            return Declared(key, self._object(), None)
        if schema.is_open:
            return Declared(key, AnyType(TypeOfAny.special_form), None)
        self.api.fail(f'"{schema.name}" has no key "{key}"{_hint(key, schema.keys)}', where, code=SESSION_KEY)
        return Declared(key, AnyType(TypeOfAny.from_error), None)

    def _object(self) -> Type:
        return self.api.named_generic_type("builtins.object", [])


def _hint(key: str, declared: Collection[str]) -> str:
    """Return what was probably meant by a misspelt key. Only those with most of its letters are looked at closely."""
    letters = _letters(key)
    likely = nlargest(_HINTED, declared, lambda each: len(letters & _letters(each)) - abs(len(key) - len(each)))
    close = get_close_matches(key, likely, n=1)
    return f'; did you mean "{close[0]}"?' if close else ""


@lru_cache(maxsize=4096)
def _letters(key: str) -> frozenset[str]:
    """Return the pairs of letters in a key, that at its ends with a space."""
    padded = f" {key} "
    return frozenset(padded[place : place + 2] for place in range(len(key) + 1))


def _literals(api: CheckerPluginInterface, key: Expression) -> list[str] | None:
    """Return the texts that an expression may be; None if it may be any."""
    return _written_literals(key) or _known_literals(key, api.get_expression_type(key))


def _known_literals(key: Expression, typ: Type) -> list[str] | None:
    """Return the texts that an expression may be. mypy looks into a union of Literals, but not into one of a loop's."""
    proper = get_proper_type(typ)
    if not isinstance(proper, UnionType):
        return try_getting_str_literals(key, typ)
    return _all_of(_known_literals(key, item) for item in proper.relevant_items())


def _all_of(found: Iterable[list[str] | None]) -> list[str] | None:
    """Return all the texts; None if one may be any."""
    all_found = list(found)
    return None if None in all_found else list(dict.fromkeys(name for names in all_found for name in names or ()))


def _written_literals(key: Expression) -> list[str]:
    """Return the literals that an expression chooses one of; nothing if not all are. mypy makes a `str` of two."""
    match key:
        case StrExpr():
            return [key.value]
        case ConditionalExpr():
            one, other = _written_literals(key.if_expr), _written_literals(key.else_expr)
            return list(dict.fromkeys(one + other)) if one and other else []
        case _:
            return []


def _looped_literals(api: CheckerPluginInterface, key: NameExpr) -> list[str] | None:
    """Return the texts that the loop around a variable gives it; None if that, or something in the loop, gives others.

    mypy takes the items of a list for any texts, and those of a second loop with the same variable.
    """
    if not (isinstance(api, TypeChecker) and isinstance(key.node, Var) and key.node.is_inferred):
        return None
    for loop in reversed(list(_statements(api.tree.defs))):  # the innermost first
        if isinstance(loop, ForStmt) and _is_variable(loop.index, key.node) and _spans(loop.body, key):
            others = [target for inner in _statements(loop.body.body) for target in _targets(inner)]
            is_plain = isinstance(loop.index, NameExpr) and not any(_is_variable(each, key.node) for each in others)
            return _items_of_loop(api, loop.expr) if is_plain else None
    return None


def _spans(block: Block, node: Context) -> bool:
    return block.line <= node.line <= (block.end_line or block.line)


def _is_variable(expression: Expression | None, node: SymbolNode | None) -> bool:
    match expression:
        case NameExpr():
            return expression.node is node
        case TupleExpr(items=items) | ListExpr(items=items):
            return any(_is_variable(item, node) for item in items)
        case StarExpr(expr=starred):
            return _is_variable(starred, node)
        case _:
            return False


def _items_of_loop(api: CheckerPluginInterface, looped: Expression) -> list[str] | None:
    match looped:
        case TupleExpr(items=items) | ListExpr(items=items) | SetExpr(items=items):
            return _all_of(_literals(api, item) for item in items)
        case _:
            typ = get_proper_type(api.get_expression_type(looped))
            return _all_of(_known_literals(looped, item) for item in typ.items) if isinstance(typ, TupleType) else None


def _targets(statement: Statement) -> Sequence[Expression | None]:
    """Return what a statement gives values to."""
    match statement:
        case AssignmentStmt():
            return statement.lvalues
        case OperatorAssignmentStmt():
            return [statement.lvalue]
        case ForStmt():
            return [statement.index]
        case WithStmt():
            return statement.target
        case _:
            return []


def _note_key(api: CheckerPluginInterface, schema: Schema, key: str, declared: Type | None) -> None:
    """Have the code at hand checked again when the class changes, the key in it, or what the key's type refers to."""
    modules = {schema.info.module_name}
    if declared is not None:
        modules |= TypeIndirectionVisitor().find_modules([declared])
    _note_modules(api, modules)
    if _is_fine_grained(api.options):
        triggers = [make_trigger(schema.info.fullname), make_trigger(f"{schema.info.fullname}.{key}")]
        if declared is not None:
            triggers += get_type_triggers(declared, use_logical_deps=False)
        _note_triggers(api, triggers)


def _note_modules(api: CheckerPluginInterface, modules: Iterable[str]) -> None:
    """Tell mypy of modules that it cannot see in the syntax, for cached runs."""
    if isinstance(api, TypeChecker):  # it always is: the interface of plugins only offers less
        api.module_refs.update(modules)


def _note_triggers(api: CheckerPluginInterface, triggers: Iterable[str]) -> None:
    """Tell mypy what has the function at hand checked again, for the daemon."""
    if not isinstance(api, TypeChecker):
        return
    target = api.msg.errors.current_target()
    if target is not None:
        for trigger in triggers:
            api.tree.plugin_deps.setdefault(trigger, set()).add(target)


def _is_fine_grained(options: Options) -> bool:
    """Return True if mypy keeps triggers: the daemon does, and a run that writes its cache for one."""
    return options.fine_grained_incremental or options.cache_fine_grained


def _type_in_context(api: CheckerPluginInterface, expression: Expression, expected: Type) -> Type:
    """Return the type of an expression where a type is expected, or its own if it does not fit there.

    `[]` is a `list[str]` where that is expected. Nothing is reported: mypy comes to the expression again.
    """
    with api.msg.filter_errors() as errors:
        typ = api.get_expression_type(expression, expected)
    if errors.has_new_errors():
        with api.msg.filter_errors():
            typ = api.get_expression_type(expression)
    return remove_instance_last_known_values(typ)


def _written(ctx: MethodSigContext) -> Iterator[tuple[Expression | str, Value]]:
    """Yield the keys and values that a call of `update` or `promote`, or `|=`, stores, as far as they can be told."""
    if isinstance(ctx.context, CallExpr):
        yield from _arguments(ctx.api, ctx.context)
    else:
        for argument in ctx.args[0]:
            yield from _items(ctx.api, argument)


def _arguments(api: CheckerPluginInterface, call: CallExpr) -> Iterator[tuple[Expression | str, Value]]:
    """Yield what is in the arguments of a call of `update`, `promote` or `dict`."""
    for argument, kind, name in zip(call.args, call.arg_kinds, call.arg_names, strict=True):
        if name is not None:
            yield name, Value(argument)
        elif kind in {ARG_POS, ARG_STAR2}:
            yield from _items(api, argument)


def _items(api: CheckerPluginInterface, mapping: Expression) -> Iterator[tuple[Expression | str, Value]]:
    """Yield the items of a dict, or of pairs, as far as they are written down where they are stored."""
    match mapping:
        case DictExpr():
            for key, value in mapping.items:
                yield from _items(api, value) if key is None else iter([(key, Value(value))])
        case ConditionalExpr():
            yield from _keys_of_branch(api, mapping.if_expr)
            yield from _keys_of_branch(api, mapping.else_expr)
        case OpExpr(op="|"):
            yield from _items(api, mapping.left)
            yield from _items(api, mapping.right)
        case CallExpr(callee=RefExpr(fullname="builtins.dict")):
            yield from _arguments(api, mapping)
        case ListExpr(items=pairs) | TupleExpr(items=pairs):
            yield from _pairs(pairs)
        case _:
            yield from _items_by_type(api, mapping)


def _pairs(expressions: list[Expression]) -> Iterator[tuple[Expression | str, Value]]:
    for pair in expressions:
        match pair:
            case TupleExpr(items=[key, value]):
                yield key, Value(value)
            case _:
                pass


def _keys_of_branch(api: CheckerPluginInterface, mapping: Expression) -> Iterator[tuple[Expression | str, Value]]:
    """Yield literal keys, with values of type Any: a condition narrows them, and how cannot be asked for from here."""
    for key, value in _items(api, mapping):
        if isinstance(key, (str, StrExpr)):
            yield key, Value(value.where, AnyType(TypeOfAny.special_form))


def _items_by_type(api: CheckerPluginInterface, mapping: Expression) -> Iterator[tuple[Expression | str, Value]]:
    """Yield the items of a TypedDict."""
    with api.msg.filter_errors():
        typ = get_proper_type(api.get_expression_type(mapping))
    for item in typ.relevant_items() if isinstance(typ, UnionType) else [typ]:
        keyed = get_proper_type(item)
        if isinstance(keyed, TypedDictType):
            for name, value_type in keyed.items.items():
                yield name, Value(mapping, value_type)


def _is_updating(context: Context, api: CheckerPluginInterface) -> bool:
    """Return True for the `a | b` that mypy makes of `a |= b`. Where `b` stands is all that tells it from another."""
    if not (isinstance(context, OpExpr) and isinstance(api, TypeChecker)):
        return False
    return any(
        isinstance(statement, OperatorAssignmentStmt) and _position(statement.rvalue) == _position(context.right)
        for statement in _statements(api.tree.defs)
    )


def _position(node: Context) -> tuple[int, int]:
    # Not the node itself: mypy checks a copy of a function for each type of a constrained TypeVar.
    return node.line, node.column


def _statements(body: Iterable[Statement]) -> Iterator[Statement]:
    """Yield statements and those within them."""
    for statement in body:
        yield statement
        for block in _blocks(statement):
            yield from _statements(block.body)


def _blocks(statement: Statement) -> Iterable[Block]:
    match statement:
        case FuncDef() | WithStmt():
            return [statement.body]
        case Decorator():
            return [statement.func.body]
        case OverloadedFuncDef():
            return [block for item in statement.items for block in _blocks(item)]
        case ClassDef():
            return [statement.defs]
        case ForStmt() | WhileStmt():
            return filter(None, [statement.body, statement.else_body])
        case IfStmt():
            return filter(None, [*statement.body, statement.else_body])
        case TryStmt():
            return filter(None, [statement.body, *statement.handlers, statement.else_body, statement.finally_body])
        case MatchStmt():
            return statement.bodies
        case _:
            return []


Adjustment = Callable[[MethodSigContext, Keys], CallableType]


def _adjust_read(ctx: MethodSigContext, keys: Keys) -> CallableType:
    return _returning(ctx.default_signature, [declared.type for declared in _find(ctx, keys)])


def _adjust_get(ctx: MethodSigContext, keys: Keys) -> CallableType:
    return _with_default(ctx, _find(ctx, keys), absent=[NoneType()])


def _adjust_pop(ctx: MethodSigContext, keys: Keys) -> CallableType:
    return _with_default(ctx, _find_removed(ctx, keys), absent=[])


def _adjust_delete(ctx: MethodSigContext, keys: Keys) -> CallableType:
    _find_removed(ctx, keys)
    return ctx.default_signature


def _adjust_contains(ctx: MethodSigContext, keys: Keys) -> CallableType:
    with _reporting(ctx):
        _find(ctx, keys)
    return ctx.default_signature


@contextmanager
def _reporting(ctx: MethodSigContext) -> Generator[None]:
    """Have what is reported of an `in` shown: mypy withholds it, because some containers can only be iterated.

    The list of what withholds errors is private to mypy. Where it is not what it was, nothing is shown.
    """
    errors: object = ctx.api.msg.errors if isinstance(ctx.context, ComparisonExpr) else None
    watchers: object = getattr(errors, "_watchers", None)
    if not (isinstance(watchers, list) and watchers):
        yield
        return
    innermost = cast("list[object]", watchers).pop()
    try:
        yield
    finally:
        cast("list[object]", watchers).append(innermost)


def _adjust_write(ctx: MethodSigContext, keys: Keys) -> CallableType:
    found, value = _find(ctx, keys), _argument(ctx, 1)
    if value is None or not _all_fit(keys, found, Value(value)):
        return ctx.default_signature
    return _taking(ctx.default_signature, found[0].type)


def _adjust_setdefault(ctx: MethodSigContext, keys: Keys) -> CallableType:
    key, default, found = _argument(ctx, 0), _argument(ctx, 1), _find(ctx, keys)
    if key is None or not found:
        return ctx.default_signature
    value = Value(key, NoneType()) if default is None else Value(default)
    signature = _returning(ctx.default_signature, [declared.type for declared in found])
    fits = _all_fit(keys, found, value)
    return signature if default is None or not fits else _taking(signature, found[0].type)


def _adjust_update(ctx: MethodSigContext, keys: Keys) -> CallableType:
    for key, value in _written(ctx):
        found = keys.find_name(key, value.where) if isinstance(key, str) else keys.find(key)
        _all_fit(keys, found, value)
    return ctx.default_signature


def _adjust_or(ctx: MethodSigContext, keys: Keys) -> CallableType:
    """Check `|=` as such: where a session is one of several, or of a TypeVar, mypy makes `a = a | b` of it."""
    if not _is_updating(ctx.context, keys.api):
        return ctx.default_signature
    return _returning(_adjust_update(ctx, keys), [ctx.type])


_ADJUSTMENTS: Final[Mapping[str, Adjustment]] = {
    "__contains__": _adjust_contains,
    "__delitem__": _adjust_delete,
    "__getitem__": _adjust_read,
    "__ior__": _adjust_update,
    "__or__": _adjust_or,
    "__setitem__": _adjust_write,
    "get": _adjust_get,
    "pop": _adjust_pop,
    "promote": _adjust_update,
    "setdefault": _adjust_setdefault,
    "update": _adjust_update,
}


def _argument(ctx: MethodSigContext, position: int) -> Expression | None:
    """Return an argument of a call, if it was given."""
    given = ctx.args[position] if position < len(ctx.args) else []
    return given[0] if given else None


def _find(ctx: MethodSigContext, keys: Keys) -> list[Declared]:
    """Return what is declared for the key that a call names first; nothing if it names none, which mypy reports."""
    key = _argument(ctx, 0)
    return [] if key is None else keys.find(key)


def _find_removed(ctx: MethodSigContext, keys: Keys) -> list[Declared]:
    found = _find(ctx, keys)
    for declared in found:
        keys.check_removal(declared, ctx.args[0][0])
    return found


def _all_fit(keys: Keys, found: list[Declared], value: Value) -> bool:
    """Return True if a value may be stored under any of the keys; report each that does not take it."""
    return all([keys.check_write(declared, value) for declared in found])  # noqa: C419 -- all are to be reported


def _with_default(ctx: MethodSigContext, found: list[Declared], *, absent: list[Type]) -> CallableType:
    """Return a signature whose result is a declared type, or that of the default."""
    types, default = [declared.type for declared in found], _argument(ctx, 1)
    if default is None or not types:
        return _returning(ctx.default_signature, types + absent if types else [])
    declared = _one_of(types)
    either = make_simplified_union([declared, _type_in_context(ctx.api, default, declared)])
    return _taking(_returning(ctx.default_signature, [either]), either)


def _returning(signature: CallableType, types: list[Type]) -> CallableType:
    """Return a signature with another result, unless it never returns, as those of a NullSession."""
    if not types or isinstance(get_proper_type(signature.ret_type), UninhabitedType):
        return signature
    return _changed(signature, signature.arg_types, _one_of(types))


def _one_of(types: list[Type]) -> Type:
    return types[0] if len(types) == 1 else make_simplified_union(types)


def _taking(signature: CallableType, value: Type) -> CallableType:
    """Return a signature that takes a value of another type, so that mypy reads a literal as what is declared."""
    key, _, *others = signature.arg_types
    return _changed(signature, [key, value, *others], signature.ret_type)


def _changed(signature: CallableType, arg_types: Sequence[Type], ret_type: Type) -> CallableType:
    return signature.copy_modified(arg_types=arg_types, ret_type=ret_type)  # pyright: ignore[reportUnknownMemberType] -- mypy leaves its defaults untyped
