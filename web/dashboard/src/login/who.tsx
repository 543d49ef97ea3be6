// Who is logged in, and the way out.

import { useState } from "preact/hooks";
import { visible } from "../text";
import { type Me, post } from "./account";

export function Who(props: { me: Me; onOut: () => void }) {
  const { me, onOut } = props;
  const part = me.partner_id ? `partner ${visible(me.partner_id)}` : "";
  if (me.who !== "person") {
    return me.who === "key" && part ? <span class="who muted"><bdi>{part}</bdi></span> : null;
  }
  const [refused, setRefused] = useState("");
  const leave = async () => {
    const said = await post("logout", {});
    setRefused(said);
    if (!said) onOut();
  };
  return (
    <>
      <span class="who muted" title={part || "admin"}>
        <span class="sr">Logged in as </span><bdi>{visible(me.email ?? "")}</bdi>{part && <> · <bdi>{part}</bdi></>}
      </span>
      <button type="button" class="button" onClick={leave}>Log out</button>
      {refused && <span class="note bad" role="alert">{refused}</span>}
    </>
  );
}
