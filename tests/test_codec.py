"""
Models tolerate: whatever a field holds, the row is a job and the page is a page.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

import attrs
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashscope_ft import Checkpoint, FineTuneJob, ImportJob, MalformedResponse
from dashscope_ft import codec as codec_module
from dashscope_ft.codec import Codec
from dashscope_ft.envelope import Reply, read_reply, read_rows

from .scripted import Answer, scripted

CHINA = timezone(timedelta(hours=8))
CODEC = Codec(CHINA)

Model = type[FineTuneJob] | type[ImportJob]

# What the wire documents of each field. A kind is the types that are kept as they are.
TEXT, NUMBER, OBJECT, TEXTS, OBJECTS = "text", "number", "object", "texts", "objects"
TIME, OFFSET_TIME, WORD, ID = "time", "offset time", "word", "id"
FINE_TUNE: dict[str, str] = {
    "job_id": ID,
    "status": WORD,
    "job_name": TEXT,
    "model": TEXT,
    "base_model": TEXT,
    "finetuned_output": TEXT,
    "model_name": TEXT,
    "training_type": TEXT,
    "training_file_ids": TEXTS,
    "validation_file_ids": TEXTS,
    "training_datasets": OBJECTS,
    "validation_datasets": OBJECTS,
    "hyper_parameters": OBJECT,
    "create_time": TIME,
    "end_time": TIME,
    "usage": NUMBER,
    "output_cnt": NUMBER,
    "max_output_cnt": NUMBER,
    "charge_type": TEXT,
    "priority": TEXT,
    "workspace_id": TEXT,
    "user_identity": TEXT,
    "creator": TEXT,
    "modifier": TEXT,
    "group": TEXT,
    "code": TEXT,
    "message": TEXT,
}
IMPORT: dict[str, str] = {
    "job_id": ID,
    "status": WORD,
    "model_name": TEXT,
    "display_name": TEXT,
    "source": TEXT,
    "weight_type": TEXT,
    "storage_info": OBJECT,
    "gmt_create": OFFSET_TIME,
    "error_code": TEXT,
}
DOCUMENTED: dict[Model, dict[str, str]] = {FineTuneJob: FINE_TUNE, ImportJob: IMPORT}
FULL: dict[Model, dict[str, Any]] = {
    FineTuneJob: {
        name: {
            TEXT: f"some {name}",
            NUMBER: 7,
            OBJECT: {"n_epochs": 3, "learning_rate": "1.6e-5", "split": None},
            TEXTS: ["a", "b"],
            OBJECTS: [{"data_source_type": "file_id", "file_id": "a"}],
            TIME: "2024-10-29 16:53:53",
            WORD: "RUNNING",
            ID: "ft-1",
        }[kind]
        for name, kind in FINE_TUNE.items()
    },
    ImportJob: {
        name: {
            TEXT: f"some {name}",
            OBJECT: {"bucket_name": "b", "object_key": "k/"},
            OFFSET_TIME: "2024-01-01T12:00:00.000+00:00",
            WORD: "SUCCESSED",
            ID: "im-1",
        }[kind]
        for name, kind in IMPORT.items()
    },
}
ODD: list[Any] = [
    None,
    True,
    0,
    -1,
    2**63,
    1.5,
    "",
    "abc",
    "UNHEARD_OF",
    "9999-99-99 99:99:99",
    "0000-00-00 00:00:00",
    "2024-10-29 16:53:53",
    "2024-10-29T16:53:53Z",
    "2024-10-29 16:53:53.120",
    "2024-10-29T16:53:53.123456-03:00",
    "0001-01-01T00:00:00+14:00",
    "9999-12-31T23:59:59-12:00",
    [],
    ["a"],
    ["a", None],
    [1],
    [{}],
    [{"a": [1]}, "b"],
    {},
    {"a": {"b": None}},
]
every_model = pytest.mark.parametrize("model", DOCUMENTED, ids=lambda model: model.__name__)


def decode(model: Model, row: dict[str, Any], codec: Codec = CODEC) -> Any:
    [job] = decode_all(model, [row], codec)
    return job


def decode_all(model: Model, rows: list[dict[str, Any]], codec: Codec = CODEC) -> list[Any]:
    return [*(codec.fine_tune_jobs if model is FineTuneJob else codec.import_jobs)(rows)]


def expected(kind: str, value: Any) -> tuple[bool, Any]:
    """
    Tell whether a value can be read, and what the model then holds: written from the wire alone.
    """
    if value is None and kind not in (WORD, ID):
        return True, None
    if kind in (WORD, ID):
        return type(value) is str, value
    if kind == TEXT:
        return type(value) is str, value
    if kind == NUMBER:
        return type(value) is int, value
    if kind == OBJECT:
        return type(value) is dict, value
    if kind == TEXTS:
        return type(value) is list and all(type(each) is str for each in value), value
    if kind == OBJECTS:
        return type(value) is list and all(type(each) is dict for each in value), value
    try:
        time = datetime.fromisoformat(value if type(value) is str else "")
        if time.tzinfo is None:
            return True, time.replace(tzinfo=CHINA)
        return True, time if kind == OFFSET_TIME else time.astimezone(CHINA)
    except (ValueError, OverflowError):
        return False, None


def assert_read(model: Model, row: dict[str, Any], job: Any) -> None:
    extra: dict[str, Any] = {}
    for name, kind in DOCUMENTED[model].items():
        readable, value = expected(kind, row[name]) if name in row else (True, None)
        if not readable:
            extra[name] = row[name]
            value = None
        if model is ImportJob and name == "status" and value == "SUCCEEDED":
            value = "SUCCESSED"
        held = getattr(job, name)

        assert held == (value if name != "status" else value or ""), name
        assert type(held) is type(value) or name == "status", name

    unknown = {name: value for name, value in row.items() if name not in DOCUMENTED[model]}
    assert job.extra == extra | unknown


@every_model
def test_the_fields_are_those_of_the_wire(model: Model) -> None:
    """
    A model has the wire's fields, and `extra`.
    """
    assert {field.name for field in attrs.fields(model)} == {*DOCUMENTED[model], "extra"}


@every_model
def test_a_full_row_and_back(model: Model) -> None:
    """
    What is documented is read, and given back in the wire's shape and words.
    """
    row = FULL[model]
    job = decode(model, row)

    assert_read(model, row, job)
    assert job.to_dict() == row
    assert orjson.loads(orjson.dumps(job.to_dict())) == row


@pytest.mark.parametrize(
    ("model", "name"),
    [(model, name) for model, kinds in DOCUMENTED.items() for name in kinds if name != "job_id"],
    ids=lambda value: value if isinstance(value, str) else value.__name__,
)
@pytest.mark.parametrize("full", [True, False], ids=["full_row", "bare_row"])
def test_any_value_in_any_field(model: Model, name: str, full: bool) -> None:
    """
    A field that cannot be read is None and its raw value is in `extra`; the others are untouched.
    """
    usual = FULL[model] if full else {"job_id": "j-1", "status": "RUNNING"}
    for value in ODD:
        row = usual | {name: value}
        job = decode(model, row)

        assert_read(model, row, job)
        assert job.to_dict() == {
            key: value for key, value in _given_back(model, row).items() if value is not None
        } | {key: None for key, value in job.extra.items() if value is None}

    row = {key: value for key, value in usual.items() if key != name}
    assert_read(model, row, decode(model, row))


def _given_back(model: Model, row: dict[str, Any]) -> dict[str, Any]:
    back = dict(row)
    for name, kind in DOCUMENTED[model].items():
        if kind in (TIME, OFFSET_TIME) and isinstance(row.get(name), str):
            readable, time = expected(kind, row[name])
            if readable:
                digits = "microseconds" if time.microsecond % 1000 else "milliseconds"
                zoneless = str(time.replace(tzinfo=None))
                back[name] = zoneless if kind == TIME else time.isoformat(timespec=digits)
        if name == "status" and row.get(name) == "":
            del back[name]
    return back


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
    | st.sampled_from(["RUNNING", "SUCCEEDED", "SUCCESSED", "2024-10-29 16:53:53"])
    | st.datetimes().map(str),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


def rows(model: Model) -> st.SearchStrategy[dict[str, Any]]:
    names = st.sampled_from([*DOCUMENTED[model]]) | st.text()
    return st.builds(
        lambda usual, odd, job_id: (FULL[model] if usual else {}) | odd | {"job_id": job_id},
        st.booleans(),
        st.dictionaries(names, json_values, max_size=6),
        st.text(min_size=1),
    )


@every_model
@given(data=st.data())
def test_any_row_at_all(model: Model, data: st.DataObject) -> None:
    """
    Whatever a row holds beside its id, it is a job, in any order of its keys.
    """
    row = data.draw(rows(model))
    row = dict(data.draw(st.permutations([*row.items()])))
    job = decode(model, row)

    assert_read(model, row, job)
    assert isinstance(repr(job), str)
    assert isinstance(job.is_finished, bool)


@every_model
@given(data=st.data())
def test_quick_and_careful_readers_agree(model: Model, data: st.DataObject) -> None:
    """
    A row that is too long for the quick reader is read as it would be otherwise.
    """
    row = data.draw(rows(model))
    padding = {f"padding {index}": index for index in range(70)}
    quick, careful = decode(model, row), decode(model, row | padding)
    careful.extra = {name: careful.extra[name] for name in careful.extra if name not in padding}

    assert quick == careful


@every_model
def test_many_shapes_of_rows(model: Model) -> None:
    """
    Rows of ever new shapes cost no memory without end, and are read all the same.
    """
    codec = Codec(CHINA)
    for index in range(200):
        row = FULL[model] | {f"new field {index}": index}

        assert_read(model, row, decode(model, row, codec))


def test_compiling_has_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    A reader is compiled for 64 orders of keys at most, and for none with more than 64 keys.
    """
    compiled: list[int] = []
    compile_one = codec_module._Readers._compiled

    def counted(readers: Any, shape: tuple[str, ...]) -> Any:
        compiled.append(len(shape))
        return compile_one(readers, shape)

    monkeypatch.setattr(codec_module._Readers, "_compiled", counted)
    wide, many = Codec(CHINA), Codec(CHINA)
    for keys in (64, 65, 64, 65, 90):
        row = {"job_id": "ft-1"} | {f"new field {index}": index for index in range(keys - 1)}
        assert_read(FineTuneJob, row, decode(FineTuneJob, row, wide))
    widths, compiled[:] = compiled[:], []
    for index in range(200):
        decode(FineTuneJob, {"job_id": "ft-1", f"new field {index}": index}, many)

    assert widths == [64]
    assert len(compiled) == 64


@every_model
@given(data=st.data())
def test_an_odd_row_in_a_page(model: Model, data: st.DataObject) -> None:
    """
    One odd row costs no other: the page is read, and the others are what they would be alone.
    """
    key = "jobs" if model is FineTuneJob else "list"
    usual = [FULL[model] | {"job_id": f"j-{index}"} for index in range(4)]
    place = data.draw(st.integers(0, 4))
    page = [*usual[:place], data.draw(rows(model)), *usual[place:]]
    body = orjson.dumps({"output": {key: page, "total": 5}})
    found = read_rows(
        read_reply(200, {}, body, now=0.0), key, "create_time", page_no=1, page_size=10
    )
    jobs = decode_all(model, found.rows)
    del jobs[place]

    assert jobs == [decode(model, row) for row in usual]


@pytest.mark.parametrize("value", [None, "", 0, 7, True, ["ft-1"], {"id": "ft-1"}, "absent"])
async def test_a_row_without_an_id(value: Any) -> None:
    """
    Only a row without a usable id is an error, which says where it is.
    """
    odd = {"status": "RUNNING"} | ({} if value == "absent" else {"job_id": value})
    page = [FULL[FineTuneJob]] * 3 + [odd]
    async with scripted(
        Answer({"output": {"jobs": page, "list": page}, "request_id": "r-7"}),
    ) as server:
        client = server.client()
        for ask, path in (
            (client.fine_tunes.page(), "output.jobs[3].job_id"),
            (client.imports.page(), "output.list[3].job_id"),
            (client.fine_tunes.list().collect(), "output.jobs[3].job_id"),
            (client.fine_tunes.get("ft-1"), "output.job_id"),
        ):
            with pytest.raises(MalformedResponse) as caught:
                await ask

            assert caught.value.path == path
            assert path in str(caught.value)
            assert caught.value.request_id == "r-7"
            assert 0 < len(caught.value.excerpt) <= 120


@pytest.mark.parametrize("row", [None, 7, "ft-1", ["ft-1"]])
async def test_a_row_that_is_none(row: Any) -> None:
    """
    A row that is no object makes the whole answer malformed, and the error says which row.
    """
    async with scripted(Answer({"output": {"jobs": [row]}})) as server:
        with pytest.raises(MalformedResponse) as caught:
            await server.client().fine_tunes.page()

        assert caught.value.path == "output.jobs[0]"


def test_an_excerpt_is_short_and_printable() -> None:
    """
    What an error keeps of a strange answer can be shown to anyone.
    """
    reply = read_reply(502, {}, b"\x1b[31m" + b"<html>\n" * 100 + b"\xff", now=0.0)

    assert len(reply.excerpt) == 120
    assert reply.excerpt.isprintable()


@pytest.mark.parametrize("key", ["t", "Not", "Found"])
def test_a_key_as_short_as_a_word(key: str) -> None:
    """
    Hiding a test's key would hide the words of the answer, and with them what it means.
    """
    reply = read_reply(404, {}, b'{"code": "NotFound"}', now=0.0, secret=key)

    assert reply.code == "NotFound"


@pytest.mark.parametrize("asks", ["-5", "Wed, 21 Oct 2015 07:28:00 GMT"])
def test_a_time_to_wait_for_that_is_over(asks: str) -> None:
    """
    A `Retry-After` in the past asks for no time at all, and not for less.
    """
    reply = read_reply(503, {"Retry-After": asks}, b"", now=1_800_000_000.0)

    assert reply.retry_after == 0.0


# Times


def test_times_without_a_zone() -> None:
    """
    Times without a zone become aware, at UTC+8 unless told otherwise, whatever zone this machine is
    in.
    """
    row = {"job_id": "ft-1", "create_time": "2024-07-01 12:00:00"}

    for zone in (CHINA, UTC, ZoneInfo("Europe/Berlin"), ZoneInfo("Asia/Shanghai")):
        [job] = Codec(zone).fine_tune_jobs([row])

        assert job.create_time == datetime(2024, 7, 1, 12, tzinfo=zone)
        assert job.create_time is not None
        assert job.create_time.tzinfo is zone
        assert job.to_dict() == row


def test_times_with_a_zone() -> None:
    """
    The creation of an import keeps the zone that it names; elsewhere it becomes the client's,
    since it is given back without one.
    """
    row = {"job_id": "im-1", "gmt_create": "2024-01-01T12:00:00.000+00:00"}
    [imported] = CODEC.import_jobs([row])
    [job] = CODEC.fine_tune_jobs([{"job_id": "ft-1", "create_time": "2024-10-29T16:53:00Z"}])
    [checkpoint] = CODEC.checkpoints([{"create_time": "2024-10-29T16:53:00.5Z"}])

    assert imported.gmt_create == datetime(2024, 1, 1, 12, tzinfo=UTC)
    assert imported.to_dict() == row
    assert job.create_time == datetime(2024, 10, 29, 16, 53, tzinfo=UTC)
    assert job.to_dict()["create_time"] == "2024-10-30 00:53:00"
    assert checkpoint.to_dict()["create_time"] == "2024-10-30T00:53:00.500000"


@given(st.datetimes())
def test_any_time_and_back(time: datetime) -> None:
    """
    Whatever a time names, fractions of a second too, the model gives it back as it came.
    """
    text = time.isoformat(" ")
    row = {"job_id": "ft-1", "create_time": text}

    assert CODEC.fine_tune_jobs([row])[0].to_dict() == row


async def test_the_zone_of_a_client() -> None:
    """
    A client's `time_zone` is the zone of times that the service tells without one.
    """
    row = {"job_id": "ft-1", "create_time": "2024-07-01 12:00:00"}
    async with scripted(Answer({"output": row})) as server:
        usual = await server.client().fine_tunes.get("ft-1")
        other = await server.client(time_zone=UTC).fine_tunes.get("ft-1")

        assert usual.create_time == datetime(2024, 7, 1, 12, tzinfo=CHINA)
        assert other.create_time == datetime(2024, 7, 1, 12, tzinfo=UTC)


def test_an_import_that_succeeded_in_either_spelling() -> None:
    """
    `SUCCEEDED` and `SUCCESSED` are one word.
    """
    for spelling in ("SUCCEEDED", "SUCCESSED"):
        [job] = CODEC.import_jobs([{"job_id": "im-1", "status": spelling}])

        assert job.status == "SUCCESSED"
        assert job.is_finished


# Envelopes


@given(
    st.integers(100, 599),
    st.dictionaries(
        st.sampled_from(["x-request-id", "Retry-After"]),
        st.text() | st.integers().map("Wed, 21 Oct 2015 07:28:00 {:+}".format),
        max_size=2,
    ),
    st.binary() | json_values.map(orjson.dumps),
)
def test_any_answer_at_all(status: int, headers: dict[str, str], body: bytes) -> None:
    """
    Whatever bytes come back, they are taken apart without a surprise.
    """
    reply = read_reply(status, headers, body, now=0.0)

    assert isinstance(reply, Reply)
    assert reply.failed or status < 300
    assert reply.retry_after is None or reply.retry_after >= 0
    assert isinstance(reply.message, str)


@pytest.mark.parametrize("zone", ["America/New_York", "Asia/Shanghai"])
def test_a_date_to_wait_for_is_one_of_utc(zone: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    A date in `Retry-After` that names no zone means UTC, wherever the machine stands.
    """
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        reply = read_reply(503, {"Retry-After": "Sun Nov  6 08:49:37 1994"}, b"", now=784111770.0)
    finally:
        monkeypatch.undo()
        time.tzset()

    assert reply.retry_after == 7.0


@pytest.mark.parametrize(
    ("odd", "read"),
    [
        (b'"half a \\ud83d"', "half a ?"),
        (b"1e400", "1e400"),
        (b"-1e400", "-1e400"),
        (b"1" + b"0" * 400, "1" + "0" * 400),
        (b"1" + b"0" * 5000, "1" + "0" * 5000),
        (b"NaN", "NaN"),
        (b"-Infinity", "-Infinity"),
        (b'"caf\xe9"', "caf\ufffd"),
        (b'"cut \xe4\xb8"', "cut \ufffd"),
        (b'"a\tb\nc\x00"', "a\tb\nc\x00"),
    ],
)
def test_what_is_json_but_not_for_every_reader(odd: bytes, read: str) -> None:
    """
    Half a character, a byte that is not text or a number beyond all bounds costs no other value.
    """
    whole = {"job_id": "ft-1", "job_name": "a whole \U0001f600", "usage": 2**60}
    row = orjson.dumps(whole)[:-1] + b', "odd": ' + odd + b"}"
    reply = read_reply(200, {}, b'{"output": {"jobs": [' + row + b"]}}", now=0.0)

    [job] = read_rows(reply, "jobs", "create_time", page_no=1, page_size=20).rows

    assert job.pop("odd") == read
    assert job == whole
    assert orjson.loads(orjson.dumps(job)) == whole


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "code": json_values,
            "message": json_values,
            "msg": json_values,
            "request_id": json_values,
            "error": json_values
            | st.fixed_dictionaries({}, optional={"code": json_values, "message": json_values}),
            "output": json_values
            | st.fixed_dictionaries(
                {},
                optional=dict.fromkeys(("jobs", "page_no", "page_size", "total"), json_values),
            ),
        },
    )
)
def test_any_envelope_at_all(envelope: dict[str, Any]) -> None:
    """
    Whatever an envelope holds, it is a page, a refusal, or a malformed answer.
    """
    reply = read_reply(200, {}, orjson.dumps(envelope), now=0.0)
    if reply.failed:
        assert reply.code
        return
    try:
        found = read_rows(reply, "jobs", "create_time", page_no=3, page_size=20)
    except MalformedResponse as error:
        assert error.path is not None
        assert error.path.startswith("output")
        return

    assert found.page_no >= 1
    assert found.page_size >= 1
    assert found.total is None or found.total >= 0
    assert all(type(row["job_id"]) is str for row in found.rows)


@pytest.mark.parametrize(
    ("body", "code", "message"),
    [
        ({"code": "NotFound", "message": "gone"}, "NotFound", "gone"),
        ({"code": "NotFound", "msg": "gone"}, "NotFound", "gone"),
        ({"code": 404, "message": "gone"}, "404", "gone"),
        ({"code": 404.0, "message": "gone"}, "404.0", "gone"),
        ({"error": {"code": "NotFound", "message": "gone"}}, "NotFound", "gone"),
        ({"error": {"type": "NotFound", "message": "gone"}}, "NotFound", "gone"),
        ({"error": "gone"}, None, "gone"),
        ({"message": "gone"}, None, "gone"),
        ({"code": {"a": 1}, "message": ["gone"]}, None, "Not Found"),
        ({}, None, "Not Found"),
        (b"", None, "Not Found"),
        (b"<html>", None, "Not Found"),
    ],
)
def test_the_ways_to_say_no(body: Any, code: str | None, message: str) -> None:
    """
    Every variant that occurs gives the code and the words that are in it.
    """
    content = body if isinstance(body, bytes) else orjson.dumps(body)
    reply = read_reply(404, {"x-request-id": "r-header"}, content, now=0.0)

    assert reply.failed
    assert (reply.code, reply.message, reply.request_id) == (code, message, "r-header")


def test_a_request_id_that_is_no_text() -> None:
    """
    Whatever a header holds, its request id can be printed and written to a file.
    """
    header = b"r-\xff\xfe".decode("utf-8", "surrogateescape")
    reply = read_reply(404, {"x-request-id": header}, b"", now=0.0)

    assert reply.request_id == "r-??"


def test_the_request_id_of_the_body_counts() -> None:
    """
    The body's request id counts; that of the header is only the fallback.
    """
    for body, request_id in (({"request_id": "r-body"}, "r-body"), ({"request_id": 7}, "r-header")):
        reply = read_reply(200, {"x-request-id": "r-header"}, orjson.dumps(body), now=0.0)

        assert reply.request_id == request_id


def test_counts_that_are_texts() -> None:
    """
    Digits in quotation marks count, anything else does not.
    """
    numbers = {"page_no": "3", "page_size": "20", "total": "230"}
    body = orjson.dumps({"output": {"jobs": [], **numbers}})
    found = read_rows(
        read_reply(200, {}, body, now=0.0), "jobs", "create_time", page_no=1, page_size=10
    )
    odd = orjson.dumps({"output": {"jobs": [], "total": "many"}})

    assert (found.page_no, found.page_size, found.total) == (3, 20, 230)
    reply = read_reply(200, {}, odd, now=0.0)
    assert read_rows(reply, "jobs", "create_time", page_no=1, page_size=10).total is None


@pytest.mark.parametrize(
    "model",
    [
        FineTuneJob("ft-1", status="FAILED", model="qwen3-8b", usage=0),
        FineTuneJob("ft-1", extra={"newer": 1}),
        ImportJob("937b0f0e"),
        Checkpoint(step=30),
    ],
)
def test_the_repr_of_a_model(model: FineTuneJob | ImportJob | Checkpoint) -> None:
    """
    It is the call that makes the model again, without arguments that have their default values.
    """
    assert eval(repr(model)) == model
    assert "None" not in repr(model)
    assert "extra={}" not in repr(model)
