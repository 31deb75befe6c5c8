"""
Where to send, as whom, within which bounds; and every check on what a caller passes in.

`resolve` is the one place that looks at the environment, and it does so once: what
it gives back is plain values that no later change of a variable alters.
"""

from __future__ import annotations

import os
import re
import sys
import warnings
from collections.abc import Callable, Mapping
from datetime import timedelta, timezone, tzinfo
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path
from typing import Any, Final, NoReturn
from urllib.parse import SplitResult, urlsplit

import attrs

from .errors import ConfigurationError, InvalidArgument

REGIONS: Final = {
    "intl": ("ap-southeast-1", "dashscope-intl.aliyuncs.com"),
    "cn": ("cn-beijing", "dashscope.aliyuncs.com"),
    "hk": ("cn-hongkong", "cn-hongkong.dashscope.aliyuncs.com"),
    "us": ("us-east-1", "dashscope-us.aliyuncs.com"),
}
"""Region id and host by region name."""

UTC_PLUS_8: Final = timezone(timedelta(hours=8))

_REGION_BY_WORD = {word: name for name, (id_, _) in REGIONS.items() for word in (name, id_)}
_REGION_BY_HOST = {host: name for name, (_, host) in REGIONS.items()}

_API_PATH = "/api/v1"
_KEY_SIZE = 4096
_JOB_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,127}")
_WORKSPACE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_GATEWAY = re.compile(r"([a-z0-9][a-z0-9_-]*)\.([a-z0-9-]+)\.maas\.aliyuncs\.com")
_HOST_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_HOST_NAME = re.compile(rf"(?=.{{1,253}}\Z){_HOST_LABEL}(?:\.{_HOST_LABEL})*")
_PATH = re.compile(r"(?:/(?!\.+(?:/|\Z))[A-Za-z0-9._~:+-]+)*")


class Secret(str):
    """
    A string that neither its `repr` nor a pickle gives away, so that a traceback may show locals.
    """

    __slots__ = ()

    def __repr__(self) -> str:
        return "'***'"

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("a secret is not pickled; look it up again where it is needed")


def concealed(value: str | None) -> Secret | None:
    """
    Wrap a value as a `Secret`; what is not a string becomes an empty one, which no check accepts.
    """
    if value is None:
        return None
    return Secret(value) if isinstance(value, str) else Secret()


def _proxy_repr(proxy: str | None) -> str:
    if proxy is None:
        return "None"
    scheme, _, rest = proxy.partition("://")
    credentials, _, address = rest.rpartition("@")
    return repr(f"{scheme}://{'***@' if credentials else ''}{address}")


@attrs.frozen(kw_only=True)
class Settings:
    """
    What a client works with, checked and complete.

    A pickle holds no key: whoever loads it looks the key up again, in the environment
    or the key file, and gets `ConfigurationError` where there is none.
    """

    base_url: str
    """Where all paths hang off: ends in `/api/v1`, without a slash after it."""

    region: str
    """`intl`, `cn`, `hk` or `us`."""

    workspace: str | None = None
    """The workspace's id; None leaves the choice to the service."""

    api_key: str = attrs.field(converter=Secret, repr=False)
    """The key, bound to the region."""

    timeout: float = 30.0
    """Seconds for one attempt."""

    deadline: float = 120.0
    """Seconds for one request's whole effort: attempts, waits, reading."""

    max_attempts: int = 4
    """How often one request is sent at most, the first time included."""

    concurrency: int = 8
    """How many requests may be in flight."""

    page_size: int = 100
    """Jobs a page in walks."""

    time_zone: tzinfo = UTC_PLUS_8
    """The zone of times that the service sends without one."""

    proxy: str | None = attrs.field(default=None, converter=concealed, repr=_proxy_repr)
    """The proxy to go through. Its credentials are in a pickle, but in no `repr`."""

    @property
    def host(self) -> str:
        """
        The host that is asked, with the port where it isn't the usual one.
        """
        return urlsplit(self.base_url).netloc

    @property
    def origin(self) -> str:
        """
        Scheme and host.
        """
        return self.base_url[: self.base_url.index("/", len("https://"))]

    def __copy__(self) -> Settings:
        return self

    def __deepcopy__(self, memo: object) -> Settings:
        return self

    def __reduce__(self) -> tuple[Callable[[dict[str, Any]], Settings], tuple[dict[str, Any]]]:
        values = attrs.asdict(self, filter=lambda attribute, _: attribute.name != "api_key")
        return _settings_with_found_key, (values | {"proxy": self.proxy and str(self.proxy)},)


def _settings_with_found_key(values: dict[str, Any]) -> Settings:
    return Settings(**values, api_key=_found_key(_Environment(os.environ), None))


def resolve(
    *,
    api_key: str | None = None,
    region: str | None = None,
    workspace: str | None = None,
    base_url: str | None = None,
    timeout: float = 30.0,
    deadline: float = 120.0,
    max_attempts: int = 4,
    concurrency: int = 8,
    page_size: int = 100,
    time_zone: tzinfo | None = None,
    proxy: str | None = None,
    environ: Mapping[str, str] = os.environ,
    home: Path | None = None,
) -> Settings:
    """
    Look up what was not given, check everything, and give the settings back.

    An explicit value is never replaced by the environment; an empty variable counts as unset.
    Where two variables disagree, one `UserWarning` says which were used.

    Args:
        api_key: The key; else `DASHSCOPE_API_KEY`, else the file that
            `DASHSCOPE_API_KEY_FILE_PATH` names, else `~/.dashscope/api_key`.
        region: A name or id of `REGIONS`; else the region of a known base URL, else
            `DASHSCOPE_REGION`, else `DASHSCOPE_API_REGION`, else `intl`.
        workspace: A workspace id; else `DASHSCOPE_WORKSPACE`, else `DASHSCOPE_WORKSPACE_ID`.
            The host name of a workspace gateway comes before the environment.
        base_url: With or without `/api/v1`, https except to loopback; else the region's host if
            `region` is given, else `DASHSCOPE_BASE_URL`, else `DASHSCOPE_HTTP_BASE_URL`.
        timeout: Seconds for one attempt, above 0.
        deadline: Seconds for one request's whole effort, above 0.
        max_attempts: 1 or more.
        concurrency: Requests in flight, 1 to 1000.
        page_size: Jobs a page in walks, 20 to 100.
        time_zone: The zone of times without one; UTC+8 by default.
        proxy: An http or https URL; else `HTTPS_PROXY`, else `ALL_PROXY`, within `NO_PROXY`;
            of both spellings the lower-case one counts. Never used for loopback.
        environ: The variables to look at.
        home: The directory that `~` stands for.

    Raises:
        ConfigurationError: Where something is missing or wrong; it says what would be right.
    """
    # From here on a traceback with locals shows neither the key nor the environment.
    environ = _Environment(environ)
    api_key, proxy = concealed(api_key), concealed(proxy)

    disagreements: list[str] = []
    key = _found_key(environ, home) if api_key is None else _checked_key(api_key, "api_key")
    url, region = _place(environ, base_url, region, disagreements)
    settings = Settings(
        base_url=url,
        region=region,
        workspace=_workspace(environ, url, base_url, workspace, disagreements),
        api_key=key,
        timeout=_seconds("timeout", timeout, ConfigurationError),
        deadline=_seconds("deadline", deadline, ConfigurationError),
        max_attempts=_whole("max_attempts", max_attempts, 1, sys.maxsize, ConfigurationError),
        concurrency=_whole("concurrency", concurrency, 1, 1000, ConfigurationError),
        page_size=_whole("page_size", page_size, 20, 100, ConfigurationError),
        time_zone=_time_zone(time_zone),
        proxy=_proxy(environ, urlsplit(url), proxy),
    )
    if disagreements:
        _warn(" ".join(disagreements))
    return settings


def with_changes(
    settings: Settings,
    *,
    timeout: float | None = None,
    deadline: float | None = None,
    max_attempts: int | None = None,
    page_size: int | None = None,
) -> Settings:
    """
    Give the settings back with other bounds, checked as by `resolve`; None changes nothing.

    Raises:
        ConfigurationError: Where a bound is out of bounds.
    """
    error = ConfigurationError
    changes: dict[str, Any] = {}
    if timeout is not None:
        changes["timeout"] = _seconds("timeout", timeout, error)
    if deadline is not None:
        changes["deadline"] = _seconds("deadline", deadline, error)
    if max_attempts is not None:
        changes["max_attempts"] = _whole("max_attempts", max_attempts, 1, sys.maxsize, error)
    if page_size is not None:
        changes["page_size"] = _whole("page_size", page_size, 20, 100, error)
    return attrs.evolve(settings, **changes)


def check_job_id(value: object) -> str:
    """
    Give a job id back that is safe as one segment of a path.

    Raises:
        TypeError: Where it is not a string.
        InvalidArgument: Where it is not 1 to 128 letters, digits and `._:-`, the first
            a letter or digit.
    """
    if not isinstance(value, str):
        raise TypeError(f"a job id is a string, not {type(value).__name__}")
    match = _JOB_ID.fullmatch(value)
    if match is None:
        raise InvalidArgument(
            f"{_shown(value)} is not a job id: 1 to 128 letters, digits and . _ : -, "
            "beginning with a letter or digit."
        )
    return match.group()


def check_page_no(value: object) -> int:
    """
    Give a page number back.

    Raises:
        InvalidArgument: Where it is not a whole number from 1.
    """
    return _whole("page_no", value, 1, 2**31 - 1, InvalidArgument)


def check_page_size(value: object, *, lowest: int = 1) -> int:
    """
    Give a page size back.

    Raises:
        InvalidArgument: Where it is not a whole number from `lowest` to 100.
    """
    return _whole("page_size", value, lowest, 100, InvalidArgument)


def check_filter(name: str, value: object) -> str | None:
    """
    Give a filter's value back; None stands for no filter.

    Raises:
        TypeError: Where it is not a string.
        InvalidArgument: Where it is not 1 to 256 printable characters.
    """
    if value is None:
        return None
    if not isinstance(value, str):
        raise TypeError(f"{name} is a string, not {type(value).__name__}")
    if not 1 <= len(value) <= 256 or not value.isprintable():
        raise InvalidArgument(f"{name} must be 1 to 256 printable characters, not {_shown(value)}.")
    # A plain string, whatever an enum's own `__str__` says.
    return str.__str__(value)


def check_seconds(name: str, value: object) -> float:
    """
    Give a number of seconds back.

    Raises:
        InvalidArgument: Where it is not a finite number above 0.
    """
    return _seconds(name, value, InvalidArgument)


class _Environment(dict[str, str]):
    """
    Variables that a traceback with locals does not show.
    """

    def __repr__(self) -> str:
        return "{...}"

    def found(self, *names: str) -> tuple[str, ...]:
        return tuple(name for name in names if self.get(name))


def _found_key(environ: _Environment, home: Path | None) -> Secret:
    if environ.found("DASHSCOPE_API_KEY"):
        return _checked_key(Secret(environ["DASHSCOPE_API_KEY"]), "DASHSCOPE_API_KEY")
    if environ.found("DASHSCOPE_API_KEY_FILE_PATH"):
        # Not shown in an error: people have put the key itself there.
        named = Secret(environ["DASHSCOPE_API_KEY_FILE_PATH"])
        source = "the file that DASHSCOPE_API_KEY_FILE_PATH names"
        key = _file_content(_at_home(named, home), source)
        if not key:
            raise ConfigurationError(f"{source[0].upper()}{source[1:]} is missing or empty.")
        return _checked_key(key, f"the key in {source}")
    default = _at_home("~/.dashscope/api_key", home)
    if key := _file_content(default, "~/.dashscope/api_key"):
        return _checked_key(key, "the key in ~/.dashscope/api_key")
    raise ConfigurationError(
        "There is no API key: api_key was not given, DASHSCOPE_API_KEY and "
        "DASHSCOPE_API_KEY_FILE_PATH are unset, and ~/.dashscope/api_key is missing or empty."
    )


def _at_home(path: str, home: Path | None) -> Path:
    if home is not None and path.startswith("~/"):
        return home / path[2:]
    return Path(os.path.expanduser(path))


def _file_content(path: Path, source: str) -> Secret:
    try:
        with path.open("rb") as file:
            # One byte too many is enough for the check to refuse the rest.
            text = file.read(_KEY_SIZE + 3).decode("utf-8-sig", "replace")
            return Secret(text.strip())
    except (FileNotFoundError, NotADirectoryError):
        return Secret()
    except (OSError, ValueError) as failure:
        reason = getattr(failure, "strerror", None) or "not a usable path"
    raise ConfigurationError(f"The API key cannot be read from {source}: {reason}.")


def _checked_key(key: Secret, source: str) -> Secret:
    if not re.fullmatch(rf"[!-~]{{1,{_KEY_SIZE}}}", key):
        raise ConfigurationError(
            f"{source} must be a string of visible ASCII characters, "
            "not empty, without spaces and line breaks."
        )
    return key


def _place(
    environ: _Environment,
    base_url: str | None,
    region: str | None,
    disagreements: list[str],
) -> tuple[str, str]:
    chosen = None if region is None else _region_name(region, "region")
    source: str | None
    if base_url is not None:
        source, url = "base_url", _checked_url(base_url, "base_url")
    elif chosen is not None:
        return _region_url(chosen), chosen
    else:
        source = _preferred(
            environ,
            ("DASHSCOPE_BASE_URL", "DASHSCOPE_HTTP_BASE_URL"),
            _comparable_url,
            disagreements,
        )
        url = _checked_url(environ[source], source) if source else ""

    known = _region_of_url(url)
    if chosen is not None:
        if known not in (chosen, None):
            raise ConfigurationError(
                f"base_url is a host of region {known}, but region is {chosen}: "
                "give one of them only."
            )
        return url, chosen
    if known is not None and base_url is not None:
        return url, known

    variable = _preferred(
        environ,
        ("DASHSCOPE_REGION", "DASHSCOPE_API_REGION"),
        lambda word: _REGION_BY_WORD.get(word, word),
        disagreements,
    )
    if known is not None:
        if variable and _REGION_BY_WORD.get(environ[variable]) != known:
            disagreements.append(
                f"{source} is a host of region {known}, {variable} differs: {source} is used."
            )
        return url, known
    named = _region_name(environ[variable], variable) if variable else "intl"
    return url or _region_url(named), named


def _preferred(
    environ: _Environment,
    names: tuple[str, str],
    meaning: Callable[[str], str],
    disagreements: list[str],
) -> str | None:
    found = environ.found(*names)
    if len({meaning(environ[name]) for name in found}) > 1:
        disagreements.append(f"{names[0]} and {names[1]} differ: {names[0]} is used.")
    return found[0] if found else None


def _region_name(word: object, source: str) -> str:
    name = _REGION_BY_WORD.get(word) if isinstance(word, str) else None
    if name is None:
        valid = ", ".join(f"{name} ({id_})" for name, (id_, _) in REGIONS.items())
        raise ConfigurationError(
            f"{source} is {_shown(word)}, which is not a region; there are {valid}."
        )
    return name


def _region_url(name: str) -> str:
    return f"https://{REGIONS[name][1]}{_API_PATH}"


def _region_of_url(url: str) -> str | None:
    host = urlsplit(url).hostname or ""
    gateway = _GATEWAY.fullmatch(host)
    return _REGION_BY_WORD.get(gateway[2]) if gateway else _REGION_BY_HOST.get(host)


def _workspace(
    environ: _Environment,
    url: str,
    base_url: str | None,
    workspace: str | None,
    disagreements: list[str],
) -> str | None:
    gateway = _GATEWAY.fullmatch(urlsplit(url).hostname or "")
    if workspace is not None:
        checked = _checked_workspace(workspace, "workspace")
        if gateway and checked.lower() != gateway[1]:
            raise ConfigurationError(
                f"The base URL is the gateway of workspace {gateway[1]}, "
                f"but workspace is {checked}: give one of them only."
            )
        return checked

    variable = _preferred(
        environ, ("DASHSCOPE_WORKSPACE", "DASHSCOPE_WORKSPACE_ID"), str, disagreements
    )
    if gateway:
        if not variable:
            return gateway[1]
        if environ[variable].lower() != gateway[1]:
            if base_url is None:
                disagreements.append(
                    f"The base URL is the gateway of workspace {gateway[1]}, "
                    f"{variable} differs: the base URL is used."
                )
            return gateway[1]
    return _checked_workspace(environ[variable], variable) if variable else None


def _checked_workspace(workspace: object, source: str) -> str:
    match = _WORKSPACE.fullmatch(workspace) if isinstance(workspace, str) else None
    if match is None:
        raise ConfigurationError(
            f"{source} is {_shown(workspace)}, which is not a workspace id: 1 to 64 letters, "
            "digits, - and _, beginning with a letter or digit."
        )
    return match.group()


def _comparable_url(text: str) -> str:
    try:
        return _checked_url(text, "")
    except ConfigurationError:
        return text


def _checked_url(text: object, source: str) -> str:
    # The URL is in none of the messages: it may hold credentials.
    if not isinstance(text, str) or not re.fullmatch(r"[!-~]+", text) or "\\" in text:
        raise ConfigurationError(f"{source} must be a URL such as {_region_url('intl')}.")
    parts = _split(text)
    if parts is None or parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigurationError(
            f"{source} must be an https URL with a host, such as {_region_url('intl')}."
        )
    if "@" in parts.netloc or "?" in text or "#" in text:
        raise ConfigurationError(f"{source} must have no user, password, query or fragment.")

    address = _address(parts.hostname)
    if address is None and not _HOST_NAME.fullmatch(parts.hostname):
        raise ConfigurationError(f"{source} must have a plain host name or address.")
    if parts.scheme == "http" and not _is_loopback(parts.hostname):
        raise ConfigurationError(
            f"{source} must begin with https://: plain http is for this machine only "
            "(localhost, 127.0.0.0/8, [::1]), since it would show the API key to the network."
        )

    path = parts.path.rstrip("/")
    if path.endswith("/compatible-mode/v1"):
        raise ConfigurationError(
            f"{source} is of the OpenAI-compatible API, which has no fine-tuning jobs; "
            f"put {_API_PATH} in place of /compatible-mode/v1."
        )
    if not _PATH.fullmatch(path):
        raise ConfigurationError(
            f"{source} must have a plain path: no empty or dotted part, no escapes."
        )
    host = f"[{address}]" if isinstance(address, IPv6Address) else parts.hostname
    if parts.port not in (None, 443 if parts.scheme == "https" else 80):
        host += f":{parts.port}"
    return f"{parts.scheme}://{host}{path.removesuffix(_API_PATH)}{_API_PATH}"


def _split(url: str) -> SplitResult | None:
    try:
        parts = urlsplit(url)
        return None if parts.port == 0 else parts
    except ValueError:
        return None


def _address(host: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(host) if "%" not in host else None
    except ValueError:
        return None


def _is_loopback(host: str) -> bool:
    address = _address(host)
    if isinstance(address, IPv6Address):
        return address == IPv6Address("::1")
    return address.is_loopback if address else host == "localhost"


def _proxy(environ: _Environment, url: SplitResult, proxy: Secret | None) -> Secret | None:
    source = "proxy"
    if proxy is None:
        # Only https leaves this machine, so HTTP_PROXY never applies.
        found = environ.found("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY")
        if not found or _is_loopback(url.hostname or "") or _is_exempt(environ, url):
            return None
        source = found[0]
        proxy = Secret(environ[source])
        if "://" not in proxy:
            proxy = Secret(f"http://{proxy}")
    if not _is_proxy(proxy):
        raise ConfigurationError(
            f"{source} must be the http or https URL of a proxy, such as "
            "http://proxy.example:3128; to go without one, name the host in NO_PROXY."
        )
    return None if _is_loopback(url.hostname or "") else proxy


def _is_exempt(environ: _Environment, url: SplitResult) -> bool:
    variables = environ.found("no_proxy", "NO_PROXY")
    names = environ[variables[0]].lower().split(",") if variables else []
    return any(
        name == "*" or name in (url.hostname, url.netloc) or f".{url.hostname}".endswith(f".{name}")
        for name in (name.strip().removeprefix(".") for name in names)
        if name
    )


def _is_proxy(text: str) -> bool:
    if not re.fullmatch(r"https?://[!-~]+", text):
        return False
    parts = _split(text)
    return (
        parts is not None
        and bool(parts.hostname)
        and parts.path in ("", "/")
        and not (parts.query or parts.fragment)
    )


def _time_zone(zone: object) -> tzinfo:
    if zone is None:
        return UTC_PLUS_8
    if not isinstance(zone, tzinfo):
        raise ConfigurationError(
            "time_zone must be a tzinfo, such as zoneinfo.ZoneInfo('Asia/Shanghai'), "
            f"not {_shown(zone)}."
        )
    return zone


def _whole(
    name: str,
    value: object,
    lowest: int,
    highest: int,
    error: type[ConfigurationError | InvalidArgument],
) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and lowest <= value <= highest:
        return int(value)
    bounds = f"from {lowest}" if highest >= 2**31 - 1 else f"from {lowest} to {highest}"
    raise error(f"{name} must be a whole number {bounds}, not {_shown(value)}.")


def _seconds(name: str, value: object, error: type[ConfigurationError | InvalidArgument]) -> float:
    if (
        isinstance(value, (int, float))
        and not isinstance(value, bool)
        and 0 < value <= sys.float_info.max
    ):
        return float(value)
    raise error(f"{name} must be a finite number of seconds above 0, not {_shown(value)}.")


def _shown(value: object) -> str:
    if isinstance(value, str):
        return ascii(value[:40]) + ("..." if len(value) > 40 else "")
    if isinstance(value, (bool, float)) or value is None:
        return repr(value)
    if isinstance(value, int):
        return str(value) if abs(value) < 10**20 else "a number beyond all bounds"
    return f"an object of type {type(value).__name__}"


def _warn(text: str) -> None:
    # Point at the line outside this package that asked for the settings.
    depth, frame = 1, sys._getframe()
    while frame.f_back and frame.f_globals.get("__name__", "").partition(".")[0] == __package__:
        depth, frame = depth + 1, frame.f_back
    warnings.warn(text, UserWarning, stacklevel=depth)
