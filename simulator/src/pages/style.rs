//! The hosted pages' one stylesheet: light and dark, phone and desk, print.

/// The stylesheet.
pub const CSS: &str = r#"
:root { color-scheme: light dark;
  --bg: light-dark(#f6f7f9, #101317); --surface: light-dark(#fff, #171b21);
  --line: light-dark(#e1e4ea, #2a303a); --edge: light-dark(#868e9c, #6f7888);
  --ink: light-dark(#1a1f29, #eceef2); --muted: light-dark(#5c6575, #9aa4b4);
  --accent: light-dark(#4b3fd0, #a9a2ff); --on: light-dark(#fff, #14112e);
  --bad: light-dark(#b3261e, #ff9d94); --ok: light-dark(#1d6b41, #6cc593);
  --warn: light-dark(#fff4dc, #2d2414); --warnink: light-dark(#6d4600, #f0c877); }
* { box-sizing: border-box; }
body { margin: 0; background: var(--bg); color: var(--ink);
  font: 1rem/1.5 -apple-system, "Segoe UI", Roboto, "Liberation Sans", Arial, sans-serif; }
.sim { background: var(--warn); color: var(--warnink); text-align: center;
  padding: .375rem 1rem; font-size: .8125rem; }
main { max-width: 60rem; margin: 0 auto; padding: 2rem 1rem 4rem; }
main.two { display: grid; gap: 2rem; grid-template-columns: 1fr 1.1fr; }
main.wide { max-width: 80rem; } main.middle { max-width: 44rem; } main.slim { max-width: 34rem; }
.columns { display: grid; gap: 0 1rem; grid-template-columns: 1fr 1fr; }
.columns > * { min-width: 0; }
@media (max-width: 46rem) { main.two, .columns { grid-template-columns: 1fr; }
  main { padding-top: 1rem; } }
h1 { font-size: 1.5rem; margin: 0 0 .5rem; line-height: 1.2; }
h2 { font-size: 1.0625rem; margin: 2rem 0 .5rem; }
h3 { font-size: .9375rem; margin: 1.25rem 0 .25rem; }
h2 + form > h3:first-child { margin-top: 0; }
.card > :first-child, .card > form > :first-child { margin-top: 0; }
p { margin: .25rem 0 .75rem; } a { color: var(--accent); }
.muted { color: var(--muted); } .small { font-size: .8125rem; }
.total { font-size: 2.25rem; font-weight: 650; margin: 0 0 1rem;
  font-variant-numeric: tabular-nums; }
.card { background: var(--surface); border: 1px solid var(--line); border-radius: 10px;
  padding: 1.25rem; margin: 0 0 1rem; }
.row { display: flex; justify-content: space-between; gap: 1rem; align-items: baseline;
  padding: .5rem 0; border-top: 1px solid var(--line); }
.row:first-child { border-top: 0; } .row > :last-child { text-align: right; }
td.num:last-child, th.num:last-child { text-align: right; padding-right: 0; }
.num { font-variant-numeric: tabular-nums; white-space: nowrap; }
label { display: block; font-size: .875rem; font-weight: 600; margin: .75rem 0 .25rem; }
input[type=text], input[type=email], input[type=number], select { width: 100%;
  min-height: 2.75rem; font: inherit;
  color: inherit; background: var(--bg); border: 1px solid var(--edge); border-radius: 6px;
  padding: .5rem .75rem; }
input.short { width: 6rem; } input::placeholder { color: var(--muted); opacity: 1; }
.inline { display: flex; gap: .5rem; } .inline > input { flex: 1; min-width: 0; }
.inline > button { flex: none; } .tries { border-top: 1px solid var(--line); margin-top: 1.5rem; }
.choices { display: grid; grid-template-columns: repeat(auto-fill, minmax(13rem, 1fr)); }
.choices .choice { padding: .25rem 0; margin: 0; }
.tags { line-height: 2.1; } a.tag { text-decoration: none; display: inline-block; }
td .actions { margin: 0; flex-wrap: nowrap; } td form { margin: 0; }
table code { overflow-wrap: anywhere; } td button.quiet { min-height: 1.875rem;
  padding: .125rem .625rem; }
@media (max-width: 46rem) { .stack thead { display: none; }
  .stack tr { display: block; padding: .625rem 0; border-top: 1px solid var(--line); }
  .stack td { display: block; border: 0; padding: .125rem 0; }
  .stack td .actions { flex-wrap: wrap; margin-top: .375rem; }
  .stack td button.quiet { min-height: 2.5rem; padding: .375rem .875rem; } }
.ok { color: var(--ok); }
details { margin: 1rem 0 0; } summary { cursor: pointer; padding: .5rem 0; font-weight: 600; }
input[aria-invalid=true] { border-color: var(--bad); }
.pair { display: grid; grid-template-columns: 1fr 1fr; gap: .75rem; }
.error { color: var(--bad); font-size: .875rem; margin: .25rem 0 0; }
.alert { border: 1px solid var(--bad); color: var(--bad); border-radius: 6px;
  padding: .75rem 1rem; margin: 0 0 1rem; }
.note { border: 1px solid var(--ok); color: var(--ok); border-radius: 6px;
  padding: .75rem 1rem; margin: 0 0 1rem; }
button, .button { font: inherit; font-weight: 600; min-height: 2.75rem; padding: .5rem 1rem;
  border-radius: 6px; border: 1px solid var(--edge); background: var(--surface);
  color: var(--ink); cursor: pointer; text-decoration: none; display: inline-flex;
  align-items: center; justify-content: center; }
button.primary { background: var(--accent); border-color: var(--accent); color: var(--on); }
button.main { background: var(--accent); border-color: var(--accent); color: var(--on);
  width: 100%; margin-top: 1.25rem; }
button.quiet { font-weight: 400; font-size: .8125rem; min-height: 2.25rem; }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
.actions { display: flex; flex-wrap: wrap; gap: .5rem; margin-top: .75rem; }
.tag { font-size: .75rem; border: 1px solid var(--line); border-radius: 99px;
  padding: .125rem .5rem; color: var(--muted); white-space: nowrap; }
.tag.ok { color: var(--ok); border-color: var(--ok); }
.tag.bad { color: var(--bad); border-color: var(--bad); }
.scroll { overflow-x: auto; } table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; padding: .5rem .75rem .5rem 0; border-top: 1px solid var(--line);
  font-size: .875rem; vertical-align: top; }
th { color: var(--muted); font-weight: 600; border-top: 0; }
code, pre { font: .8125rem/1.5 ui-monospace, Menlo, Consolas, "Liberation Mono", monospace; }
pre { overflow-x: auto; background: var(--surface); border: 1px solid var(--line);
  border-radius: 10px; padding: 1rem; }
fieldset { border: 0; padding: 0; margin: 0; }
.choice { display: flex; gap: .75rem; align-items: baseline; padding: .5rem 0; font-weight: 400; }
@media print { .sim, .noprint { display: none; } body { background: #fff; color: #000; } }
"#;
