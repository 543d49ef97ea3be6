import { render } from "preact";
import { LivePage } from "./live/page";
import "./style/tokens.css";
import "./style/live.css";

render(<LivePage />, document.getElementById("app")!);
