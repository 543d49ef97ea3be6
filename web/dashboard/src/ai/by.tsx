// Spend by model, feature or user: choosing one narrows the page.

import { useQuestion } from "../ask/question";
import { Card } from "../card/card";
import { Bars } from "../chart/bars";
import { useQuery } from "../shell/place";
import type { Field, Scope } from "./only";

export function By({ range, only, field, title }: Scope & { field: Field; title: string }) {
  // The list keeps what else there is to choose.
  const { [field]: _own, ...others } = only;
  const costs = useQuestion("ai_cost", { by: [field], only: others }, { ...range, compare: "" });
  const [chosen, choose] = useQuery(field);
  return (
    <Card id={`by-${field}`} tall={280} title={title} data={costs} zone={range.zone}
      definition={`What turns cost by ${field}, the dearest first, with how many there were. Turns without a price cost nothing here; the table says how many.`}
      hint="No turn of an AI in this range.">
      {(answer) => <Bars answer={answer} name={field} value="cost_usd" more={["turns"]} titles={{ cost_usd: "cost" }} label={title} chosen={chosen} onChoose={choose} most={8} />}
    </Card>
  );
}
