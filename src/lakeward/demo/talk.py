"""What a contractor says of the platform, and what the coach and he say to each other.

In: acts, each with its moment. Out: feedback, turns with the tokens of the bundled assistant, and
ratings, as they are recorded.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from lakeward.demo.acts import Act
from lakeward.demo.answers import answer, tokens
from lakeward.demo.answers import asked as asking
from lakeward.demo.assistant import MODEL
from lakeward.demo.passage import Passage
from lakeward.demo.scribe import Scribe
from lakeward.demo.sight import Told


class Talk:
    """One contractor's."""

    def __init__(self, scribe: Scribe, passage: Passage) -> None:
        self._scribe, self._passage = scribe, passage
        self.is_open = False
        """Whether the coach is, which it is after the feedback."""
        self._conversation, self._turn, self._last_turn = "", 0, ""

    def rates_us(self, at: int, act: Act) -> Iterator[Told]:
        """The platform gets its marks, and the coach opens."""
        told = dict(act.fields)
        yield from self._scribe.open(at - 8000, "/feedback")[1]
        cause, sent = self._scribe.sending(at, "/feedback", sent=110)
        yield from sent
        feedback: dict[str, Any] = {
            "scores": {name: float(told[name]) for name in ("communication", "expertise", "value")},
            "overall": float(told["overall"]), "recommend": told["recommend"] == "yes",
            "nps": int(told["nps"]), "subject": "platform", "survey": "platform-1",
        }  # fmt: skip
        if told["comments"]:
            feedback["comments"] = told["comments"]
        yield cause.told("feedback_submission", at + 9, feedback=feedback)
        self.is_open = True
        yield from self._scribe.open(at + 80, "/coach")[1]
        self._conversation = ""

    def asks(self, at: int, act: Act) -> Iterator[Told]:
        """The coach is asked, and answers."""
        text = dict(act.fields)["text"]
        if self._scribe.at != "/coach":
            yield from self._scribe.open(at - 9000, "/coach")[1]
            self._conversation = ""
        if not self._conversation:
            self._conversation, self._turn = f"k-{self._scribe.token(at)}", 0
        cause, sent = self._scribe.sending(at, "/coach/messages", status=200, sent=60 + len(text))
        yield from sent
        messages = asking(self._passage.focus, text)
        said = answer(text)
        told, spoken = sum(tokens(one["content"]) for one in messages), tokens(said)
        first, took = self._scribe.times(380.0), self._scribe.times(900.0)
        kind, fields = cause.told("ai_conversation", at + 4, conversation_id=self._conversation,
            ai_metadata={
                "duration_ms": first + took, "time_to_first_token_ms": first, "streamed": True,
                "operation": "chat", "response_id": "chatcmpl-demo", "model_answered": MODEL,
                "finish_reason": "stop", "status": "completed", "input_tokens": told,
                "output_tokens": spoken, "total_tokens": told + spoken,
                "tokens_source": "reported", "captured_by": "api", "turn": self._turn,
                "usage": {"prompt_tokens": told, "completion_tokens": spoken,
                          "total_tokens": told + spoken},
                "feature": "coach", "provider": "lakeward-demo", "model_requested": MODEL,
                "prompt_name": "coach", "prompt_version": "1",
            }, messages=[*messages, {"role": "assistant", "content": said}])  # fmt: skip
        self._turn += 1
        self._last_turn = fields["interaction_id"]
        yield kind, fields

    def rates(self, at: int, act: Act) -> Iterator[Told]:
        """The last answer is rated."""
        helpful = dict(act.fields)["helpful"] == "yes"
        cause, sent = self._scribe.sending(at, "/coach/ratings", status=200, sent=58)
        yield from sent
        kind, fields = cause.told("ai_rating", at + 5, ai_metadata={"helpful": helpful})
        yield kind, fields | {"parent_interaction_id": self._last_turn}
