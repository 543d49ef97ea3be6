"""Matches, content, calls to action and exposures: what a visitor is shown and takes up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, Unpack

from lakeward.outcomes.telling import Joined, JoinedToPartner, Telling


class Matching(Telling):
    """Matches, content, calls to action and exposures: what a visitor is shown and takes up."""

    def partner_match(
        self,
        *,
        partner_id: str,
        score: float | None = None,
        reasons: Sequence[str] | None = None,
        primary: bool | None = None,
        rank: int | None = None,
        candidates: int | None = None,
        podcast_matched: bool | str | None = None,
        event_matched: bool | str | None = None,
        stage: str | None = None,
        focus_areas: Sequence[str] | None = None,
        revenue_tier: str | None = None,
        score_parts: Mapping[str, float] | None = None,
        algorithm: str | None = None,
        **joined: Unpack[Joined],
    ) -> str | None:
        """A contractor (`user_id`) was shown a partner as a match: `partner_match`.

        Kept in `outcomes`, `partner_id` in the record itself:
        partner_id: The partner that was matched.
        score: How well the partner fits (points of 100, 0 to 100).
        reasons: Why, the best reason first.
        primary: It is the first choice among the matches shown.
        rank: Place among the matches shown, from 1 (1 to 10000).
        candidates: Partners that were considered (partners).
        podcast_matched: A podcast was matched too: which one, or only that.
        event_matched: An event was matched too: which one, or only that.
        stage: Stage of the contractor at the match.
        focus_areas: The contractor's focus areas, top first.
        revenue_tier: The contractor's revenue range.
        score_parts: What the score is made of, such as focus, revenue, readiness (points of 100, 0
            to 100).
        algorithm: Name and version of the matching rule.
        """
        return self._tell(
            "partner_match", joined, partner_id=partner_id, score=score, reasons=reasons,
            primary=primary, rank=rank, candidates=candidates, podcast_matched=podcast_matched,
            event_matched=event_matched, stage=stage, focus_areas=focus_areas,
            revenue_tier=revenue_tier, score_parts=score_parts, algorithm=algorithm,
        )  # fmt: skip

    def content_interaction(
        self,
        *,
        content_type: Literal["article", "book", "course", "event", "other", "podcast", "video"],
        content_id: str | None = None,
        content_title: str | None = None,
        action: Literal[
            "attend",
            "complete",
            "download",
            "progress",
            "register",
            "save",
            "share",
            "start",
            "view",
        ]
        | None = None,
        progress: float | None = None,
        seconds: float | None = None,
        source: str | None = None,
        recommended: bool | None = None,
        **joined: Unpack[JoinedToPartner],
    ) -> str | None:
        """A user saw, played, read, saved or joined a podcast, event, book or other content:
        `content_interaction`.

        Kept in `outcomes`:
        content_type: Kind of content.
        content_id: The app's id of the content.
        content_title: Its title.
        action: What the user did; view when absent.
        progress: How far the user got (% of the content, 0 to 100).
        seconds: Time spent with it (s).
        source: What led there, such as match or search.
        recommended: The platform had recommended it.
        """
        return self._tell(
            "content_interaction", joined, content_type=content_type, content_id=content_id,
            content_title=content_title, action=action, progress=progress, seconds=seconds,
            source=source, recommended=recommended,
        )  # fmt: skip

    def cta_clicked(
        self,
        *,
        cta: str,
        cta_text: str | None = None,
        placement: str | None = None,
        destination: str | None = None,
        campaign: str | None = None,
        **joined: Unpack[JoinedToPartner],
    ) -> str | None:
        """A visitor followed a call to action: `cta_click`.

        Kept in `outcomes`:
        cta: Name of the call to action, such as `book_demo`.
        cta_text: What it said.
        placement: Where on the page it stood.
        destination: Where it leads, scrubbed.
        campaign: The campaign it belongs to.
        """
        return self._tell(
            "cta_click", joined, cta=cta, cta_text=cta_text, placement=placement,
            destination=destination, campaign=campaign,
        )  # fmt: skip

    def experiment_exposed(
        self,
        *,
        experiment: str,
        variant: str,
        variant_index: int | None = None,
        feature_key: str | None = None,
        experiment_version: int | None = None,
        hash_attribute: str | None = None,
        hash_value: str | None = None,
        hash_version: Literal[1, 2] | None = None,
        bucket: float | None = None,
        forced: bool | None = None,
        sticky: bool | None = None,
        source: str | None = None,
        **joined: Unpack[JoinedToPartner],
    ) -> str | None:
        """A unit of an experiment met its variant for the first time in an evaluation:
        `experiment_exposure`.

        Kept in `experiments`:
        experiment: Key of the experiment.
        variant: Key of the variant, such as control.
        variant_index: Place of the variant, from 0.
        feature_key: The flag whose evaluation it was.
        experiment_version: Phase of the experiment; raised when its split changes.
        hash_attribute: Which attribute assigns, such as user_id or session_id.
        hash_value: Its value: the unit of the analysis.
        hash_version: Version of the GrowthBook hash that assigned.
        bucket: The unit's place in [0, 1] by that hash (0 to 1).
        forced: Set by hand or by the address; left out of the analysis.
        sticky: Kept from an earlier assignment.
        source: Where the definition came from: file or database.
        """
        return self._tell(
            "experiment_exposure", joined, experiment=experiment, variant=variant,
            variant_index=variant_index, feature_key=feature_key,
            experiment_version=experiment_version, hash_attribute=hash_attribute,
            hash_value=hash_value, hash_version=hash_version, bucket=bucket, forced=forced,
            sticky=sticky, source=source,
        )  # fmt: skip
