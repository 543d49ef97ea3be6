import { render } from "preact";
import { useState } from "preact/hooks";
import { refusal, taken } from "./login/account";
import { WelcomeForm } from "./login/forms";
import { App } from "./shell/app";
import { keptTheme, setTheme } from "./shell/theme";
import "./style/tokens.css";
import "./style/frame.css";

setTheme(keptTheme());
const refused = refusal(taken("refused"));

function Start() {
  const [token, setToken] = useState(() => taken("welcome"));
  if (!token) return <App refused={refused} />;
  const on = () => setToken("");
  return <main class="page"><h1 class="sr">Lakeward</h1><WelcomeForm token={token} onIn={on} onLeave={on} /></main>;
}

render(<Start />, document.getElementById("app")!);
