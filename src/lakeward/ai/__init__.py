"""AI conversations: every turn with a model is one record, captured by the app's own code.

In: a collector, and what the app asks and hears. Out: `ai_conversation` for each turn, however it
ends, and `ai_rating`. Nothing is raised into the app; no SDK is imported.
"""

from lakeward.ai.conversation import AI, About, Rater
from lakeward.ai.turn import Turn

__all__ = ["AI", "About", "Rater", "Turn"]
