"""The proxy through which identity providers are reached where the environment names one, as other programs read it."""

import base64
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies_environment, proxy_bypass

from rolevend.errors import IdentityProviderUnavailable
from rolevend.identity.provider import is_loopback


def through_proxy(url: str) -> Mapping[str, Any]:
    """Return the arguments with which a request of aiohttp for `url` goes through the proxy of HTTPS_PROXY.

    There are none without such a proxy, where NO_PROXY has the host, and for this machine. The proxy passes TLS through, and sees the host.

    A password of the proxy is in a header: aiohttp shows the address of a proxy in its errors, and these are in the status of objects.
    Raises IdentityProviderUnavailable if the proxy is neither `http://` nor `https://`.
    """
    proxies = getproxies_environment()
    named, target = proxies.get("https", ""), urlsplit(url)
    if not named or target.scheme != "https" or is_loopback(url) or proxy_bypass(target.netloc, proxies):
        return {}
    proxy = urlsplit(named if "://" in named else f"http://{named}")
    if proxy.scheme not in ("http", "https") or not proxy.hostname:
        raise IdentityProviderUnavailable("HTTPS_PROXY names no http:// or https:// proxy")
    credential, _, address = proxy.netloc.rpartition("@")
    encoded = base64.b64encode(unquote(credential).encode()).decode()
    return {
        "proxy": f"{proxy.scheme}://{address}",
        **({"proxy_headers": {"Proxy-Authorization": f"Basic {encoded}"}} if credential else {}),
    }
