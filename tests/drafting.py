"""A process that streams turns of an AI, and says which pieces it has handed out. Ends by SIGKILL.

    python drafting.py TURNS THREADS PIECES [fork] [close]

Each line of its output is `turn piece` once the piece was given to the draft; `ready` at the end.
"""

from __future__ import annotations

import os
import sys
import threading
import time

from uuid_utils import uuid7

from lakeward import Collector
from lakeward.ai.draft import Drafts

SECRET = "sk-proj-Zz9Yy8Xx7Ww6Vv5Uu4Tt3Ss2"


def stream(collector: Collector, drafts: Drafts, pieces: int, *, close: bool) -> None:
    turn = str(uuid7())
    asked = [{"role": "user", "content": f"asked of {turn}, my key is {SECRET}"}]
    draft = drafts.open(turn, {"user_id": "u1", "conversation_id": turn, "messages": asked})
    out = [f"{turn} \n"]
    os.write(1, out[0].encode())
    for n in range(pieces):
        draft.text(f"[{n}]")
        os.write(1, f"{turn} [{n}]\n".encode())
        if n == 3:
            draft.fields({"model_answered": "gpt-4o-mini", "time_to_first_token_ms": 12})
        time.sleep(0.0005)
    if close:
        collector.record("ai_conversation", interaction_id=turn, messages=asked, status="completed")
        draft.close()


def run(collector: Collector, drafts: Drafts, turns: int, threads: int, pieces: int) -> None:
    def work() -> None:
        for _ in range(turns):
            stream(collector, drafts, pieces, close="close" in sys.argv)

    workers = [threading.Thread(target=work) for _ in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()


def main() -> None:
    turns, threads, pieces = map(int, sys.argv[1:4])
    collector = Collector.from_env()
    drafts = Drafts(collector)
    if "fork" in sys.argv:
        stream(collector, drafts, 5, close=False)
        if os.fork() == 0:
            run(collector, drafts, turns, threads, pieces)
            os.write(1, b"ready\n")
            time.sleep(60)
    else:
        run(collector, drafts, turns, threads, pieces)
    os.write(1, b"ready\n")
    time.sleep(60)


if __name__ == "__main__":
    main()
