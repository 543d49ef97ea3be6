// PowerConfidence on a partner's page: everything that the score is made of, and the same on paper.

import { visible } from "../text";
import { AgreementCards } from "./agreement";
import type { Told } from "./confidence";
import { CourseCard } from "./course";
import { DemosCard } from "./demolist";
import { FlagsCard } from "./flags";
import { InvitedCard } from "./invited";
import { MadeCard } from "./made";
import { SaidCards } from "./said";
import { when } from "./words";

/** Everything but the score itself, which stands above. Nothing where PowerConfidence does not know the partner. */
export function Section({ told, partner, own, zone }: { told: Told; partner: string; own: boolean; zone: string }) {
  if (!told.isKnown) return null;
  const { confidence, course, consistency } = told;
  return (
    <section class="confidence" id="confidence" aria-label="PowerConfidence in detail">
      <div class="tools head unprinted">
        <h2 class="name">PowerConfidence</h2>
        <span class="space" />
        <button type="button" class="button" onClick={() => print()}>Print report</button>
      </div>
      <div class="grid">
        <MadeCard confidence={confidence} zone={zone} />
        <CourseCard course={course} zone={zone} />
        <FlagsCard confidence={confidence} zone={zone} />
        <SaidCards confidence={confidence} zone={zone} />
        <AgreementCards consistency={consistency} zone={zone} />
        <DemosCard {...{ partner, own, zone }} />
        {!own && <InvitedCard partner={partner} zone={zone} />}
      </div>
    </section>
  );
}

/** The head of the printed report. */
export function ReportHead({ told, partner, own, zone }: { told: Told; partner: string; own: boolean; zone: string }) {
  const found = told.confidence.value;
  const name = found?.name || partner;
  return (
    <header class="reporthead">
      <p class="name"><bdi>{visible(name)}</bdi></p>
      <p>PowerConfidence{found?.category && <>, <bdi>{visible(found.category)}</bdi></>}{found?.at && `, as of ${when(found.at, zone)}`}{found?.score && `, formula ${visible(found.score.formula_version)}`}</p>
      {!own && <p>For the team: it has answers that are not released to the partner, whose own page prints what is.</p>}
    </header>
  );
}
