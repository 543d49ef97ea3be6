"""The rival of ingest.py in Python: FastAPI and pydantic, each interaction a line of a file.

Nothing is scrubbed and nothing is synced. Prints its port and ends when its input ends.
"""

from __future__ import annotations

import json
import socket
import sys
import threading
import uuid
from datetime import UTC, datetime
from typing import Annotated, Any

import uvicorn
from fastapi import FastAPI, Request
from pydantic import BaseModel, ConfigDict, Field

Text = Annotated[str, Field(max_length=8192)]


class Event(BaseModel):
    """What is taken."""

    model_config = ConfigDict(extra="forbid")

    interaction_type: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_.:-]{0,63}$")]
    timestamp: datetime
    user_id: Text | None = None
    anonymous_id: Text | None = None
    session_id: Text | None = None
    url: Text | None = None
    referrer: Text | None = None
    title: Text | None = None
    properties: dict[str, Any] | None = None


class Line(Event):
    """What is written."""

    interaction_id: uuid.UUID
    environment: str
    app_version: str
    user_type: str
    ip_address: str | None
    user_agent: str | None
    received_at: datetime


class Answer(BaseModel):
    """What is answered."""

    accepted: int
    rejected: list[int]


def application(path: str) -> FastAPI:
    """One route."""
    app = FastAPI()
    file = open(path, "ab")  # noqa: SIM115 - open as long as the process

    @app.post("/v1/interactions")
    async def take(events: list[Event], request: Request) -> Answer:
        received, address = datetime.now(UTC), request.client.host if request.client else None
        lines = [
            Line(
                **event.model_dump(), interaction_id=uuid.uuid4(), environment="development",
                app_version="1.0.0", user_type="unknown", ip_address=address,
                user_agent=request.headers.get("user-agent"), received_at=received,
            ).model_dump_json(exclude_none=True)
            for event in events
        ]  # fmt: skip
        file.write(("\n".join(lines) + "\n").encode())
        file.flush()
        return Answer(accepted=len(events), rejected=[])

    return app


def main() -> None:
    """Serve on a free port of the loopback."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(128)
    server = uvicorn.Server(
        uvicorn.Config(application(sys.argv[1]), log_level="error", access_log=False)
    )

    def watch() -> None:
        sys.stdin.read()
        server.should_exit = True

    threading.Thread(target=watch, daemon=True).start()
    print(json.dumps({"port": listener.getsockname()[1]}), flush=True)
    server.run(sockets=[listener])


if __name__ == "__main__":
    main()
