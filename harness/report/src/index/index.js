// What a reader can do with the list of runs: filters, with a link to what they show, and choosing runs to compare. Everything is read
// from the tables themselves; without this script they are all there.
(() => {
  "use strict";
  const cell = (row, head) => row.querySelector(`td[data-h="${head}"]`);
  const said = (row, head) => cell(row, head)?.textContent ?? "";

  /** The rows of runs, each with what the filters ask for. */
  const rows = [...document.querySelectorAll('td[data-h="Verdict"]')].map((verdict) => {
    const row = verdict.closest("tr");
    const section = row.closest("section");
    const link = row.querySelector("[data-run]");
    return { row, section, link, run: link.dataset.run, verdict: verdict.querySelector(".tone").textContent.split(" ")[0] };
  });
  const listed = rows.filter((run) => run.section.id !== "newest");
  for (const run of listed) {
    run.scenario = run.section.querySelector("h2").textContent;
    run.machine = said(run.row, "Machine");
    run.started = run.link.textContent;
    run.text = `${run.scenario} ${run.run} ${run.row.textContent}`.toLowerCase();
  }
  // The newest are listed twice: by their scenario, and with those of the others.
  const byRun = new Map(listed.map((run) => [run.run, run]));
  const runs = rows.map((run) => ({ ...byRun.get(run.run), ...run }));
  const first = document.getElementById("scenarios");
  if (!first || listed.length === 0) {
    return;
  }

  function make(name, attributes, ...children) {
    const element = document.createElement(name);
    Object.entries(attributes).forEach(([key, value]) => element.setAttribute(key, value));
    element.append(...children);
    return element;
  }

  // Filters.
  const names = ["scenario", "verdict", "machine"];
  const filters = new Map(names.map((name) => {
    const values = [...new Set(listed.map((run) => run[name]))].sort();
    const options = values.map((value) => make("option", { value }, value));
    return [name, make("select", { id: `filter-${name}` }, make("option", { value: "" }, "all"), ...options)];
  }));
  filters.set("text", make("input", { id: "filter-text", type: "search", spellcheck: "false", autocomplete: "off" }));
  const shown = make("output", { "aria-live": "polite" });
  const all = make("button", { type: "button" }, "Show all");
  const bar = make("div", { class: "filters", role: "search", "aria-label": "Filter the runs" });
  filters.forEach((control, name) => {
    bar.append(make("label", {}, name[0].toUpperCase() + name.slice(1), control));
  });
  bar.append(shown, all);
  first.before(bar);

  function filter() {
    const asked = Object.fromEntries([...filters].map(([name, control]) => [name, control.value.trim()]));
    const words = asked.text.toLowerCase().split(/\s+/).filter(Boolean);
    const fits = (run) => names.every((name) => !asked[name] || run[name] === asked[name])
      && words.every((word) => run.text.includes(word));
    const seen = new Map();
    let count = 0;
    for (const run of runs) {
      const fit = fits(run);
      run.row.hidden = !fit;
      seen.set(run.section, seen.get(run.section) || fit);
      count += fit && run.section.id !== "newest" ? 1 : 0;
    }
    seen.forEach((any, section) => {
      section.hidden = !any;
    });
    for (const link of first.querySelectorAll('a[href^="#"]')) {
      const section = document.getElementById(link.getAttribute("href").slice(1));
      link.closest("tr").hidden = Boolean(section?.hidden);
    }
    const set = Object.entries(asked).filter(([, value]) => value);
    all.hidden = set.length === 0;
    const [some, whole] = [count, listed.length].map((number) => number.toLocaleString("en"));
    shown.textContent = set.length === 0 ? `${whole} runs` : `${some} of ${whole} runs`;
    return set;
  }

  /** Filters, and puts what is asked for into the address. */
  function ask() {
    const set = filter();
    const hash = set.length === 0 ? "" : `#${new URLSearchParams(set)}`;
    // An address of a file can't always be changed; the filters work all the same.
    try {
      history.replaceState(null, "", hash || location.pathname + location.search);
    } catch {
      // Nothing is lost but the link.
    }
  }

  /** What an address asks for. */
  function follow() {
    const asked = new URLSearchParams(location.hash.slice(1));
    if (![...filters.keys()].some((name) => asked.has(name))) {
      return;
    }
    filters.forEach((control, name) => {
      control.value = asked.get(name) ?? "";
      // A value that no run has would leave the control empty and the list whole.
      if (control.selectedIndex === -1) {
        control.value = "";
      }
    });
    filter();
  }

  bar.addEventListener("input", ask);
  all.addEventListener("click", () => {
    filters.forEach((control) => {
      control.value = "";
    });
    ask();
    filters.get("text").focus();
  });

  // Choosing runs to compare.
  const chosen = new Map();
  const boxes = new Map();
  const command = make("code", {});
  const words = make("span", { role: "status" });
  // The script of all pages gives it a button that copies it.
  const code = make("pre", { "data-copy": "", tabindex: "0", role: "region", "aria-label": "The command that compares them" }, command);
  const there = make("a", {}, "Open the comparison");
  const none = make("button", { type: "button" }, "Choose none");
  const copied = make("div", {}, code);
  const choice = make("div", { class: "zoom choice" }, words, copied, there, none);
  choice.hidden = true;
  document.body.append(choice);

  /** Pages of comparisons, by the reports of their runs. */
  const pages = new Map([...document.querySelectorAll("#comparisons tbody tr")].map((row) => {
    const href = (head) => cell(row, head)?.querySelector("a")?.getAttribute("href") ?? "";
    return [`${href("Held against")} ${href("Run")}`, href("Page")];
  }));

  function choose(run, on) {
    if (on) {
      chosen.set(run.run, run);
    } else {
      chosen.delete(run.run);
    }
    boxes.get(run.run).forEach((box) => {
      box.checked = on;
    });
    // The older ones first: a comparison holds the rest against its first run.
    const order = [...chosen.values()].sort((a, b) => (a.started < b.started ? -1 : 1));
    choice.hidden = order.length === 0;
    copied.hidden = order.length < 2;
    words.textContent = order.length === 1 ? "1 run chosen; choose another to compare it with" : `${order.length} runs chosen`;
    command.textContent = `squall compare ${order.map((one) => one.run).join(" ")}`;
    const [older, newer] = order.map((one) => one.link.getAttribute("href"));
    const page = order.length === 2 && (pages.get(`${older} ${newer}`) || pages.get(`${newer} ${older}`));
    there.hidden = !page;
    if (page) {
      there.setAttribute("href", page);
    } else {
      there.removeAttribute("href");
    }
  }

  for (const run of runs) {
    const box = make("input", { type: "checkbox", class: "choose", "aria-label": `Compare ${run.link.textContent}` });
    box.addEventListener("change", () => choose(run, box.checked));
    boxes.set(run.run, [...(boxes.get(run.run) ?? []), box]);
    run.link.before(box);
  }
  none.addEventListener("click", () => [...chosen.values()].forEach((run) => choose(run, false)));

  filter();
  follow();
  addEventListener("hashchange", follow);
})();
