"""Runs of flows: who went through which flow from when to when, worked out when it is asked.

Out: the view `flow_runs`, and the select that abandonment is derived with. Both have one rule.

    flow_step … flow_step   flow_completion | flow_step …
    └──────── one run ────────────────────┘ └ the next

A run is of one service, flow and person: the `user_id` where it is known, else the `anonymous_id`,
else the `session_id`; what names nobody is in no run. Ordered by time, a completion ends it, and
the next step begins another. A completion that the app tells right after a derived abandonment is
the same run, and its word counts. Where the quiet time is given, a step after a longer pause begins
another run, too; in the view the derived abandonments stand in those pauses.
"""

from __future__ import annotations

from typing import Final

from lakeward.interaction import LATEST_MS

NOBODY: Final = "('anonymous', '')"
PLACE: Final = "(ms, is_end, interaction_id)"
EVENTS: Final = f"""
SELECT * FROM (
    SELECT service, outcomes->>'$.flow' AS flow, user_id, user_type, anonymous_id, session_id,
        partner_id, environment, app_version, device, browser, referrer, interaction_id,
        epoch_ms(timestamp) AS ms, interaction_type = 'flow_completion' AS is_end,
        outcomes->>'$.step' AS step, coalesce(outcomes->>'$.status', 'completed') AS status,
        coalesce(outcomes->>'$.derived' = 'true', false) AS derived,
        TRY_CAST(outcomes->>'$.step_index' AS BIGINT) AS step_index,
        TRY_CAST(outcomes->>'$.steps_total' AS BIGINT) AS steps_total,
        CASE WHEN user_id NOT IN {NOBODY} THEN 'u' || user_id
            WHEN anonymous_id NOT IN {NOBODY} THEN 'a' || anonymous_id
            WHEN session_id NOT IN {NOBODY} THEN 's' || session_id END AS whose
    FROM interactions WHERE interaction_type IN ('flow_step', 'flow_completion')
) WHERE whose IS NOT NULL AND flow IS NOT NULL
"""
"""Steps and ends of flows, and whose they are."""


def numbered(events: str, quiet: str) -> str:
    """Events with the number of their run; `quiet` is SQL for a flow's seconds."""
    return f"""
    WITH marked AS (
        SELECT *, {quiet} AS quiet, lag(ms) OVER w AS before_ms,
            coalesce(lag(is_end) OVER w, false) AS after_end,
            coalesce(lag(derived) OVER w, false) AS after_derived
        FROM {events}
        WINDOW w AS (PARTITION BY service, flow, whose ORDER BY ms, is_end, interaction_id)
    )
    SELECT *, count(*) FILTER (
        WHERE (after_end AND NOT (is_end AND NOT derived AND after_derived))
            OR (NOT is_end AND NOT after_end AND ms - before_ms > quiet * 1000)
    ) OVER (PARTITION BY service, flow, whose ORDER BY ms, is_end, interaction_id) AS run
    FROM marked"""


STEP: Final = "FILTER (NOT is_end)"
DONE: Final = "FILTER (NOT is_end AND status = 'completed')"

FLOW_RUNS: Final = f"""
SELECT flow, service, whose[2:] AS person,
    CASE whose[1] WHEN 'u' THEN 'user_id' WHEN 'a' THEN 'anonymous_id' ELSE 'session_id' END
        AS person_kind,
    make_timestamptz(min(ms) * 1000) AS started_at,
    make_timestamptz(max(ms) {STEP} * 1000) AS last_step_at,
    make_timestamptz(max(ms) FILTER (is_end) * 1000) AS ended_at,
    count(DISTINCT step) {DONE} AS steps,
    arg_max(step, (coalesce(step_index, -1), ms, interaction_id)) {STEP} AS furthest_step,
    coalesce(arg_max(status, {PLACE}) FILTER (is_end), 'running') AS status,
    coalesce((max(ms) {STEP} - min(ms) {STEP}) / 1000.0, 0) AS seconds,
    coalesce(arg_max(derived, {PLACE}) FILTER (is_end), false) AS derived
FROM ({numbered(f"({EVENTS})", "NULL::DOUBLE")})
GROUP BY service, flow, whose, run
"""

OPEN_RUNS: Final = f"""
SELECT service, flow, whose, any_value(quiet) AS quiet, min(ms) AS first_ms, max(ms) AS last_ms,
    max(interaction_id) FILTER (last) AS last_id
FROM (
    SELECT service, flow, whose, run, quiet, ms, is_end, interaction_id,
        ms = max(ms) OVER (PARTITION BY service, flow, whose, run) AS last
    FROM ({numbered(
        f"({EVENTS}) LEFT JOIN quiet_times USING (flow)", "coalesce(seconds, $quiet)"
    )})
)
GROUP BY service, flow, whose, run
HAVING NOT bool_or(is_end)
"""  # fmt: skip
"""Runs without an end, by the table `quiet_times` and the parameter `$quiet` for all others."""
MARK: Final = "(md5_number_lower({}) >> 1)::BIGINT"
"""The number by which a run that was refused is known again; it tells of nobody."""
REFUSED: Final = f"""
DELETE FROM open_runs WHERE {MARK.format("last_id")} IN (SELECT unnest($refused::BIGINT[]))
RETURNING {MARK.format("last_id")}
"""
OVER: Final = f"least(last_ms + round(quiet * 1000), {LATEST_MS})::BIGINT + $grace"
CHOSEN: Final = f"FROM open_runs WHERE {OVER} < $now ORDER BY last_ms, last_id LIMIT $most"
NEXT_QUIET: Final = f"SELECT min({OVER}) FROM open_runs WHERE {OVER} >= $now"
"""Over the table `open_runs`, which is what `OPEN_RUNS` selects."""
QUIET_RUNS: Final = f"""
SELECT c.service, c.flow, c.last_ms, any_value(c.quiet) AS quiet, c.first_ms, c.last_id,
    arg_max(user_id, {PLACE}) AS user_id, arg_max(user_type, {PLACE}) AS user_type,
    arg_max(anonymous_id, {PLACE}) AS anonymous_id, arg_max(session_id, {PLACE}) AS session_id,
    arg_max(partner_id, {PLACE}) AS partner_id, arg_max(environment, {PLACE}) AS environment,
    arg_max(app_version, {PLACE}) AS app_version, arg_max(device, {PLACE}) AS device,
    arg_max(browser, {PLACE}) AS browser,
    arg_min(referrer, {PLACE}) AS referrer, max(steps_total) AS steps_total,
    coalesce(list(step ORDER BY ms, interaction_id) {DONE}, [])[:1000] AS done,
    coalesce(list(step ORDER BY ms, interaction_id)
        FILTER (status NOT IN ('completed', 'skipped')), [])[:1000] AS begun,
    {MARK.format("c.last_id")} AS mark
FROM chosen c JOIN ({EVENTS}) e ON e.whose = c.whose AND e.flow = c.flow
    AND e.service IS NOT DISTINCT FROM c.service AND e.ms BETWEEN c.first_ms AND c.last_ms
WHERE NOT is_end
GROUP BY c.service, c.flow, c.whose, c.first_ms, c.last_ms, c.last_id
ORDER BY c.last_ms, c.last_id
"""
"""Over the table `chosen`. No other run of the same person has a step between first and last."""

VIEWS: Final[dict[str, str]] = {"flow_runs": FLOW_RUNS}
"""The select of each view by its name."""
