"""Which route served a call, as its application wrote it: `/api/partners/{id}`.

In: an ASGI scope after Starlette or FastAPI has routed it. Out: the template with all mounts and
prefixes, or None when no route matched. May fail with whatever a strange scope or route raises.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, MutableMapping
from typing import Any

Scope = MutableMapping[str, Any]

REST = "/{path}"
KNOWN_MOST = 4096


def route_template(
    scope: Scope, known: dict[str, str], scrub: Callable[[str], str]
) -> str | None:  # fmt: skip
    """The template; `known` keeps the mounts' part by the path that they took.

    `scrub` makes a path fit to be stored: needed where the mounts' own words cannot be seen.
    """
    route = _included(scope, scope.get("route"))
    if route is None:
        return _searched(scope)
    prefix = _mounted(scope, route, known, scrub) if "app_root_path" in scope else ""
    if hasattr(route, "routes"):
        # A mount whose app told no more; its own path is in the prefix already.
        return prefix + REST if hasattr(route, "path_format") else None
    form = getattr(route, "path_format", None) or getattr(route, "path", None)
    return None if form is None else prefix + str(form)


def _included(scope: Scope, route: object) -> object:
    """FastAPI puts a route as its router wrote it into the scope, and the prefix beside it."""
    fastapi = scope.get("fastapi")
    if fastapi is None:
        return route
    context = fastapi.get("effective_route_context")
    if context is None or (route is not None and context.original_route is not route):
        return route
    found: object = context.starlette_route or context
    return found


def _mounted(
    scope: Scope, route: object, known: dict[str, str], scrub: Callable[[str], str]
) -> str:
    """The part of the path that mounts took, in their own words."""
    prefix: str = scope["root_path"].removeprefix(scope["app_root_path"])
    if not scope.get("path_params"):
        return prefix
    form = known.get(prefix)
    if form is None:
        routes = getattr(scope.get("router"), "routes", ())
        form = _mounts(routes, prefix) or _by_value(scope, route, prefix, scrub)
        if len(known) >= KNOWN_MOST:
            known.clear()
        known[prefix] = form
    return form


def _mounts(routes: Iterable[object], prefix: str) -> str | None:
    """The mounts that together take exactly `prefix`."""
    for mount in routes:
        regex, form = getattr(mount, "path_regex", None), getattr(mount, "path_format", "")
        if regex is None or not hasattr(mount, "routes") or not form.endswith(REST):
            continue
        match = regex.match(prefix + "/")
        if match is not None:
            own, rest = form.removesuffix(REST), match["path"].removesuffix("/")
            below = _mounts(mount.routes, "/" + rest) if rest else ""
            if below is not None:
                return own + below
    return None


def _by_value(scope: Scope, route: object, prefix: str, scrub: Callable[[str], str]) -> str:
    """Where the mounts cannot be seen: each segment that is a parameter's value gets its name."""
    own = getattr(route, "param_convertors", {})
    names = {str(value): name for name, value in scope["path_params"].items() if name not in own}
    segments = zip(prefix.split("/"), scrub(prefix).split("/"), strict=False)
    return "/".join(f"{{{names[raw]}}}" if raw in names else clean for raw, clean in segments)


def _searched(scope: Scope) -> str | None:
    """The route by its endpoint: FastAPI's own pages and mounts, and older Starlettes."""
    endpoint = scope.get("endpoint")
    if endpoint is None:
        return None
    path = scope["path"].removeprefix(scope.get("app_root_path", scope.get("root_path", "")))
    return _leading_to(endpoint, getattr(scope.get("router"), "routes", ()), path)


def _leading_to(endpoint: object, routes: Iterable[object], path: str) -> str | None:
    for route in routes:
        regex = getattr(route, "path_regex", None)
        match = regex.match(path) if regex is not None else None
        if match is None:
            continue
        form = str(getattr(route, "path_format", ""))
        if hasattr(route, "routes"):
            below = _leading_to(endpoint, route.routes, "/" + match["path"])
            if below is None and getattr(route, "app", None) is endpoint:
                below = REST
            if below is not None:
                return form.removesuffix(REST) + below
        elif getattr(route, "endpoint", None) is endpoint:
            return form
    return None
