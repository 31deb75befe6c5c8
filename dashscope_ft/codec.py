"""
From the wire's rows to models.

A row whose values all have the documented types is read by a function compiled for the order
of its keys, any other row by a slower function that checks each field. Both give the same
models.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, tzinfo
from typing import Any, TypeVar, cast

import attrs
from attrs import frozen
from cattrs import BaseConverter

from .envelope import Row
from .models import Checkpoint, FineTuneJob, ImportJob

T = TypeVar("T")

_MOST_SHAPES, _LONGEST_SHAPE = 64, 64  # key orders beyond these are not worth compiling for


class Codec:
    """
    Turns rows into models, with times in one zone where the wire names none.
    """

    def __init__(self, time_zone: tzinfo) -> None:
        self.read_time = _time_kind(time_zone, keeps_offset=True).read
        self._converter = BaseConverter()
        self.fine_tune_jobs = self._reader(list[FineTuneJob], _Readers(FineTuneJob, time_zone))
        self.import_jobs = self._reader(list[ImportJob], _Readers(ImportJob, time_zone))
        self.checkpoints = self._reader(list[Checkpoint], _Readers(Checkpoint, time_zone))

    def _reader(
        self, models: type[list[T]], readers: _Readers[T]
    ) -> Callable[[list[Row]], list[T]]:
        def structure(rows: list[Row], _: object) -> list[T]:
            return [readers[tuple(row)](row) for row in rows]

        self._converter.register_structure_hook_func(lambda kind: kind is models, structure)
        return lambda rows: self._converter.structure(rows, models)


@frozen
class _Kind:
    """
    How a field of one type is read.
    """

    read: Callable[[Any], Any]
    """Gives the value for the model; raises ValueError or OverflowError where it cannot be read."""

    condition: str = "True"
    """The source of a condition on the raw value; if it is false, the slower function reads it."""

    value: str = "{0}"
    """
    The source of the model's value; if it raises ValueError or TypeError, the slower function
    reads the row.
    """

    names: Mapping[str, Any] = {}
    """The objects that these sources use, by name."""


class _Readers(dict[tuple[str, ...], Callable[[Row], T]]):
    """
    The functions that read rows of one kind, by the order of their keys; compiled on first use.
    """

    def __init__(self, model: type[T], time_zone: tzinfo) -> None:
        super().__init__()
        fields = attrs.fields_dict(attrs.resolve_types(cast(Any, model)))
        del fields["extra"]
        self._model = cast(Callable[..., T], model)
        self._defaults = {name: field.default for name, field in fields.items()}
        self._kinds = {name: _kind(field, time_zone) for name, field in fields.items()}

    def __missing__(self, shape: tuple[str, ...]) -> Callable[[Row], T]:
        if len(self) >= _MOST_SHAPES or len(shape) > _LONGEST_SHAPE:
            return self._careful
        read = self[shape] = self._compiled(shape)
        return read

    def _careful(self, row: Row) -> T:
        known, extra = {}, {}
        for name, value in row.items():
            try:
                known[name] = self._kinds[name].read(value)
            except (KeyError, ValueError, OverflowError):
                extra[name] = value
        return self._model(**known, extra=extra)

    def _compiled(self, shape: tuple[str, ...]) -> Callable[[Row], T]:
        # Key names come from the service: they enter the source only as quoted literals.
        local = {name: f"v{index}" for index, name in enumerate(shape)}
        names: dict[str, Any] = {
            "new": object.__new__,
            "model": self._model,
            "careful": self._careful,
        }
        conditions, values = ["True"], {name: repr(it) for name, it in self._defaults.items()}
        for name, kind in self._kinds.items():
            if name in local:
                conditions.append(kind.condition.format(local[name]))
                values[name] = kind.value.format(local[name])
                names |= kind.names
        extra = [f"{name!r}: {place}" for name, place in local.items() if name not in self._kinds]
        values["extra"] = f"{{{', '.join(extra)}}}"
        # Not by the constructor, which would take a quarter of the time that all of this does.
        assignments = "; ".join(f"made.{name} = {value}" for name, value in values.items())
        source = f"""
def read(row):
    [{", ".join(local.values())}] = row.values()
    if {" and ".join(conditions)}:
        try:
            made = new(model)
            {assignments}
            return made
        except (ValueError, TypeError):
            pass
    return careful(row)
"""
        exec(source, names)  # noqa: S102
        return cast(Callable[[Row], T], names["read"])


def _kind(field: attrs.Attribute[Any], time_zone: tzinfo) -> _Kind:
    spellings: Mapping[str, str] | None = field.metadata.get("spellings")
    if spellings:
        return _Kind(
            lambda value: spellings.get(_text(value), value),
            "type({0}) is str",
            f"spellings_of_{field.name}.get({{0}}, {{0}})",
            {f"spellings_of_{field.name}": spellings},
        )
    if field.type == datetime | None:
        return _time_kind(time_zone, keeps_offset=field.metadata.get("keeps_offset", False))
    return _KINDS[field.type]


def _time_kind(zone: tzinfo, *, keeps_offset: bool) -> _Kind:
    def read_time(text: str | None) -> datetime | None:
        if type(text) is str:
            time = datetime.fromisoformat(text)
            if time.tzinfo is None:
                return time.replace(tzinfo=zone)
            return time if keeps_offset else time.astimezone(zone)
        if text is None:
            return None
        raise ValueError

    if keeps_offset:
        return _Kind(read_time, value="read_time({0})", names={"read_time": read_time})
    # The same as parse({0}).replace(tzinfo=zone) in a quarter of the time, twice a job; a time
    # that has an offset raises TypeError.
    begin, begin_in_zone = datetime.min, datetime.min.replace(tzinfo=zone)
    parse = datetime.fromisoformat
    return _Kind(
        read_time,
        value="None if {0} is None else begin_in_zone + (parse({0}) - begin)",
        names={"begin_in_zone": begin_in_zone, "parse": parse, "begin": begin},
    )


def _text(value: Any) -> str:
    if type(value) is str:
        return value
    raise ValueError


def _optional_kind(kind: type) -> _Kind:
    def read(value: Any) -> Any:
        if value is None or type(value) is kind:
            return value
        raise ValueError

    return _Kind(read, f"(type({{0}}) is {kind.__name__} or {{0}} is None)")


def _list_kind(item: type) -> _Kind:
    def read(value: Any) -> Any:
        if value is None or (type(value) is list and _are(item, value)):
            return value
        raise ValueError

    items = f"(not {{0}} or are({item.__name__}, {{0}}))"
    return _Kind(read, f"({{0}} is None or type({{0}}) is list and {items})", names={"are": _are})


def _are(item: type, values: list[Any]) -> bool:
    for value in values:  # noqa: SIM110 - a quarter of the time of all(), and lists are short
        if type(value) is not item:
            return False
    return True


_KINDS: dict[Any, _Kind] = {
    str: _Kind(_text, "type({0}) is str"),
    str | None: _optional_kind(str),
    int | None: _optional_kind(int),
    dict[str, Any] | None: _optional_kind(dict),
    list[str] | None: _list_kind(str),
    list[Row] | None: _list_kind(dict),
}
