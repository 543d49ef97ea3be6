"""Scores are made anew where something changed, kept for ever, told once, and shown to the partner
only as far as nobody can be picked out."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import msgspec
import pytest

from databases import Store
from lakeward.collector import Collector
from lakeward.confidence import form, scoring, view
from lakeward.confidence.consistency import lexical
from lakeward.confidence.desk import Told
from lakeward.confidence.round import tell
from lakeward.confidence.score import Score
from lakeward.confidence.scoring import Scoring
from lakeward.person import Person
from lakeward.store.changes import untold
from lakeward.store.eraser import DatabaseEraser
from lakeward.store.responses import Answers
from lakeward.store.scores import Scored
from witnessed import ADMIN, Asked

OFFER = "We answer every call within one hour. All our work is guaranteed for ten years."


@pytest.fixture
def asked(store: Store) -> Asked:
    made = Asked(store)
    made.desk.partners.upsert("p9", actor=ADMIN, proposition=OFFER)
    return made


def looked(asked: Asked) -> list[Scored]:
    return Scoring(asked.desk, lexical()).look()


def whole(asked: Asked) -> dict[str, Any]:
    found: dict[str, Any] = view.confidence(asked.desk, "p9", whole=True)["score"]
    return found


def partners_view(asked: Asked) -> dict[str, Any]:
    return view.confidence(asked.desk, "p9", whole=False)


def test_nobody_has_a_score_before_somebody_spoke(asked: Asked) -> None:
    assert looked(asked) == []
    found = view.confidence(asked.desk, "p9", whole=True)
    assert (found["score"], found["why"]) == (None, view.NO_SCORE)


def test_a_score_is_made_when_somebody_speaks_and_only_then(asked: Asked) -> None:
    asked.feed("employee", 1, 9)
    [first] = looked(asked)
    assert (first.seq, first.trigger) == (1, "evidence")
    assert looked(asked) == []
    asked.feed("reference", 1, 3)
    [second] = looked(asked)
    assert (second.seq, second.trigger) == (2, "evidence")
    assert second.value < first.value
    assert [one.seq for one in asked.desk.scores.history("p9")] == [2, 1]


def test_a_score_explains_itself_to_the_last_point(asked: Asked) -> None:
    for n in range(5):
        asked.feed("employee", n, 8 + n % 3)
        asked.feed("reference", n, 7 + n % 3)
    [made] = looked(asked)
    score = msgspec.convert(made.score, Score)
    parts = sum(one.points for part in score.sources for one in part.respondents)
    assert parts + sum(part.prior_points for part in score.sources) == pytest.approx(made.value)
    assert score.by_source["employees"].respondents_n == 5
    assert score.provisional  # no demos
    assert any("demo" in why for why in score.why_provisional)


def test_time_alone_makes_it_anew_once_a_week(asked: Asked) -> None:
    asked.feed("employee", 1, 9)
    looked(asked)
    asked.clock.on(6.9)
    assert looked(asked) == []
    asked.clock.on(0.2)
    [later] = looked(asked)
    assert later.trigger == "schedule"


def test_another_formula_makes_it_anew(asked: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    asked.feed("employee", 1, 9)
    looked(asked)
    monkeypatch.setattr(scoring, "formula_version", lambda: "2")
    assert [one.trigger for one in looked(asked)] == ["correction"]


def test_what_is_said_is_compared_with_what_the_ceo_says(asked: Asked) -> None:
    asked.feed("reference", 1, 8, comments="It took them three days to answer the call.")
    asked.feed("reference", 2, 8, comments="They answer every call within one hour.")
    looked(asked)
    found = view.consistency(asked.desk, "p9", whole=True)
    assert found["model"] == "lexical-fallback"
    [wrong] = found["report"]["discrepancies"]
    assert wrong["claim"] == "We answer every call within one hour."
    assert wrong["quote"] == "It took them three days to answer the call."
    shares = found["report"]["witness_alignment"]
    assert sorted(shares.values()) == [0.0, 1.0]
    assert whole(asked)["sources"][3]["respondents_n"] == 2
    told = [fields for kind, fields in asked.told() if kind == "message_consistency_analysis"]
    assert told[-1]["contradicted"] + told[-1]["supported"] >= 1


def test_every_score_is_told_with_what_was_before(asked: Asked) -> None:
    for n, rating in enumerate((9, 4)):
        asked.feed("employee", n, rating)
        looked(asked)
    told = [fields for kind, fields in asked.told() if kind == "powerconfidence_update"]
    assert [one["trigger"] for one in told] == ["evidence", "evidence"]
    assert "previous_score" not in told[0]
    assert told[1]["previous_score"] == told[0]["new_score"]
    assert told[1]["change"] == pytest.approx(told[1]["new_score"] - told[0]["new_score"])


def test_the_lake_hears_of_each_change_once(asked: Asked) -> None:
    asked.feed("employee", 1, 9)
    looked(asked)
    waiting = len(untold(asked.desk.database))
    with Collector(asked.settings) as collector:
        assert tell(asked.desk, collector) == waiting
        assert tell(asked.desk, collector) == 0
    assert untold(asked.desk.database) == []


def test_of_two_hosts_that_score_at_once_one_adds_it(asked: Asked) -> None:
    asked.feed("employee", 1, 9)
    [made] = looked(asked)
    again = asked.desk.scores.add(
        "p9", made.score, trigger="evidence", evidence="x", stamp="x", told={}, after=0
    )
    assert again is None
    assert len(asked.desk.scores.history("p9")) == 1


def test_an_erased_witness_is_in_no_score_no_analysis_and_no_byte(asked: Asked) -> None:
    asked.feed("reference", 1, 2, comments="It took them three days to answer the call.")
    for n in range(2, 6):
        asked.feed("reference", n, 9)
    [before] = looked(asked)
    eraser = DatabaseEraser(asked.desk.database)
    person = Person("user_id", "reference1@firm1.example")
    [mine] = [one for one in asked.desk.witnesses.of("p9") if one.email == person.value]
    assert eraser.find(person) > 0
    eraser.erase(person)
    assert eraser.find(person) == 0
    for secret in (person.value, mine.witness_id, "three days"):
        assert secret.encode() not in asked.store.raw()
    old = asked.desk.scores.history("p9")[0]
    assert (old.value, old.low) == (before.value, before.low)  # the past stays
    [after] = looked(asked)
    assert after.trigger == "erasure"
    assert after.value > before.value
    assert after.score["sources"][1]["respondents_n"] == 4


def test_a_removed_witness_takes_everything_along(asked: Asked) -> None:
    asked.feed("reference", 1, 2)
    asked.feed("reference", 2, 9)
    looked(asked)
    [gone, _] = asked.desk.witnesses.of("p9")
    asked.desk.witnesses.remove(gone.witness_id, actor=ADMIN)
    [after] = looked(asked)
    assert after.score["sources"][1]["respondents_n"] == 1


def test_a_partner_sees_no_score_before_three_of_a_kind_spoke(asked: Asked) -> None:
    for n in range(2):
        asked.feed("employee", n, 9)
        asked.feed("reference", n, 9)
    looked(asked)
    found = partners_view(asked)
    assert found["score"] is None
    assert found["waiting"] == {}  # it would tell when somebody answers
    assert "groups of 3" in found["why"]
    assert view.confidence(asked.desk, "p9", whole=True)["waiting"] == {
        "employees": 2, "customers": 2,
    }  # fmt: skip


def test_what_a_partner_sees_never_changes_by_fewer_than_three(asked: Asked) -> None:
    seen = []
    for n in range(10):
        asked.feed("employee", n, 1 + n, strengths=f"Something that number {n} says here.")
        looked(asked)
        found = partners_view(asked)
        part = found["score"] and found["score"]["sources"][0]
        count, mean = (part["respondents_n"], round(part["mean"], 6)) if part else (0, None)
        seen.append((count, mean, found["quotes"]))
    counts = [count for count, _, _ in seen]
    assert counts == [0, 0, 3, 3, 3, 6, 6, 6, 9, 9]
    for (n, mean, quotes), (m, later, more) in pairwise(seen):
        if n == m:
            assert (later, more) == (mean, quotes)
    views = [msgspec.json.encode(partners_view(asked))]
    asked.feed("employee", 11, 1)
    looked(asked)
    views.append(msgspec.json.encode(partners_view(asked)))
    assert views[0] == views[1]  # not a byte of it
    assert len(seen[-1][2]) == 9


def test_what_a_partner_sees_names_no_witness(asked: Asked) -> None:
    for n in range(4):
        asked.feed("employee", n, 9, strengths=f"Person{n} is good, I am of firm{n}.example.")
        asked.feed("reference", n, 2, comments="It took them three days to answer the call.")
    looked(asked)
    ids = [one.witness_id for one in asked.desk.witnesses.of("p9")]
    looks = [look(asked.desk, "p9", whole=False)
             for look in (view.confidence, view.history, view.consistency)]  # fmt: skip
    text = msgspec.json.encode(looks).decode()
    for secret in (*ids, "Person1", "firm1", "@"):
        assert secret not in text, secret
    assert "respondents" not in looks[0]["score"]["sources"][0]
    full = msgspec.json.encode(view.confidence(asked.desk, "p9", whole=True)).decode()
    assert ids[0] in full


def test_a_partners_history_has_an_entry_for_each_group(asked: Asked) -> None:
    for n in range(7):
        asked.feed("employee", n, 5 + n % 2)
        looked(asked)
        asked.clock.on(1)
    assert len(view.history(asked.desk, "p9", whole=True)["history"]) == 7
    for one in view.history(asked.desk, "p9", whole=False)["history"]:
        assert len(one["at"]) == 10  # a day
        assert one["value"] == round(one["value"])
    assert len(view.history(asked.desk, "p9", whole=False)["history"]) == 2


def test_peers_are_those_of_the_category_and_nobody_is_named(asked: Asked) -> None:
    asked.feed("employee", 1, 9)
    for k in range(3):
        asked.desk.partners.upsert(f"q{k}", actor=ADMIN, name=f"Q{k}", category="roofing")
        asked.desk.import_answer(
            f"q{k}", "employee", Told(email=f"x@q{k}.example"),
            asked.desk.responses.of("p9")[0].answers, key="1", actor=ADMIN,
        )  # fmt: skip
    asked.desk.partners.upsert("z", actor=ADMIN, name="Z", category="plumbing")
    looked(asked)
    peers = view.confidence(asked.desk, "p9", whole=True)["peers"]
    assert peers["partners"] == 4
    assert view.confidence(asked.desk, "p9", whole=False)["peers"] is None
    assert peers["place"] is None  # provisional
    assert "q0" not in repr(peers)


def test_the_prior_of_a_category_comes_from_its_other_partners(asked: Asked) -> None:
    for k in range(6):
        asked.desk.partners.upsert(f"q{k}", actor=ADMIN, name=f"Q{k}", category="roofing")
        for n in range(4):
            answers = asked.feed("employee", n, 9).answers
            asked.desk.import_answer(
                f"q{k}", "employee", Told(email=f"x{n}@q{k}.example"), answers, key=str(n),
                actor=ADMIN,
            )  # fmt: skip
    looked(asked)
    prior = whole(asked)["sources"][0]["prior"]
    assert prior["partners"] == 6
    assert prior["mean"] > 0.85
    assert "6 other partners" in prior["basis"]


def test_exact_figures_that_would_tell_ratings_apart_are_not_for_the_partner(asked: Asked) -> None:
    for n in range(6):
        asked.feed("employee", n, 4 + n)
        asked.clock.on(1.3)
    looked(asked)
    shown = partners_view(asked)["score"]
    for part in shown["sources"]:
        assert not {"weight_sum", "effective_n", "reliability", "respondents"} & set(part)
        for one in part["categories"]:
            assert one["mean"] == round(one["mean"], 2)
        assert part["points"] == round(part["points"])
    assert shown["value"] == round(shown["value"])
    assert "at_ms" not in shown


def test_a_partner_learns_nothing_of_others_that_is_not_released(asked: Asked) -> None:
    for k in range(4):
        asked.desk.partners.upsert(f"q{k}", actor=ADMIN, name=f"Q{k}", category="roofing")
        for n in range(3):
            other(asked, f"q{k}", n, 7)
    for n in range(3):
        asked.feed("employee", n, 6)
    looked(asked)
    before = partners_view(asked)
    assert before["peers"]["partners"] == 5
    for k in range(4):
        other(asked, f"q{k}", 9, 1)  # of each a fourth one, who waits
    asked.feed("employee", 9, 1)
    looked(asked)
    asked.clock.on(8)
    looked(asked)  # and a week later
    after = partners_view(asked)
    assert after["peers"] == before["peers"]
    assert [one["prior"]["mean"] for one in after["score"]["sources"]] == [
        one["prior"]["mean"] for one in before["score"]["sources"]
    ]


def other(asked: Asked, partner: str, number: int, rating: int) -> None:
    names = [item.name for item in form.SHEETS["employee"].ratings]
    asked.desk.import_answer(
        partner, "employee", Told(email=f"x{number}@{partner}.example"),
        Answers(scores=dict.fromkeys(names, rating)), key=str(number), actor=ADMIN,
    )  # fmt: skip


def test_agreement_of_fewer_than_three_is_not_for_the_partner(asked: Asked) -> None:
    for n in range(3):
        texts = {"comments": "They answer every call within one hour."} if n == 0 else {}
        asked.feed("reference", n, 8, **texts)
    looked(asked)
    assert whole(asked)["sources"][3]["respondents_n"] == 1
    assert partners_view(asked)["score"]["sources"][3]["respondents_n"] == 0


def test_the_partners_report_follows_what_is_released(asked: Asked) -> None:
    for n in range(2):
        asked.feed("reference", n, 8, comments="They answer every call within one hour.")
    looked(asked)
    assert (
        view.consistency(asked.desk, "p9", whole=False)["report"]["ceo_customer"]["score"] is None
    )
    asked.feed("reference", 2, 8)  # without a word
    looked(asked)
    found = view.consistency(asked.desk, "p9", whole=False)["report"]["ceo_customer"]
    assert (found["score"], found["witnesses"]) == (100, 2)


def test_whoever_is_erased_while_scores_are_made_is_in_none(
    asked: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked.feed("reference", 1, 2, comments="It took them three days to answer the call.")
    [mine] = asked.desk.witnesses.of("p9")
    reported = Scoring._reported

    def meanwhile(self: Scoring, *given: Any) -> Any:
        found = reported(self, *given)
        if asked.desk.witnesses.of("p9"):
            asked.desk.witnesses.remove(mine.witness_id, actor=ADMIN)
        return found

    monkeypatch.setattr(Scoring, "_reported", meanwhile)
    assert looked(asked) == []
    assert mine.witness_id not in repr(asked.desk.analyses.last("p9"))
    assert looked(asked) == []
