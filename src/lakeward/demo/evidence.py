"""What the lake holds of a demo, in figures: once from the rows of the log, once by SQL.

In: a lake and where the log stood, or when the demo began. Out: `Figures`. The two ways share no
code, so that one finds what is wrong with the other. Fails as reading the log and asking do.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from importlib.util import find_spec
from typing import Any, Final

import msgspec

from lakeward.demo.figures import Arm, Coach, Deals, Feedback, Figures, Flow, Match, Step
from lakeward.demo.testimony import Known
from lakeward.interaction import JsonObject
from lakeward.lakedir import LakeDir
from lakeward.log import Position, read_lines
from lakeward.settings import Settings

OUTAGE_PATH: Final = "/api/partners"


def rows_since(lake: LakeDir, after: Position) -> list[JsonObject]:
    """Every row of the log behind a position."""
    return [msgspec.json.decode(line) for line, _ in read_lines(lake, after)]


def counted(rows: Iterable[JsonObject]) -> Figures:
    """The figures of rows."""
    kinds: dict[str, list[JsonObject]] = defaultdict(list)
    for row in rows:
        kinds[row["interaction_type"]].append(row)
    return Figures(
        flows=_flows(kinds["flow_step"], kinds["flow_completion"]),
        matches=_matches(kinds["partner_match"]),
        bookings=_by(kinds["demo_booking"], lambda row: row["outcomes"]["status"]),
        deals=_deals(kinds["deal_closed"]),
        feedback=_feedback(kinds["feedback_submission"]),
        coach=_coach(kinds["ai_conversation"], kinds["ai_rating"]),
        onboardings=_by(kinds["partner_onboarding"], lambda row: row["outcomes"]["status"]),
        content=_by(kinds["content_interaction"], lambda row: row["outcomes"]["content_type"]),
        messages=_by(kinds["message_sent"], lambda row: row["properties"]["template"]),
        ctas=len(kinds["cta_click"]),
        failed_requests=sum(
            row.get("response_status") == 503 and row.get("path", "").startswith(OUTAGE_PATH)
            for row in kinds["api_call"]
        ),
        experiments=_experiments(kinds["experiment_exposure"], kinds["demo_booking"]),
    )


def confided(rows: Iterable[JsonObject]) -> dict[str, Known]:
    """What the lake has of PowerConfidence: of each partner the newest score and comparison."""
    scored: dict[str, JsonObject] = {}
    compared: dict[str, JsonObject] = {}
    for row in rows:
        if row["interaction_type"] == "powerconfidence_update":
            scored[row["partner_id"]] = row["outcomes"]
        elif row["interaction_type"] == "message_consistency_analysis":
            compared[row["partner_id"]] = row["analysis"]
    return {
        partner: Known(
            score=told["new_score"], points=told["data_points"],
            alignment=compared.get(partner, {}).get("overall"),
            contradicted=tuple(
                sorted({one["claim"] for one in compared.get(partner, {}).get("discrepancies", ())})
            ),
            flags=None,
        )
        for partner, told in scored.items()
    }  # fmt: skip


def _by(rows: Iterable[JsonObject], name: Callable[[JsonObject], str]) -> dict[str, int]:
    return dict(Counter(map(name, rows)))


def _flows(steps: Iterable[JsonObject], ends: Iterable[JsonObject]) -> dict[str, Flow]:
    people: dict[tuple[str, str, str], set[str]] = defaultdict(set)
    for row in steps:
        told = row["outcomes"]
        people[told["flow"], told["step"], told.get("status", "completed")].add(_who(row))
    completed: Counter[str] = Counter()
    abandoned: Counter[str] = Counter()
    ours = set().union(*people.values())
    for row in ends:
        if _who(row) not in ours:
            continue  # a run of a demo before, which goes quiet only now
        told = row["outcomes"]
        (abandoned if told.get("status") == "abandoned" else completed)[told["flow"]] += 1
    found: dict[str, Flow] = {}
    for flow in sorted({flow for flow, _, _ in people}):
        names = {step for name, step, _ in people if name == flow}
        found[flow] = Flow(
            {step: Step(len(people[flow, step, "entered"]), len(people[flow, step, "completed"]))
             for step in names},
            completed=completed[flow], abandoned=abandoned[flow],
        )  # fmt: skip
    return found


def _who(row: JsonObject) -> str:
    """The person, or before that the visit."""
    user = row.get("user_id") or "anonymous"
    return str(row.get("session_id")) if user == "anonymous" else str(user)


def _matches(rows: Iterable[JsonObject]) -> dict[str, list[Match]]:
    found: dict[str, list[Match]] = defaultdict(list)
    for row in rows:
        told = row["outcomes"]
        found[_who(row)].append(
            Match(row.get("partner_id", ""), told.get("score", -1.0), told.get("rank", 0))
        )
    return dict(found)


def _deals(rows: Iterable[JsonObject]) -> dict[str, Deals]:
    found: dict[str, Deals] = defaultdict(Deals)
    for row in rows:
        told = row["outcomes"]
        had = found[told["currency"]]
        found[told["currency"]] = Deals(had.count + 1, had.value + told["value"])
    return dict(found)


def _feedback(rows: Iterable[JsonObject]) -> Feedback:
    given = [row["feedback"] for row in rows]
    if not given:
        return Feedback()
    scores: dict[str, list[float]] = defaultdict(list)
    for one in given:
        for name, score in one["scores"].items():
            scores[name].append(score)
    return Feedback(
        count=len(given), scores={name: _mean(marks) for name, marks in scores.items()},
        overall=_mean([one["overall"] for one in given]),
        nps=_mean([one["nps"] for one in given]),
        recommend=sum(bool(one.get("recommend")) for one in given),
    )  # fmt: skip


def _coach(turns: list[JsonObject], ratings: list[JsonObject]) -> Coach:
    """The log does not know what a turn costs: that is worked out on the way into the table."""
    known = {row["interaction_id"] for row in turns}
    helped = [
        row["ai_metadata"]["helpful"] for row in ratings if row["parent_interaction_id"] in known
    ]
    used = [row["ai_metadata"] for row in turns]
    return Coach(
        conversations=len({row.get("conversation_id") for row in turns}), turns=len(turns),
        helpful=helped.count(True), unhelpful=helped.count(False),
        input_tokens=sum(one.get("input_tokens", 0) for one in used),
        output_tokens=sum(one.get("output_tokens", 0) for one in used),
    )  # fmt: skip


def _experiments(
    exposures: Iterable[JsonObject], bookings: Iterable[JsonObject]
) -> dict[str, dict[str, Arm]]:
    """A person who was exposed twice is one; who books is known by the id that was assigned."""
    units: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for row in exposures:
        told = row["experiments"]
        units[told["experiment"]][told["variant"]].add(told["hash_value"])
    booked = {row["user_id"] for row in bookings if row["outcomes"]["status"] == "booked"}
    return {
        name: {arm: Arm(len(people), len(people & booked)) for arm, people in arms.items()}
        for name, arms in units.items()
    }


def _mean(marks: list[float]) -> float:
    return round(sum(marks) / len(marks), 3)


def can_ask() -> bool:
    """Whether the extra for questions in SQL is there."""
    return all(find_spec(name) for name in ("pyarrow", "duckdb", "deltalake"))


WHO: Final = (
    "CASE WHEN coalesce(user_id, 'anonymous') = 'anonymous' THEN session_id ELSE user_id END"
)
QUESTIONS: Final = {
    "steps": f"""
        SELECT outcomes->>'$.flow' AS flow, outcomes->>'$.step' AS step,
            coalesce(outcomes->>'$.status', 'completed') AS status, count(DISTINCT {WHO}) AS n
        FROM flow_step WHERE {{since}} GROUP BY ALL""",  # noqa: S608 - our own words
    "ends": f"""
        SELECT outcomes->>'$.flow' AS flow,
            coalesce(outcomes->>'$.status', 'completed') AS status, count(*) AS n
        FROM flow_completion WHERE {{since}}
            AND {WHO} IN (SELECT {WHO} FROM flow_step WHERE {{since}}) GROUP BY ALL""",  # noqa: S608 - our own words
    "matches": f"""
        SELECT {WHO} AS who, partner_id AS partner, (outcomes->>'$.score')::DOUBLE AS score,
            (outcomes->>'$.rank')::INT AS rank FROM partner_match WHERE {{since}}""",  # noqa: S608 - our own words
    "deals": """
        SELECT outcomes->>'$.currency' AS currency, count(*) AS n,
            sum((outcomes->>'$.value')::DOUBLE) AS value
        FROM deal_closed WHERE {since} GROUP BY ALL""",
    "scores": """
        SELECT s.key AS name, round(avg(s.value::DOUBLE), 3) AS mean
        FROM feedback_submission, json_each(feedback->'$.scores') AS s
        WHERE {since} GROUP BY ALL""",
    "feedback": """
        SELECT count(*) AS n, round(avg((feedback->>'$.overall')::DOUBLE), 3) AS overall,
            round(avg((feedback->>'$.nps')::DOUBLE), 3) AS nps,
            count(*) FILTER ((feedback->>'$.recommend')::BOOLEAN) AS recommend
        FROM feedback_submission WHERE {since}""",
    "coach": """
        SELECT count(DISTINCT conversation_id) AS conversations, count(*) AS turns,
            count(*) FILTER (helpful) AS helpful, count(*) FILTER (NOT helpful) AS unhelpful,
            coalesce(sum(input_tokens), 0)::BIGINT AS input_tokens,
            coalesce(sum(output_tokens), 0)::BIGINT AS output_tokens,
            coalesce(sum(cost_usd), 0) AS cost_usd
        FROM ai_turns JOIN (SELECT interaction_id FROM ai_conversation WHERE {since})
            USING (interaction_id)""",
    "named": """
        SELECT 'bookings' AS what, outcomes->>'$.status' AS name, count(*) AS n
        FROM demo_booking WHERE {since} GROUP BY ALL
        UNION ALL SELECT 'onboardings', outcomes->>'$.status', count(*)
        FROM partner_onboarding WHERE {since} GROUP BY ALL
        UNION ALL SELECT 'content', outcomes->>'$.content_type', count(*)
        FROM content_interaction WHERE {since} GROUP BY ALL
        UNION ALL SELECT 'messages', properties->>'$.template', count(*)
        FROM message_sent WHERE {since} GROUP BY ALL""",
    "experiments": """
        SELECT experiments->>'$.experiment' AS experiment, experiments->>'$.variant' AS variant,
            count(DISTINCT user_id) AS users, count(DISTINCT user_id) FILTER (user_id IN (
                SELECT user_id FROM demo_booking
                WHERE {since} AND outcomes->>'$.status' = 'booked')) AS conversions
        FROM experiment_exposure WHERE {since} GROUP BY ALL""",
    "ctas": "SELECT count(*) AS n FROM cta_click WHERE {since}",
    "failed": """
        SELECT count(*) AS n FROM api_call
        WHERE {since} AND response_status = 503 AND starts_with(path, '/api/partners')""",
}


def asked(settings: Settings, began: str) -> Figures:
    """The same figures, each the answer to a question over table and tail."""
    answers = {name: list(_ask(settings, sql, began)) for name, sql in QUESTIONS.items()}
    named: dict[str, dict[str, int]] = defaultdict(dict)
    for row in answers["named"]:
        named[row["what"]][row["name"]] = row["n"]
    arms: dict[str, dict[str, Arm]] = defaultdict(dict)
    for row in answers["experiments"]:
        arms[row["experiment"]][row["variant"]] = Arm(row["users"], row["conversions"])
    shown: dict[str, list[Match]] = defaultdict(list)
    for row in answers["matches"]:
        shown[row["who"]].append(Match(row["partner"], row["score"], row["rank"]))
    feedback, coach = answers["feedback"][0], answers["coach"][0]
    return Figures(
        flows=_flows_asked(answers["steps"], answers["ends"]),
        matches=dict(shown),
        bookings=named["bookings"], onboardings=named["onboardings"], content=named["content"],
        messages=named["messages"],
        deals={row["currency"]: Deals(row["n"], row["value"]) for row in answers["deals"]},
        feedback=Feedback(
            feedback["n"], {row["name"]: row["mean"] for row in answers["scores"]},
            feedback["overall"] or 0.0, feedback["nps"] or 0.0, feedback["recommend"],
        ),
        coach=Coach(**coach),
        ctas=answers["ctas"][0]["n"], failed_requests=answers["failed"][0]["n"],
        experiments=dict(arms),
    )  # fmt: skip


def _flows_asked(steps: list[JsonObject], ends: list[JsonObject]) -> dict[str, Flow]:
    people: dict[str, dict[str, dict[str, int]]] = defaultdict(lambda: defaultdict(dict))
    for row in steps:
        people[row["flow"]][row["step"]][row["status"]] = row["n"]
    ended = {(row["flow"], row["status"]): row["n"] for row in ends}
    return {
        flow: Flow(
            {step: Step(n.get("entered", 0), n.get("completed", 0)) for step, n in found.items()},
            completed=ended.get((flow, "completed"), 0),
            abandoned=ended.get((flow, "abandoned"), 0),
        )
        for flow, found in people.items()
    }  # fmt: skip


def _ask(settings: Settings, question: str, began: str) -> Iterator[dict[str, Any]]:
    from lakeward.lake.answer import Answer

    day = began[:10]
    since = f"event_date >= DATE '{day}' AND timestamp >= TIMESTAMPTZ '{began}'"
    with Answer(settings, question.format(since=since)) as answer:
        for batch in answer:
            yield from batch.to_pylist()
