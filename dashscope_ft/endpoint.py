"""
Where requests go: region, base URL, workspace and proxy, from arguments and environment.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final
from urllib.parse import SplitResult, urlsplit

from .arguments import shown
from .credentials import Environment, Secret
from .errors import ConfigurationError

REGIONS: Final = {
    "intl": ("ap-southeast-1", "dashscope-intl.aliyuncs.com"),
    "cn": ("cn-beijing", "dashscope.aliyuncs.com"),
    "hk": ("cn-hongkong", "cn-hongkong.dashscope.aliyuncs.com"),
    "us": ("us-east-1", "dashscope-us.aliyuncs.com"),
}
"""Region id and host by region name."""

_REGION_BY_WORD = {word: name for name, (id_, _) in REGIONS.items() for word in (name, id_)}
_REGION_BY_HOST = {host: name for name, (_, host) in REGIONS.items()}

_URL_VARIABLES = ("DASHSCOPE_BASE_URL", "DASHSCOPE_HTTP_BASE_URL")
_API_PATH = "/api/v1"
_WORKSPACE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_GATEWAY = re.compile(r"([a-z0-9][a-z0-9_-]*)\.([a-z0-9-]+)\.maas\.aliyuncs\.com")
_HOST_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_HOST_NAME = re.compile(rf"(?=.{{1,253}}\Z){_HOST_LABEL}(?:\.{_HOST_LABEL})*")
_PATH = re.compile(r"(?:/(?!\.+(?:/|\Z))[A-Za-z0-9._~:+-]+)*")


def find_endpoint(
    environ: Environment,
    base_url: str | None,
    region: str | None,
    disagreements: list[str],
) -> tuple[str, str]:
    """
    Return the base URL and the region.

    An argument goes before the environment, and a URL before a region. Where variables disagree
    with each other or with `region`, a sentence that says so is added to `disagreements`.
    """
    chosen = None if region is None else _region_name(region, "region")
    if base_url is not None:
        url = _checked_url(base_url, "base_url")
        known = _region_of_url(url)
        if chosen is not None and known not in (chosen, None):
            raise ConfigurationError(
                f"base_url is a host of region {known}, but region is {chosen}: "
                "give one of them only."
            )
        region = chosen or known
        return url, region or _region_by_variable(environ, _region_variable(environ, disagreements))
    if chosen is not None:
        disagreements += [
            f"{name} points elsewhere than region {chosen}: "
            f"the argument region is used, {name} is not."
            for name in environ.found(*_URL_VARIABLES)
            if not _is_in_region(environ[name], chosen)
        ]
        return _region_url(chosen), chosen

    source = _preferred(environ, _URL_VARIABLES, _comparable_url, disagreements)
    url = _checked_url(environ[source], source) if source else ""
    known = _region_of_url(url)
    variable = _region_variable(environ, disagreements)
    if known is None:
        named = _region_by_variable(environ, variable)
        return url or _region_url(named), named
    if variable and _REGION_BY_WORD.get(environ[variable]) != known:
        disagreements.append(
            f"{source} is a host of region {known}, {variable} differs: {source} is used."
        )
    return url, known


def _region_variable(environ: Environment, disagreements: list[str]) -> str | None:
    return _preferred(
        environ,
        ("DASHSCOPE_REGION", "DASHSCOPE_API_REGION"),
        lambda word: _REGION_BY_WORD.get(word, word),
        disagreements,
    )


def _region_by_variable(environ: Environment, variable: str | None) -> str:
    return _region_name(environ[variable], variable) if variable else "intl"


def _preferred(
    environ: Environment,
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
            f"{source} is {shown(word)}, which is not a region; there are {valid}."
        )
    return name


def _region_url(name: str) -> str:
    return f"https://{REGIONS[name][1]}{_API_PATH}"


def _region_of_url(url: str) -> str | None:
    host = urlsplit(url).hostname or ""
    gateway = _GATEWAY.fullmatch(host)
    return _REGION_BY_WORD.get(gateway[2]) if gateway else _REGION_BY_HOST.get(host)


def _is_in_region(text: str, region: str) -> bool:
    try:
        return _region_of_url(_checked_url(text, "")) == region
    except ConfigurationError:
        return False


def find_workspace(
    environ: Environment,
    url: str,
    base_url: str | None,
    workspace: str | None,
    disagreements: list[str],
) -> str | None:
    """
    Return the workspace's id; where variables disagree, add a sentence to `disagreements`.
    """
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
            f"{source} is {shown(workspace)}, which is not a workspace id: 1 to 64 letters, "
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


def find_proxy(environ: Environment, url: SplitResult, proxy: Secret | None) -> Secret | None:
    """
    Return the proxy to go through: the one given, else what the usual variables say.
    """
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


def _is_exempt(environ: Environment, url: SplitResult) -> bool:
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
