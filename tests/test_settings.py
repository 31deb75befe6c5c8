from __future__ import annotations

import copy
import pickle
import subprocess
import sys
import traceback
import warnings
from datetime import UTC, timedelta
from inspect import signature
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dashscope_ft import AsyncClient
from dashscope_ft.arguments import check_seconds
from dashscope_ft.credentials import Secret
from dashscope_ft.endpoint import REGIONS
from dashscope_ft.errors import ConfigurationError, InvalidArgument
from dashscope_ft.settings import Settings, resolve, with_changes

from .test_arguments import NOT_WHOLE, Integer

KEY = "sk-0f1e2d3c4b5a"
OTHER_KEY = "sk-99999999"
NOWHERE = Path("/nonexistent")


def settings_of(environ: dict[str, str] | None = None, /, **given: Any) -> Settings:
    given.setdefault("api_key", KEY)
    return resolve(**given, environ=environ or {}, home=NOWHERE)


def refusal_of(environ: dict[str, str] | None = None, /, **given: Any) -> str:
    with pytest.raises(ConfigurationError) as caught:
        settings_of(environ, **given)
    assert caught.value.__context__ is None
    return str(caught.value)


def every_text_of(error: BaseException) -> str:
    shown = traceback.TracebackException.from_exception(error, capture_locals=True)
    # The tests' own frames hold the key in the open.
    own = [frame for frame in shown.stack if frame.filename != __file__]
    return f"{error} {error!r} {[frame.locals for frame in own]}"


class TestKey:
    def test_argument_comes_first(self) -> None:
        """
        An explicit key is used whatever the environment says.
        """
        settings = settings_of({"DASHSCOPE_API_KEY": OTHER_KEY}, api_key=KEY)

        assert settings.api_key == KEY

    def test_environment_then_named_file_then_default_file(self, tmp_path: Path) -> None:
        """
        Without an argument, the variable, the file that one names, and the file at home follow.
        """
        named, default = tmp_path / "named", tmp_path / ".dashscope" / "api_key"
        default.parent.mkdir()
        named.write_text("sk-named\n")
        default.write_bytes(b"\xef\xbb\xbfsk-default\r\n")
        for path in (named, default):
            path.chmod(0o600)
        by_variable = {"DASHSCOPE_API_KEY": "sk-variable", "DASHSCOPE_API_KEY_FILE_PATH": "~/named"}
        by_name = {"DASHSCOPE_API_KEY": "", "DASHSCOPE_API_KEY_FILE_PATH": "~/named"}
        by_default = {"DASHSCOPE_API_KEY": "", "DASHSCOPE_API_KEY_FILE_PATH": ""}

        found = [resolve(environ=e, home=tmp_path) for e in (by_variable, by_name, by_default)]

        assert [s.api_key for s in found] == ["sk-variable", "sk-named", "sk-default"]

    def test_nowhere(self) -> None:
        """
        A missing key is an error that names every place where one could be.
        """
        message = refusal_of(api_key=None)

        for place in (
            "api_key",
            "DASHSCOPE_API_KEY",
            "DASHSCOPE_API_KEY_FILE_PATH",
            "~/.dashscope/api_key",
        ):
            assert place in message

    @pytest.mark.parametrize("content", [None, b"", b"\n", b"two words", b"two\nlines", b"\xff"])
    def test_named_file_without_usable_key(self, tmp_path: Path, content: bytes | None) -> None:
        """
        A file that was named is never passed over for another one.
        """
        default, named = tmp_path / ".dashscope" / "api_key", tmp_path / "named"
        default.parent.mkdir()
        default.write_text(OTHER_KEY)
        if content is not None:
            named.write_bytes(content)

        with pytest.raises(ConfigurationError, match="DASHSCOPE_API_KEY_FILE_PATH"):
            resolve(environ={"DASHSCOPE_API_KEY_FILE_PATH": str(named)}, home=tmp_path)

    @pytest.mark.parametrize("path", ["/", "/dev/null/x", "a\0b"])
    def test_named_file_that_cannot_be_read(self, path: str) -> None:
        """
        A path that is no file is an error of ours, without a foreign one behind it.
        """
        message = refusal_of({"DASHSCOPE_API_KEY_FILE_PATH": path}, api_key=None)

        assert "DASHSCOPE_API_KEY_FILE_PATH" in message

    def test_key_put_where_its_file_is_named(self) -> None:
        """
        The key in the wrong variable is an error that doesn't show it.
        """
        message = refusal_of({"DASHSCOPE_API_KEY_FILE_PATH": KEY}, api_key=None)

        assert KEY not in message

    @pytest.mark.parametrize(
        "key", ["", " ", KEY + "\n", "\r" + KEY, "two words", "ключ", "a\0", "k" * 4097, b"x", 7]
    )
    def test_unusable_argument(self, key: Any) -> None:
        """
        A key that cannot be a header is refused, and an empty one is no look at the environment.
        """
        message = refusal_of({"DASHSCOPE_API_KEY": OTHER_KEY}, api_key=key)

        assert "visible ASCII" in message
        assert KEY not in message

    def test_unusable_variable(self) -> None:
        """
        A key with a line break in the environment is refused, naming the variable.
        """
        assert "DASHSCOPE_API_KEY" in refusal_of({"DASHSCOPE_API_KEY": f"{KEY}\n"}, api_key=None)


class TestSecrecy:
    def test_pickle_looks_the_key_up_again(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """
        A pickle holds everything but the key, which its loader takes from the environment.
        """
        settings = settings_of(region="cn", workspace="llm-1", time_zone=ZoneInfo("Asia/Tokyo"))
        data = pickle.dumps(settings)
        monkeypatch.setenv("DASHSCOPE_API_KEY", OTHER_KEY)

        loaded = pickle.loads(data)

        assert KEY.encode() not in data
        assert loaded.api_key == OTHER_KEY
        assert loaded == resolve(
            api_key=OTHER_KEY,
            region="cn",
            workspace="llm-1",
            time_zone=ZoneInfo("Asia/Tokyo"),
            environ={},
        )

    def test_pickle_loaded_where_no_key_is(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        """
        A pickle loaded where there is no key says where one could be.
        """
        data = pickle.dumps(settings_of())
        monkeypatch.delenv("DASHSCOPE_API_KEY", raising=False)
        monkeypatch.delenv("DASHSCOPE_API_KEY_FILE_PATH", raising=False)
        monkeypatch.setenv("HOME", str(tmp_path))

        with pytest.raises(ConfigurationError, match="no API key"):
            pickle.loads(data)

    def test_copies(self) -> None:
        """
        A copy keeps the key that was given.
        """
        settings = settings_of()

        assert copy.copy(settings).api_key == KEY
        assert copy.deepcopy([settings])[0].api_key == KEY

    def test_key_alone(self) -> None:
        """
        The key on its own is a string to send, but is neither shown nor pickled.
        """
        key = settings_of().api_key

        assert f"Bearer {key}" == f"Bearer {KEY}"
        assert KEY not in repr(key)
        with pytest.raises(TypeError, match="not pickled"):
            pickle.dumps(key)

    def test_proxy_with_credentials(self) -> None:
        """
        A proxy's user and password are used and never shown.
        """
        settings = settings_of(proxy="http://user:pa@ss@proxy.example:3128")

        assert settings.proxy == "http://user:pa@ss@proxy.example:3128"
        assert "http://***@proxy.example:3128" in repr(settings)
        assert "user" not in repr(settings)
        assert "pa@ss" not in repr(settings)

    @given(
        key=st.text(st.characters(codec="ascii", categories=["L", "N", "P"]), min_size=8),
        wrong=st.sampled_from(
            [
                {"region": "mars"},
                {"workspace": "-"},
                {"base_url": "http://example.com"},
                {"timeout": 0},
                {"page_size": True},
                {"proxy": "socks5://proxy"},
                {"api_key": None, "environ": {}},
                {},
            ]
        ),
        ending=st.sampled_from(["", "\n", " ", "é"]),
        by_variable=st.booleans(),
    )
    def test_key_is_in_no_text(
        self, key: str, wrong: dict[str, Any], ending: str, by_variable: bool
    ) -> None:
        """
        Whatever is wrong, the key is in no message, no `repr`, no pickle, no local of ours.
        """
        key = f"sk-{key}"
        environ = {"DASHSCOPE_REGION": "cn", "DASHSCOPE_API_REGION": "intl"}
        environ |= {"DASHSCOPE_API_KEY": key + ending} if by_variable else {}
        explicit = None if by_variable else key + ending
        given = {"api_key": explicit, "environ": environ, "home": NOWHERE} | wrong

        with warnings.catch_warnings(record=True) as shown:
            warnings.simplefilter("always")
            try:
                settings = resolve(**given)
            except ConfigurationError as error:
                text, data = every_text_of(error), pickle.dumps(error)
            else:
                text, data = f"{settings!r} {settings}", pickle.dumps(settings)

        assert key not in text
        assert key.encode() not in data
        assert not any(key in str(warning.message) for warning in shown)

    def test_warning_made_an_error(self) -> None:
        """
        Where warnings are errors, the traceback's locals show neither key nor environment.
        """
        environ = {
            "DASHSCOPE_REGION": "cn",
            "DASHSCOPE_API_REGION": "intl",
            "DASHSCOPE_API_KEY": KEY,
        }

        with pytest.raises(UserWarning) as caught:
            resolve(environ=environ, home=NOWHERE, proxy="http://user:password@proxy.example")

        assert KEY not in every_text_of(caught.value)
        assert "password" not in every_text_of(caught.value)

    def test_pickle_keeps_the_proxy(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """
        A proxy's credentials are in a pickle: only the key can be looked up elsewhere.
        """
        data = pickle.dumps(settings_of(proxy="http://user:pass@proxy.example:3128"))
        monkeypatch.setenv("DASHSCOPE_API_KEY", OTHER_KEY)

        assert pickle.loads(data).proxy == "http://user:pass@proxy.example:3128"


class TestRegion:
    @pytest.mark.parametrize("name", REGIONS)
    def test_by_name_and_by_id(self, name: str) -> None:
        """
        A region is known by its name and by its id, in the argument and in the environment.
        """
        region_id, host = REGIONS[name]
        found = [
            settings_of(region=name),
            settings_of(region=region_id),
            settings_of({"DASHSCOPE_REGION": region_id}),
            settings_of({"DASHSCOPE_API_REGION": name, "DASHSCOPE_REGION": ""}),
        ]

        assert {s.region for s in found} == {name}
        assert {s.base_url for s in found} == {f"https://{host}/api/v1"}
        assert {s.host for s in found} == {host}

    def test_the_default_region(self) -> None:
        """
        The default is the international region.
        """
        assert settings_of().region == "intl"

    @pytest.mark.parametrize("region", ["", "mars", "INTL", "cn\n", 3, ["cn"]])
    def test_unknown(self, region: Any) -> None:
        """
        What is not a region is refused with a list of those there are.
        """
        message = refusal_of({"DASHSCOPE_REGION": "cn"}, region=region)

        assert all(name in message and id_ in message for name, (id_, _) in REGIONS.items())

    def test_unknown_in_environment(self) -> None:
        """
        A region that is none is refused by its variable's name.
        """
        assert "DASHSCOPE_REGION is 'mars'" in refusal_of({"DASHSCOPE_REGION": "mars"})

    def test_argument_before_environment(self) -> None:
        """
        An explicit region decides the host, whatever base URL is in the environment.
        """
        with pytest.warns(UserWarning, match="the argument region is used"):
            settings = settings_of({"DASHSCOPE_BASE_URL": "http://127.0.0.1:1"}, region="cn")

        assert settings.base_url == "https://dashscope.aliyuncs.com/api/v1"

    @pytest.mark.parametrize(
        ("base_url", "region"),
        [
            ("https://dashscope.aliyuncs.com", "cn"),
            ("https://DashScope.aliyuncs.com:443/api/v1/", "cn"),
            ("https://dashscope-us.aliyuncs.com/api/v1", "us"),
            ("https://llm-1.cn-hongkong.maas.aliyuncs.com", "hk"),
        ],
    )
    def test_follows_known_host(self, base_url: str, region: str) -> None:
        """
        A known host says which region it is, above any variable.
        """
        environ = {"DASHSCOPE_REGION": "intl"}

        assert settings_of(environ, base_url=base_url).region == region
        assert settings_of({"DASHSCOPE_BASE_URL": base_url}).region == region

    def test_of_unknown_host(self) -> None:
        """
        At a host that says nothing, argument and environment name the region.
        """
        url = "http://127.0.0.1:8080"

        assert settings_of(base_url=url, region="us").region == "us"
        assert settings_of({"DASHSCOPE_REGION": "cn"}, base_url=url).region == "cn"
        assert settings_of(base_url=url).region == "intl"

    @pytest.mark.parametrize(
        "base_url",
        ["https://dashscope.aliyuncs.com", "https://llm-1.cn-beijing.maas.aliyuncs.com/api/v1"],
    )
    def test_contradicts_base_url(self, base_url: str) -> None:
        """
        A region and the host of another one are refused together.
        """
        assert "region cn" in refusal_of(base_url=base_url, region="intl")
        assert settings_of(base_url=base_url, region="cn").region == "cn"


class TestBaseURL:
    @pytest.mark.parametrize(
        ("given", "normal"),
        [
            ("http://127.0.0.1:8080/cn", "http://127.0.0.1:8080/cn/api/v1"),
            ("http://127.0.0.1:8080/cn/api/v1/", "http://127.0.0.1:8080/cn/api/v1"),
            ("HTTP://LocalHost:80//", "http://localhost/api/v1"),
            ("http://[0::1]:9/", "http://[::1]:9/api/v1"),
            ("https://gateway.example:8443/a.b/c", "https://gateway.example:8443/a.b/c/api/v1"),
            ("https://example.com/myapi/v1", "https://example.com/myapi/v1/api/v1"),
        ],
    )
    def test_normal_form(self, given: str, normal: str) -> None:
        """
        `/api/v1` is added where it is missing, and a prefix before it stays.
        """
        assert settings_of(base_url=given).base_url == normal
        assert settings_of(base_url=normal).base_url == normal
        assert settings_of({"DASHSCOPE_HTTP_BASE_URL": given}).base_url == normal

    @pytest.mark.parametrize(
        "url",
        [
            "",
            "dashscope.aliyuncs.com",
            "//dashscope.aliyuncs.com",
            "https://",
            "https:///api/v1",
            "https://:443",
            "ftp://example.com",
            "file:///etc/passwd",
            "https://example.com?",
            "https://example.com/api/v1?x=1",
            "https://example.com#",
            "https://user@example.com",
            "https://user:secret@example.com",
            "https://exa mple.com",
            "https://example.com\n",
            "https://exa\tmple.com",
            "https://example.com\\@evil.example",
            "https://bücher.example",
            "https://example..com",
            "https://example.com.",
            "https://-example.com",
            "https://example.com:0",
            "https://example.com:65536",
            "https://example.com:x",
            "https://[::1",
            "https://[fe80::1%25eth0]",
            "https://example.com/a/../b",
            "https://example.com/a//b",
            "https://example.com/%2e%2e/b",
            "https://example.com/compatible-mode/v1",
            "http://example.com",
            "http://dashscope.aliyuncs.com/api/v1",
            "http://127.0.0.1.example.com",
            "http://localhost.example.com",
            "http://0.0.0.0",
            "http://128.0.0.1",
            "http://2130706433",
            "http://[::ffff:127.0.0.1]",
            "http://127.0.0.1@example.com",
            7,
            b"https://example.com",
        ],
    )
    def test_what_is_no_base_url_is_refused(self, url: Any) -> None:
        """
        What is not the plain https address of a service, or of this machine, is refused.
        """
        assert "base_url" in refusal_of({"DASHSCOPE_BASE_URL": "http://127.0.0.1"}, base_url=url)

    def test_credentials_in_it(self) -> None:
        """
        A password in a URL is not repeated in the error.
        """
        assert "hunter2" not in refusal_of(base_url="https://user:hunter2@example.com")

    @given(
        scheme=st.sampled_from(["http", "https", "HTTP", "htt\tp"]),
        host=st.one_of(
            st.ip_addresses().map(lambda a: f"[{a}]" if a.version == 6 else str(a)),
            st.sampled_from(["localhost", "127.1", "127.0.0.1.", "LOCALHOST", "[::1]"]),
            st.from_regex(r"[a-z0-9.\[\]:@\\/#?%-]{0,20}", fullmatch=True),
            st.text(max_size=10),
        ),
        rest=st.from_regex(r"[a-z0-9./:@\\#?%-]{0,12}", fullmatch=True),
    )
    @example(scheme="http", host="127.0.0.1", rest="@example.com")
    @example(scheme="http", host="127.0.0.1", rest="\\@example.com")
    def test_plain_http_never_leaves_this_machine(self, scheme: str, host: str, rest: str) -> None:
        """
        Whatever was given, a base URL that is accepted is https or loopback, and in normal form.
        """
        try:
            url = settings_of(base_url=f"{scheme}://{host}{rest}").base_url
        except ConfigurationError:
            return
        parts = urlsplit(url)

        assert parts.hostname
        assert parts.scheme == "https" or (
            parts.hostname == "localhost" or ip_address(parts.hostname).is_loopback
        )
        assert url.endswith("/api/v1")
        assert not set(url) & set("@?#\\% \t\r\n")
        assert settings_of(base_url=url).base_url == url


class TestWorkspace:
    def test_argument_then_environment(self) -> None:
        """
        A workspace comes from the argument, then from either variable, else there is none.
        """
        new, old = {"DASHSCOPE_WORKSPACE": "llm-new"}, {"DASHSCOPE_WORKSPACE_ID": "llm-old"}

        assert settings_of(new, workspace="llm-1").workspace == "llm-1"
        assert settings_of(new).workspace == "llm-new"
        assert settings_of(old).workspace == "llm-old"
        assert settings_of().workspace is None

    @pytest.mark.parametrize("workspace", ["", "-a", "a.b", "a b", "a\n", "a" * 65, "ü", 1, b"a"])
    def test_what_is_no_workspace_id_is_refused(self, workspace: Any) -> None:
        """
        What is not a workspace id is refused, saying what one looks like.
        """
        message = refusal_of({"DASHSCOPE_WORKSPACE": "llm-1"}, workspace=workspace)

        assert "1 to 64 letters" in message

    def test_refused_in_environment(self) -> None:
        """
        A variable that holds no workspace id is refused by its name.
        """
        assert "DASHSCOPE_WORKSPACE is" in refusal_of({"DASHSCOPE_WORKSPACE": "a b"})

    def test_of_gateway(self) -> None:
        """
        A workspace gateway's host names workspace and region.
        """
        settings = settings_of(base_url="https://llm-1.cn-beijing.maas.aliyuncs.com")

        assert (settings.workspace, settings.region) == ("llm-1", "cn")
        assert settings.base_url == "https://llm-1.cn-beijing.maas.aliyuncs.com/api/v1"

    def test_agrees_with_gateway(self) -> None:
        """
        A variable that names the gateway's own workspace is used in its own spelling.
        """
        environ = {
            "DASHSCOPE_BASE_URL": "https://llm-1.cn-beijing.maas.aliyuncs.com",
            "DASHSCOPE_WORKSPACE": "LLM-1",
        }

        assert settings_of(environ).workspace == "LLM-1"

    def test_contradicts_gateway(self) -> None:
        """
        A workspace and the gateway of another one are refused together.
        """
        url = "https://llm-1.cn-beijing.maas.aliyuncs.com"

        assert "llm-1" in refusal_of(base_url=url, workspace="llm-2")
        assert "llm-1" in refusal_of({"DASHSCOPE_BASE_URL": url}, workspace="llm-2")
        assert settings_of(base_url=url, workspace="LLM-1").workspace == "LLM-1"
        assert settings_of({"DASHSCOPE_WORKSPACE": "llm-2"}, base_url=url).workspace == "llm-1"


class TestDisagreement:
    @pytest.mark.parametrize(
        ("environ", "used"),
        [
            (
                {
                    "DASHSCOPE_BASE_URL": "http://localhost:1",
                    "DASHSCOPE_HTTP_BASE_URL": "http://localhost:2",
                },
                "DASHSCOPE_BASE_URL is used",
            ),
            (
                {"DASHSCOPE_BASE_URL": "http://localhost:1", "DASHSCOPE_HTTP_BASE_URL": "junk"},
                "DASHSCOPE_BASE_URL is used",
            ),
            (
                {"DASHSCOPE_REGION": "cn", "DASHSCOPE_API_REGION": "intl"},
                "DASHSCOPE_REGION is used",
            ),
            (
                {"DASHSCOPE_WORKSPACE": "llm-1", "DASHSCOPE_WORKSPACE_ID": "llm-2"},
                "DASHSCOPE_WORKSPACE is used",
            ),
            (
                {
                    "DASHSCOPE_HTTP_BASE_URL": "https://dashscope.aliyuncs.com",
                    "DASHSCOPE_API_REGION": "intl",
                },
                "DASHSCOPE_HTTP_BASE_URL is used",
            ),
            (
                {
                    "DASHSCOPE_BASE_URL": "https://llm-1.cn-beijing.maas.aliyuncs.com",
                    "DASHSCOPE_WORKSPACE": "llm-2",
                },
                "the base URL is used",
            ),
        ],
    )
    def test_of_two_variables(self, environ: dict[str, str], used: str) -> None:
        """
        Two variables that say different things are one warning, which says which one is used.
        """
        with pytest.warns(UserWarning, match=used) as shown:
            settings_of(environ)

        assert len(shown) == 1
        assert shown[0].filename == __file__

    def test_all_at_once(self) -> None:
        """
        Several disagreements are still one warning, and the newer names win.
        """
        environ = {
            "DASHSCOPE_BASE_URL": "http://localhost:1",
            "DASHSCOPE_HTTP_BASE_URL": "http://localhost:2",
            "DASHSCOPE_REGION": "cn",
            "DASHSCOPE_API_REGION": "intl",
            "DASHSCOPE_WORKSPACE": "llm-1",
            "DASHSCOPE_WORKSPACE_ID": "llm-2",
        }

        with pytest.warns(UserWarning, match="differ") as shown:
            settings = settings_of(environ)

        assert len(shown) == 1
        assert all(name in str(shown[0].message) for name in environ)
        assert settings.host == "localhost:1"
        assert (settings.region, settings.workspace) == ("cn", "llm-1")

    @pytest.mark.parametrize(
        "environ",
        [
            {
                "DASHSCOPE_BASE_URL": "http://localhost:1",
                "DASHSCOPE_HTTP_BASE_URL": "http://localhost:1/api/v1/",
            },
            {"DASHSCOPE_REGION": "cn", "DASHSCOPE_API_REGION": "cn-beijing"},
            {"DASHSCOPE_REGION": "cn", "DASHSCOPE_API_REGION": ""},
            {"DASHSCOPE_WORKSPACE": "llm-1", "DASHSCOPE_WORKSPACE_ID": "llm-1"},
            {
                "DASHSCOPE_BASE_URL": "https://dashscope.aliyuncs.com",
                "DASHSCOPE_REGION": "cn-beijing",
            },
            {"DASHSCOPE_BASE_URL": "http://localhost:1", "DASHSCOPE_REGION": "cn"},
        ],
    )
    def test_two_spellings_of_one_thing(self, environ: dict[str, str]) -> None:
        """
        Two spellings of one thing are no disagreement.
        """
        settings_of(environ)

    def test_between_argument_and_environment(self) -> None:
        """
        What was given explicitly settles the matter without a word.
        """
        environ = {
            "DASHSCOPE_BASE_URL": "https://dashscope.aliyuncs.com",
            "DASHSCOPE_HTTP_BASE_URL": "http://localhost:1",
            "DASHSCOPE_REGION": "us",
            "DASHSCOPE_WORKSPACE": "llm-1",
        }

        settings = settings_of(environ, base_url="http://localhost:2", workspace="llm-2")
        of_region = settings_of({"DASHSCOPE_REGION": "us"}, region="intl")

        assert (settings.host, settings.workspace) == ("localhost:2", "llm-2")
        assert of_region.region == "intl"

    @pytest.mark.parametrize(
        "environ",
        [
            {"DASHSCOPE_BASE_URL": "http://127.0.0.1:8000/intl"},
            {"DASHSCOPE_HTTP_BASE_URL": "http://127.0.0.1:8000/intl"},
            {"DASHSCOPE_BASE_URL": "https://dashscope.aliyuncs.com/api/v1"},
            {"DASHSCOPE_BASE_URL": "https://llm-1.cn-beijing.maas.aliyuncs.com"},
            {"DASHSCOPE_BASE_URL": "https://user:hunter2@dashscope-intl.aliyuncs.com"},
            {"DASHSCOPE_BASE_URL": "http://["},
            {
                "DASHSCOPE_BASE_URL": "http://localhost:1",
                "DASHSCOPE_HTTP_BASE_URL": "http://localhost:2",
            },
        ],
    )
    def test_of_a_region_and_a_variable_that_points_elsewhere(
        self, environ: dict[str, str]
    ) -> None:
        """
        A region that was given is used, and a warning names the variable that is not, without
        showing what is in it.
        """
        with pytest.warns(UserWarning, match="the argument region is used") as shown:
            settings = settings_of(environ, region="intl")

        [warning] = shown
        assert settings.base_url == "https://dashscope-intl.aliyuncs.com/api/v1"
        assert warning.filename == __file__
        for name, url in environ.items():
            assert f"{name} is not" in str(warning.message)
            assert url not in str(warning.message)

    @pytest.mark.parametrize(
        "url", ["https://dashscope.aliyuncs.com", "https://llm-1.cn-beijing.maas.aliyuncs.com/"]
    )
    def test_none_with_a_variable_of_the_same_region(self, url: str) -> None:
        """
        A region that was given, and a variable with a URL of that region, agree.
        """
        environ = {"DASHSCOPE_BASE_URL": url, "DASHSCOPE_HTTP_BASE_URL": url}

        assert settings_of(environ, region="cn-beijing").region == "cn"


class TestProxy:
    PROXY = "http://proxy.example:3128"

    @pytest.mark.parametrize(
        ("environ", "used"),
        [
            ({}, None),
            ({"HTTPS_PROXY": PROXY}, PROXY),
            ({"https_proxy": PROXY, "HTTPS_PROXY": "http://other"}, PROXY),
            ({"https_proxy": "", "ALL_PROXY": PROXY}, PROXY),
            ({"all_proxy": "proxy.example:3128"}, PROXY),
            ({"HTTP_PROXY": PROXY}, None),
            ({"HTTPS_PROXY": PROXY, "NO_PROXY": "*"}, None),
            ({"HTTPS_PROXY": PROXY, "no_proxy": "other.example, .aliyuncs.com"}, None),
            ({"HTTPS_PROXY": PROXY, "no_proxy": "DashScope-intl.aliyuncs.com"}, None),
            ({"HTTPS_PROXY": PROXY, "no_proxy": "intl.aliyuncs.com,,aliyuncs.co"}, PROXY),
            ({"HTTPS_PROXY": "socks5://proxy", "NO_PROXY": "*"}, None),
        ],
    )
    def test_of_environment(self, environ: dict[str, str], used: str | None) -> None:
        """
        The usual variables name a proxy and the hosts that need none.
        """
        assert settings_of(environ).proxy == used

    def test_an_explicit_proxy_goes_before_the_environment(self) -> None:
        """
        An explicit proxy is used whatever the variables say.
        """
        settings = settings_of({"HTTPS_PROXY": "http://other", "NO_PROXY": "*"}, proxy=self.PROXY)

        assert settings.proxy == self.PROXY

    @pytest.mark.parametrize("url", ["http://127.0.0.1:1", "http://localhost", "https://[::1]"])
    def test_loopback(self, url: str) -> None:
        """
        Nothing to this machine goes through a proxy.
        """
        environ = {"HTTPS_PROXY": self.PROXY, "ALL_PROXY": self.PROXY}

        assert settings_of(environ, base_url=url).proxy is None
        assert settings_of(base_url=url, proxy=self.PROXY).proxy is None

    @pytest.mark.parametrize(
        "proxy",
        ["", "proxy:3128", "socks5://proxy", "http://", "http://p/x", "http://p:x", "\n", 5],
    )
    def test_what_is_no_proxy_url_is_refused(self, proxy: Any) -> None:
        """
        What is not the http or https URL of a proxy is refused.
        """
        assert "proxy must be" in refusal_of({"HTTPS_PROXY": self.PROXY}, proxy=proxy)

    def test_refused_in_environment(self) -> None:
        """
        A proxy that cannot be used is an error, not a direct connection.
        """
        message = refusal_of({"ALL_PROXY": "socks5://user:hunter2@proxy"})

        assert "ALL_PROXY" in message
        assert "hunter2" not in message


NOT_SECONDS = [0, -1, 0.0, float("inf"), float("nan"), 10**400, True, "30", None]


class TestBounds:
    def test_defaults(self) -> None:
        """
        The bounds are those that the documentation names.
        """
        s = settings_of()

        assert (s.timeout, s.deadline, s.max_attempts) == (30.0, 120.0, 4)
        assert (s.concurrency, s.page_size) == (8, 100)
        assert s.time_zone.utcoffset(None) == timedelta(hours=8)

    @pytest.mark.parametrize("name", ["timeout", "deadline"])
    @pytest.mark.parametrize("value", NOT_SECONDS)
    def test_seconds_refused(self, name: str, value: Any) -> None:
        """
        Seconds are a finite number above 0.
        """
        assert f"{name} must be" in refusal_of(**{name: value})
        with pytest.raises(InvalidArgument, match=name):
            check_seconds(name, value)

    @pytest.mark.parametrize(
        ("name", "values"),
        [
            ("max_attempts", [0, -1]),
            ("concurrency", [0, 1001]),
            ("page_size", [19, 101, 10**5000]),
        ],
    )
    def test_numbers_refused(self, name: str, values: list[Any]) -> None:
        """
        Counts are whole numbers within their bounds.
        """
        for value in [*values, *NOT_WHOLE]:
            assert f"{name} must be a whole number from" in refusal_of(**{name: value})

    def test_edges(self) -> None:
        """
        The bounds themselves are within bounds.
        """
        low = settings_of(max_attempts=1, concurrency=1, page_size=20, timeout=1, deadline=0.001)
        high = settings_of(concurrency=1000, page_size=100)

        assert (low.max_attempts, low.concurrency, low.page_size) == (1, 1, 20)
        assert type(low.timeout) is float
        assert (high.concurrency, high.page_size) == (1000, 100)

    def test_integers_of_other_classes(self) -> None:
        """
        An integer is one whatever its class, and is told by its value where it is out of bounds.
        """
        names = ("timeout", "deadline", "max_attempts", "concurrency", "page_size")
        settings = settings_of(**{name: Integer(20) for name in names})

        assert {getattr(settings, name) for name in names} == {20}
        assert type(settings.timeout) is type(settings.deadline) is float
        assert type(settings.max_attempts) is type(settings.page_size) is int
        assert "not 0." in refusal_of(page_size=Integer(0))
        assert "not 0." in refusal_of(timeout=Integer(0))

    @pytest.mark.parametrize("zone", ["UTC", 8, timedelta(hours=8)])
    def test_time_zone_refused(self, zone: Any) -> None:
        """
        A time zone is a `tzinfo`.
        """
        assert "tzinfo" in refusal_of(time_zone=zone)

    def test_changes(self) -> None:
        """
        Changed settings differ in what was changed, and nothing else.
        """
        settings = settings_of(region="cn", time_zone=UTC)

        changed = with_changes(settings, timeout=5, deadline=9, max_attempts=1, page_size=20)

        assert (changed.timeout, changed.deadline) == (5.0, 9.0)
        assert (changed.max_attempts, changed.page_size) == (1, 20)
        assert (changed.region, changed.api_key) == ("cn", KEY)
        assert (changed.time_zone, changed.base_url) == (UTC, settings.base_url)
        assert with_changes(settings) == settings

    @pytest.mark.parametrize("name", ["timeout", "deadline", "max_attempts", "page_size"])
    def test_changes_refused(self, name: str) -> None:
        """
        A change out of bounds is refused as it would have been at the start.
        """
        for value in (0, True, "1"):
            with pytest.raises(ConfigurationError, match=name):
                with_changes(settings_of(), **{name: value})  # type: ignore[arg-type]

    def test_changed_page_size_refused(self) -> None:
        """
        A view's walks need pages that overlap, too.
        """
        with pytest.raises(ConfigurationError):
            with_changes(settings_of(), page_size=19)

    def test_defaults_of_a_client(self) -> None:
        """
        A client's defaults are those of its settings.
        """
        given, usual = signature(AsyncClient).parameters, signature(resolve).parameters

        for name in given.keys() & usual.keys():
            assert given[name].default == usual[name].default


def test_environment_of_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Without a mapping, the process's own variables are looked at, at the time of the call.
    """
    monkeypatch.setenv("DASHSCOPE_API_KEY", KEY)

    assert resolve(region="cn").api_key == KEY


def test_import_is_cheap() -> None:
    """
    Checking settings loads no HTTP client and no converter.
    """
    script = (
        "import sys, dashscope_ft.settings;"
        "heavy = {'aiohttp', 'asyncio', 'cattrs', 'orjson', 'ssl', 'urllib.request'};"
        "print(*heavy & {*sys.modules})"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )

    assert done.stdout.strip() == ""


def test_secret_alone() -> None:
    """
    A secret compares and formats as its text, and prints as none.
    """
    secret = Secret("hunter2")

    assert secret == "hunter2"
    assert f"{secret}" == "hunter2"
    assert "hunter2" not in repr([secret])
