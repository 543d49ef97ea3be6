"""Podcasts, events and books: what a visitor looks at and takes up."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from fastapi import APIRouter, Form, Request
from fastapi.responses import Response

from lakeward.demo.partners import LIBRARY, Content
from lakeward.demo.platform import Platform, Problem, onward, with_cookie

Action = Literal["start", "complete", "register", "download", "save"]
ACTIONS: Final[dict[str, Action]] = {
    "start": "start", "complete": "complete", "register": "register", "download": "download",
    "save": "save",
}  # fmt: skip
Field = Annotated[str, Form(max_length=20)]


def routes(platform: Platform) -> APIRouter:
    """The library's pages."""
    router = APIRouter()

    @router.get("/library")
    def shelf(request: Request) -> Response:
        _, token = platform.welcome(request)
        page = platform.page(request, "library", contents=LIBRARY.values())
        return with_cookie(request, page, token)

    @router.get("/library/{content_id}")
    def look(request: Request, content_id: str) -> Response:
        _, token = platform.welcome(request)
        content = _known(content_id)
        _tell(platform, request, content, "view", None)
        page = platform.page(request, "content", content=content, actions=list(ACTIONS))
        return with_cookie(request, page, token)

    @router.post("/library/{content_id}")
    def take(
        request: Request, content_id: str, action: Field = "", progress: Field = ""
    ) -> Response:  # fmt: skip
        _, token = platform.welcome(request)
        content = _known(content_id)
        far = int(progress) if progress.isascii() and progress.isdigit() else None
        if action not in ACTIONS or (far is not None and far > 100):
            raise Problem(422, "That cannot be done with it.")
        _tell(platform, request, content, ACTIONS[action], far)
        return onward(request, f"/library/{content_id}", token)

    return router


def _known(content_id: str) -> Content:
    try:
        return LIBRARY[content_id]
    except KeyError:
        raise Problem(404, "There is no such title in the library.") from None


def _tell(
    platform: Platform, request: Request, content: Content, action: Action | Literal["view"],
    progress: float | None,
) -> None:  # fmt: skip
    user = request.scope.get("demo.user")
    platform.outcomes.content_interaction(
        content_type=content.kind, content_id=content.content_id, content_title=content.title,
        action=action, progress=progress, source="library",
        user_id=user[0] if user else None, user_type=user[1] if user else None,
    )  # fmt: skip
