// Not built yet.

export default function Page() {
  return <section class="card centre"><h2>This page is not built yet</h2></section>;
}
