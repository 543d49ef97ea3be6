// PowerConfidence: the place where a partner's score stands. Nothing computes one yet, and no number
// is shown until a question does: a column `score` of `partner_performance`, in points of 100.

export const SCORE_DOC = "PowerConfidence is the score of a partner, in points of 100; no score is computed yet.";

export function Unscored() {
  return <span class="muted" title={SCORE_DOC}>no score yet</span>;
}

export function ScoreCard() {
  return (
    <section class="card score" id="score" aria-label="PowerConfidence" data-card="score">
      <div class="cardhead"><h2>PowerConfidence</h2></div>
      <p class="big"><Unscored /></p>
      <p class="muted small">{SCORE_DOC} It will stand here, with what it is made of and how sure it is.</p>
    </section>
  );
}
