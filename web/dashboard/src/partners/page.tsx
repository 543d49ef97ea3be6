// Partners: how each does, and one of them; a partner sees its own figures alone.

import { partnerOf, useMe } from "../ask/person";
import { useQuery } from "../shell/place";
import { useRange } from "../shell/range";
import { List } from "./list";
import { One } from "./one";
import "./demos.css";
import "./partners.css";
import "./report.css";

export default function Page() {
  const range = useRange();
  const own = partnerOf(useMe());
  const [named] = useQuery("partner");
  const partner = own || named;
  return (
    <div class="partnerspage">
      {partner ? <One partner={partner} range={range} own={own !== ""} /> : <List range={range} />}
    </div>
  );
}
