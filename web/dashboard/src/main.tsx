import { render } from "preact";
import { useState } from "preact/hooks";
import { LivePage } from "./live/page";
import { refusal, taken } from "./login/account";
import { WelcomeForm } from "./login/forms";
import "./style/tokens.css";
import "./style/live.css";

const refused = refusal(taken("refused"));

function App() {
  const [token, setToken] = useState(() => taken("welcome"));
  if (!token) return <LivePage refused={refused} />;
  const on = () => setToken("");
  return <main class="page"><h1 class="sr">Lakeward</h1><WelcomeForm token={token} onIn={on} onLeave={on} /></main>;
}

render(<App />, document.getElementById("app")!);
