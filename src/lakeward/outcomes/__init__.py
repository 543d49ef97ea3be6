"""Business outcomes, each a method: what the app achieved, and for whom.

In: keyword fields of one outcome. Out: the id of its record, None when it was not kept. The methods
obey `ENABLE_OUTCOME_TRACKING` (counted `disabled`) and `LAKEWARD_ROLLOUT_OUTCOMES` (`sampled`).
Invalid data raises `Rejected` in development; everywhere else it goes to the quarantine with its
reason, is counted `rejected`, and None comes back: nothing is raised into the app.
"""

from lakeward.outcomes.deals import Booking, Deals
from lakeward.outcomes.matching import Matching
from lakeward.outcomes.opinions import Opinions
from lakeward.outcomes.steps import Steps
from lakeward.outcomes.telling import Joined, JoinedToPartner

__all__ = ["Booking", "Joined", "JoinedToPartner", "Outcomes"]


class Outcomes(Matching, Deals, Steps, Opinions):
    """Tells the lake of outcomes, through one collector; threads and forks may share it."""
