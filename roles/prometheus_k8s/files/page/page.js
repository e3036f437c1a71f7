// Dashboards over Prometheus' own API. Texts of others get into the page as text only (textContent), never as HTML.
"use strict";
(() => {
  const RANGES = [["15m", 900], ["1h", 3600], ["3h", 10800], ["12h", 43200], ["1d", 86400], ["3d", 259200], ["7d", 604800], ["15d", 1296000]];
  const COLOURS = ["#3b82c4", "#e08a2e", "#4d9e57", "#c44e52", "#8b6cc1", "#937860", "#d677b8", "#7f8a94", "#a8a032", "#3fb2bd"];
  const POWERS = Array.from({ length: 60 }, (_one, power) => 2 ** power);
  const EVERY = 30; // seconds between two looks
  const api = "../api/v1/";
  const at = (id) => document.getElementById(id);

  function element(name, text, attributes = {}, ...children) {
    const made = document.createElement(name);
    if (text !== undefined && text !== null) made.textContent = text;
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    made.append(...children);
    return made;
  }

  async function ask(path, parameters) {
    const answer = await fetch(api + path + "?" + new URLSearchParams(parameters), { signal: AbortSignal.timeout(20000) });
    const body = await answer.json().catch(() => ({}));
    if (body.status !== "success") throw new Error(body.error || "Prometheus answered " + answer.status);
    return body.data;
  }

  // --- what numbers look like ---

  function scaled(value, base, names) {
    let step = 0;
    while (Math.abs(value) >= base && step < names.length - 1) { value /= base; step += 1; }
    return short(value) + (names[step] ? " " + names[step] : "");
  }
  function short(value) {
    const size = Math.abs(value);
    return value.toLocaleString(undefined, { maximumFractionDigits: size >= 100 || size === 0 ? 0 : size >= 10 ? 1 : size >= 0.1 ? 2 : 4 });
  }
  function duration(value) {
    const size = Math.abs(value);
    if (size === 0) return "0 s";
    if (size < 1) return short(value * 1000) + " ms";
    for (const [seconds, name] of [[86400, "d"], [3600, "h"], [60, "min"]]) if (size >= 2 * seconds) return short(value / seconds) + " " + name;
    return short(value) + " s";
  }
  const FORMATS = {
    per_second: (value) => short(value) + " /s",
    bytes: (value) => scaled(value, 1024, ["B", "KiB", "MiB", "GiB", "TiB"]),
    bytes_per_second: (value) => scaled(value, 1024, ["B", "KiB", "MiB", "GiB"]) + "/s",
    seconds: duration,
    share: (value) => short(value * 100) + " %",
    cores: short,
    number: (value) => scaled(value, 1000, ["", "k", "M", "G"]),
    state: (value) => (value === 1 ? "well" : "not well"),
    time: (value) => new Date(value * 1000).toLocaleString(),
  };
  const format = (unit, value) => (value === null || value === undefined || !Number.isFinite(value) ? "–" : FORMATS[unit](value));

  // --- what is shown: #DASHBOARD/RANGE, or a part of the alerts instead of a dashboard ---

  let config = null;
  let plots = [];
  let turn = 0; // a later look at the page makes answers for earlier ones void

  function chosen(boards) {
    const [name, range] = decodeURIComponent(location.hash.slice(1)).split("/");
    const board = boards.find((one) => one.id === name) || boards.find((one) => (one.parts || []).includes(name)) || boards[0];
    const [label, seconds] = RANGES.find(([text]) => text === range) || RANGES[2];
    return { board, label, seconds };
  }

  function legend(text, labels) {
    return text.replace(/\{\{(\w+)\}\}/g, (_all, name) => labels[name] || "");
  }

  function frame(seconds) {
    const { scrape } = config;
    const step = Math.max(scrape, Math.ceil(seconds / 240));
    const end = Math.floor(Date.now() / 1000 / step) * step;
    return { start: end - Math.floor(seconds / step) * step, end, step, rate: Math.max(4 * scrape, step) + "s" };
  }

  async function lines(panel, time) {
    const answers = await Promise.all(panel.queries.map((query) => ask("query_range", {
      query: query.expr.replaceAll("$rate", time.rate), start: time.start, end: time.end, step: time.step,
    })));
    const times = [];
    for (let moment = time.start; moment <= time.end; moment += time.step) times.push(moment);
    const series = answers.flatMap((answer, place) => answer.result.map((one) => {
      const values = new Array(times.length).fill(null);
      for (const [moment, text] of one.values) {
        const value = Number(text);
        if (Number.isFinite(value)) values[Math.round((moment - time.start) / time.step)] = value;
      }
      return { label: legend(panel.queries[place].legend, one.metric), values };
    }));
    series.sort((one, other) => one.label.localeCompare(other.label, undefined, { numeric: true }));
    return { times, series };
  }

  async function latest(panel, time) {
    const answers = await Promise.all(panel.queries.map((query) => ask("query", { query: query.expr.replaceAll("$rate", time.rate) })));
    const rows = answers.flatMap((answer, place) => answer.result.map((one) => ({
      label: legend(panel.queries[place].legend, one.metric), value: Number(one.value[1]),
    })));
    return rows.sort((one, other) => one.label.localeCompare(other.label, undefined, { numeric: true }));
  }

  // Times that the marks' expressions took within the range; what is close together is one mark.
  async function marks(time) {
    const found = await Promise.all(config.marks.map(async (mark) => {
      const answer = await ask("query_range", { query: mark.expr, start: time.start, end: time.end, step: time.step });
      const moments = answer.result.flatMap((one) => one.values.map(([, text]) => Number(text)));
      const within = [...new Set(moments)].filter((moment) => moment > time.start && moment <= time.end).sort((one, other) => one - other);
      const apart = Math.max(120, (time.end - time.start) / 100);
      return within.filter((moment, place) => place === 0 || moment - within[place - 1] > apart).map((moment) => ({ moment, title: mark.title }));
    }));
    return found.flat().sort((one, other) => one.moment - other.moment);
  }

  // --- drawing ---

  function colour(name) {
    return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  }

  function draw(box, panel, data, moments) {
    const ink = colour("--faint");
    const axis = { stroke: ink, grid: { stroke: colour("--line"), width: 1 }, ticks: { stroke: colour("--line"), width: 1 } };
    const verticals = (plot) => {
      const { ctx, bbox } = plot;
      ctx.save();
      ctx.setLineDash([4, 4]);
      for (const { moment } of moments) {
        const x = Math.round(plot.valToPos(moment, "x", true));
        ctx.strokeStyle = ink;
        ctx.beginPath(); ctx.moveTo(x, bbox.top); ctx.lineTo(x, bbox.top + bbox.height); ctx.stroke();
      }
      if (panel.limit !== null) {
        const y = Math.round(plot.valToPos(panel.limit, "y", true));
        if (y >= bbox.top && y <= bbox.top + bbox.height) {
          ctx.strokeStyle = colour("--page");
          ctx.beginPath(); ctx.moveTo(bbox.left, y); ctx.lineTo(bbox.left + bbox.width, y); ctx.stroke();
        }
      }
      ctx.restore();
    };
    const scale = (_plot, low, high) => {
      if (low === null || high === null) return [0, 1];
      if (panel.unit === "share" && low >= 0 && high <= 1) return [0, 1];
      return [Math.min(0, low), high > 0 ? high * 1.08 : 1];
    };
    const plot = new uPlot({
      width: Math.max(200, box.clientWidth), height: 190,
      cursor: { points: { size: 5 }, drag: { x: false, y: false } },
      scales: { x: { time: true }, y: { range: scale } },
      axes: [axis, { ...axis, size: 78, ...(panel.unit.startsWith("bytes") ? { incrs: POWERS } : {}), values: (_plot, values) => values.map((value) => format(panel.unit === "state" ? "number" : panel.unit, value)) }],
      series: [
        { value: (_plot, value) => (value === null ? "–" : new Date(value * 1000).toLocaleTimeString()) },
        ...data.series.map((one, place) => ({
          label: one.label, stroke: COLOURS[place % COLOURS.length], width: 1.5, points: { show: false },
          value: (_plot, value, number, index) => format(panel.unit, index === null || index === undefined ? one.values.findLast((last) => last !== null) : value),
        })),
      ],
      hooks: { draw: [verticals] },
    }, [data.times, ...data.series.map((one) => one.values)], box);
    plots.push([plot, box]);
  }

  function table(box, panel, rows) {
    const body = element("tbody");
    for (const { label, value } of rows) {
      const kind = panel.unit === "state" ? (value === 1 ? "well" : "bad") : "";
      body.append(element("tr", null, {}, element("th", label, { scope: "row" }), element("td", format(panel.unit, value), kind ? { class: kind } : {})));
    }
    box.append(element("table", null, { class: "latest" }, body));
  }

  async function fill(box, panel, time, moments) {
    try {
      const found = panel.kind === "latest" ? await latest(panel, time) : await lines(panel, time);
      const empty = panel.kind === "latest" ? !found.length : !found.series.length;
      return () => {
        if (empty) box.append(element("p", "Nothing in this time.", { class: "none" }));
        else if (panel.kind === "latest") table(box, panel, found);
        else draw(box, panel, found, moments);
      };
    } catch (problem) {
      return () => box.append(element("p", problem.message, { class: "error" }));
    }
  }

  function card(panel, view, firing) {
    const graph = "../graph?" + new URLSearchParams(panel.queries.flatMap((query, place) => [
      ["g" + place + ".expr", query.expr.replaceAll("$rate", "5m")], ["g" + place + ".tab", "0"], ["g" + place + ".range_input", view.label],
    ]));
    const fires = panel.alert && firing.some((alert) => alert.labels.alertname === panel.alert);
    return element("section", null, { class: fires ? "panel fires" : "panel" }, element("h2", null, {}, element("a", panel.title, { href: graph })), element("div"));
  }

  function tell(alerts) {
    const list = at("alerts");
    list.replaceChildren();
    if (!alerts.length) list.append(element("p", "No alert fires."));
    for (const alert of alerts) {
      const { labels, annotations } = alert;
      const said = element("article", null, { class: labels.severity === "page" ? "page" : "warning" },
        element("strong", labels.alertname), element("span", annotations.summary || ""),
        element("span", " since " + new Date(alert.activeAt).toLocaleString(), { class: "since" }));
      const links = element("div", annotations.next ? "Begin with " : "");
      if (annotations.next) links.append(element("code", annotations.next), " ");
      if (labels.part) links.append(element("a", "panels", { href: "#" + encodeURIComponent(labels.part) }), " ");
      // An address of another kind, such as javascript:, makes no link.
      if (/^https?:\/\//.test(annotations.runbook || "")) links.append(element("a", "what it means", { href: annotations.runbook, rel: "noreferrer" }));
      said.append(links);
      list.append(said);
    }
  }

  function navigate(boards, view, firing) {
    at("boards").replaceChildren(...boards.map((board) => {
      const link = element("a", board.title, { href: "#" + board.id + "/" + view.label });
      const count = firing.filter((alert) => (board.parts || []).includes(alert.labels.part)).length;
      if (count) link.append(" ", element("b", count));
      if (board === view.board) link.setAttribute("aria-current", "page");
      return link;
    }));
    document.title = (firing.length ? "(" + firing.length + ") " : "") + view.board.title + " – " + config.deployment;
    at("range").value = view.label;
  }

  async function shown(board) {
    return !board.when || (await ask("query", { query: board.when })).result.length > 0;
  }

  async function look() {
    const mine = ++turn;
    try {
      config = config || await (await fetch("dashboards.json")).json();
      at("deployment").textContent = config.deployment;
      const [told, wanted] = await Promise.all([ask("alerts", {}), Promise.all(config.dashboards.map(shown))]);
      const boards = config.dashboards.filter((_board, place) => wanted[place]);
      const firing = told.alerts.filter((alert) => alert.state === "firing" && alert.labels.severity !== "none");
      firing.sort((one, other) => (other.labels.severity === "page") - (one.labels.severity === "page") || one.activeAt.localeCompare(other.activeAt));
      const view = chosen(boards);
      const time = frame(view.seconds);
      const [moments, unmarked] = await marks(time).then((found) => [found, ""], (problem) => [[], "No marks: " + problem.message]);
      const cards = view.board.panels.map((panel) => card(panel, view, firing));
      const drawing = await Promise.all(view.board.panels.map((panel, place) => fill(cards[place].lastChild, panel, time, moments)));
      if (mine !== turn) return;
      navigate(boards, view, firing);
      tell(firing);
      for (const [plot] of plots) plot.destroy();
      plots = [];
      at("panels").replaceChildren(...cards);
      for (const into of drawing) into();
      at("marks").replaceChildren(element("p", unmarked || (moments.length ? "Dashed lines:" : "Nothing was started, backed up or restored in this time.")),
        element("ul", null, {}, ...moments.map(({ moment, title }) => element("li", new Date(moment * 1000).toLocaleString() + " " + title))));
      at("problem").hidden = true;
      document.body.dataset.looked = String(Date.now());
    } catch (problem) {
      at("problem").textContent = "Prometheus was not reached: " + problem.message;
      at("problem").hidden = false;
    }
  }

  at("range").append(...RANGES.map(([label]) => element("option", label, { value: label })));
  at("range").addEventListener("change", (event) => {
    const now = decodeURIComponent(location.hash.slice(1)).split("/")[0] || config?.dashboards[0].id || "";
    location.hash = now + "/" + event.target.value;
  });
  addEventListener("hashchange", look);
  addEventListener("resize", () => { for (const [plot, box] of plots) plot.setSize({ width: Math.max(200, box.clientWidth), height: 190 }); });
  setInterval(() => { if (document.visibilityState === "visible") look(); }, EVERY * 1000);
  look();
})();
