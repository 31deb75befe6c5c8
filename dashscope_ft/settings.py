"""
A client's settings: endpoint, credentials and limits.

`resolve` is the only function that looks at the environment. It does so once, so that a later
change of a variable does not change the settings.
"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable, Mapping
from datetime import timedelta, timezone, tzinfo
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import attrs

from .arguments import positive_seconds, shown, whole_number
from .credentials import Environment, Secret, checked_key, concealed, found_key
from .endpoint import find_endpoint, find_proxy, find_workspace
from .errors import ConfigurationError

UTC_PLUS_8: Final = timezone(timedelta(hours=8))


def _proxy_repr(proxy: str | None) -> str:
    if proxy is None:
        return "None"
    scheme, _, rest = proxy.partition("://")
    credentials, _, address = rest.rpartition("@")
    return repr(f"{scheme}://{'***@' if credentials else ''}{address}")


@attrs.frozen(kw_only=True)
class Settings:
    """
    The settings of a client, checked and complete.

    A pickle holds no key: when it is loaded, the key is looked up again, in the environment or
    the key file, and `ConfigurationError` is raised if there is none.
    """

    base_url: str
    """The URL that all paths are relative to; ends in `/api/v1`, without a slash."""

    region: str
    """`intl`, `cn`, `hk` or `us`."""

    workspace: str | None
    """The workspace's id; None leaves the choice to the service."""

    api_key: str = attrs.field(converter=Secret, repr=False)
    """The key, bound to the region."""

    timeout: float
    """Seconds for one attempt."""

    deadline: float
    """Seconds for one call, its attempts and pauses included."""

    max_attempts: int
    """Attempts for one call, at most."""

    concurrency: int
    """Requests in flight, at most."""

    page_size: int
    """Jobs per page in walks, 20 to 100."""

    time_zone: tzinfo
    """The zone of times that the service sends without one."""

    proxy: str | None = attrs.field(converter=concealed, repr=_proxy_repr)
    """The proxy to go through. Its credentials are in a pickle, but in no `repr`."""

    @property
    def host(self) -> str:
        """
        The host that is asked, with the port unless it is the usual one.
        """
        return urlsplit(self.base_url).netloc

    @property
    def proxy_host(self) -> str | None:
        """
        The proxy's host, with the port unless it is the usual one; None without a proxy.
        """
        return urlsplit(self.proxy).netloc.rpartition("@")[2] if self.proxy else None

    def __copy__(self) -> Settings:
        return self

    def __deepcopy__(self, memo: object) -> Settings:
        return self

    def __reduce__(self) -> tuple[Callable[[dict[str, Any]], Settings], tuple[dict[str, Any]]]:
        values = attrs.asdict(self, filter=lambda attribute, _: attribute.name != "api_key")
        return _settings_with_found_key, (values | {"proxy": self.proxy and str(self.proxy)},)


def _settings_with_found_key(values: dict[str, Any]) -> Settings:
    return Settings(**values, api_key=found_key(Environment(os.environ), None))


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
    Look up what was not given, check everything, and return the settings.

    An explicit value is never replaced by the environment; an empty variable counts as unset.
    Where two variables disagree, or `region` and the URL of a variable do, one `UserWarning` says
    which were used.

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
    variables = Environment(environ)
    del environ
    api_key, proxy = concealed(api_key), concealed(proxy)

    disagreements: list[str] = []
    key = found_key(variables, home) if api_key is None else checked_key(api_key, "api_key")
    url, region = find_endpoint(variables, base_url, region, disagreements)
    settings = Settings(
        base_url=url,
        region=region,
        workspace=find_workspace(variables, url, base_url, workspace, disagreements),
        api_key=key,
        timeout=_number("timeout", timeout),
        deadline=_number("deadline", deadline),
        max_attempts=_number("max_attempts", max_attempts),
        concurrency=_number("concurrency", concurrency),
        page_size=_number("page_size", page_size),
        time_zone=_time_zone(time_zone),
        proxy=find_proxy(variables, urlsplit(url), proxy),
    )
    if disagreements:
        _warn(" ".join(disagreements))
    return settings


def with_changes(settings: Settings, **bounds: float | None) -> Settings:
    """
    Return the settings with other numbers, checked as by `resolve`; None changes nothing.

    Raises:
        ConfigurationError: Where a number is out of range.
    """
    given = {name: _number(name, value) for name, value in bounds.items() if value is not None}
    return attrs.evolve(settings, **given)


_WHOLE: Final = {"max_attempts": (1, sys.maxsize), "concurrency": (1, 1000), "page_size": (20, 100)}


def _number(name: str, value: object) -> Any:
    if name in _WHOLE:
        return whole_number(name, value, *_WHOLE[name], ConfigurationError)
    return positive_seconds(name, value, ConfigurationError)


def _time_zone(zone: object) -> tzinfo:
    if zone is None:
        return UTC_PLUS_8
    if not isinstance(zone, tzinfo):
        raise ConfigurationError(
            "time_zone must be a tzinfo, such as zoneinfo.ZoneInfo('Asia/Shanghai'), "
            f"not {shown(zone)}."
        )
    return zone


def _warn(text: str) -> None:
    # Point at the line outside this package that asked for the settings.
    depth, frame = 1, sys._getframe()
    while frame.f_back and frame.f_globals.get("__name__", "").partition(".")[0] == __package__:
        depth, frame = depth + 1, frame.f_back
    warnings.warn(text, UserWarning, stacklevel=depth)
