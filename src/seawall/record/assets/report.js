/* Draws a report's charts over time, marks its events, and keeps them all at one cursor and one zoom. */
(function () {
  "use strict";
  const { make, clock, figure, ticks, decades } = seawall;
  const data = JSON.parse(document.getElementById("record-data").textContent);
  const root = document.documentElement;
  const DASHES = [[], [9, 4], [3, 3], [12, 3, 3, 3], [6, 2], [1.5, 3]];
  const LOOKS = DASHES.length;
  const PRINTED = 330; /* width of a chart on paper, as report.css has it */
  const length = Math.max(1, ...data.variants.flatMap((v) => Object.values(v.columns).map((c) => c.length)));
  const times = Array.from({ length }, (_, i) => i * data.step);
  const whole = [0, Math.max(data.step, times[length - 1])];
  const state = {
    hidden: new Set(),
    kinds: new Set(data.kinds.flatMap((kind, i) => (kind.quiet ? [] : [i]))),
    range: whole.slice(),
    views: {},
    passing: false,
    printing: false,
  };
  let plots = [];

  /* ------------------------------------------------------------------------------------------- small things */

  function swatch(variant) {
    const drawn = document.querySelector(`.card[data-variant="${variant}"] .swatch`);
    return drawn ? drawn.cloneNode(true) : make("span");
  }

  const colour = (name) => getComputedStyle(root).getPropertyValue(name).trim();
  const variantColour = (variant) => colour(`--v${variant % LOOKS}`);
  const shown = (variant) => !state.hidden.has(variant);

  /* ----------------------------------------------------------------------------------------------- the events */

  /* Events of one variant in view; those of a group that would stand on top of each other are one mark. */
  function gathered(variant, seconds) {
    const marks = [];
    const latest = {};
    for (const [t, kind, object, message, count] of data.variants[variant].events) {
      if (!state.kinds.has(kind) || t < state.range[0] || t > state.range[1]) continue;
      const { group, sign } = data.kinds[kind];
      let mark = latest[group];
      if (!mark || t - mark.t > seconds) {
        mark = latest[group] = { variant, t, until: t, group, sign, count: 0, kinds: new Map() };
        marks.push(mark);
      }
      if (!mark.kinds.has(kind)) mark.kinds.set(kind, { t, until: t, count: 0, object, message });
      for (const whole of [mark, mark.kinds.get(kind)]) {
        whole.until = t;
        whole.count += count;
      }
    }
    return marks;
  }

  /* A mark in words, one line for each kind of event in it. */
  function told(mark) {
    return Array.from(mark.kinds, ([kind, of]) => {
      const when = clock(of.until) === clock(of.t) ? clock(of.t) : `${clock(of.t)} to ${clock(of.until)}`;
      const number = of.count > 1 ? ` ×${of.count.toLocaleString("en")}` : "";
      const what = of.message || data.kinds[kind].meaning;
      return `${when} ${data.variants[mark.variant].name}: ${data.kinds[kind].name}${number}, ${of.object}: ${what}`;
    });
  }

  const tip = document.getElementById("tip");
  function showTip(lines, x, y) {
    tip.replaceChildren(...lines.slice(0, 6).map((text) => make("p", { text })));
    if (lines.length > 6) tip.append(make("p", { text: `and ${lines.length - 6} more` }));
    tip.hidden = false;
    const box = tip.getBoundingClientRect();
    const left = Math.min(Math.max(8, x + 14), window.innerWidth - box.width - 8);
    tip.style.left = `${left}px`;
    tip.style.top = `${y + 18 + box.height > window.innerHeight ? y - box.height - 12 : y + 18}px`;
  }
  const hideTip = () => { tip.hidden = true; };

  function layStrip() {
    const strip = document.getElementById("strip");
    const any = data.variants.some((variant) => variant.events.length);
    strip.hidden = !any;
    if (!any) return;
    strip.replaceChildren();
    const [from, to] = state.range;
    const at = (t) => `${(100 * (t - from)) / (to - from)}%`;
    data.variants.forEach((variant, i) => {
      if (!shown(i)) return;
      const track = make("div", { class: "track" });
      const lane = make("div", { class: "lane" }, make("span", { class: "name" }, swatch(i), ` ${variant.name}`), track);
      strip.append(lane);
      if (variant.wave) {
        const band = make("i");
        band.style.left = at(Math.max(from, variant.wave[0]));
        band.style.right = `${100 - parseFloat(at(Math.min(to, variant.wave[1])))}%`;
        track.append(band);
      }
      const width = state.printing ? 2 * PRINTED - 110 : track.clientWidth || 600;
      const ends = [];
      for (const mark of gathered(i, ((to - from) * 30) / width)) {
        const lines = told(mark);
        const sign = mark.count > 1 ? `${mark.sign} ${mark.count.toLocaleString("en")}` : mark.sign;
        const button = make("button", {
          type: "button", class: `mark ${mark.group}`, "aria-label": lines.join("; "), text: sign,
          onmouseenter: (e) => showTip(lines, e.clientX, e.clientY),
          onfocus: () => { const b = button.getBoundingClientRect(); showTip(lines, b.left, b.bottom - 12); },
          onmouseleave: hideTip, onblur: hideTip, onclick: () => zoomTo(mark.t - 45, mark.until + 45),
        });
        const wide = 14 + (sign.length - 1) * 6.5;
        const left = Math.min((width * (mark.t - from)) / (to - from), width + 9 - wide);
        let row = ends.findIndex((end) => end < left);
        if (row < 0) row = ends.length;
        ends[row] = left + wide;
        button.style.left = `${left}px`;
        button.style.top = `${3 + row * 18}px`;
        track.append(button);
      }
      track.style.height = `${6 + 18 * Math.max(1, ends.length)}px`;
    });
    const hours = make("div", { class: "track" });
    for (const t of ticks(from, to, (strip.clientWidth || 600) / 90)) {
      const label = make("span", { text: clock(t) });
      label.style.left = at(t);
      hours.append(label);
    }
    strip.append(make("div", { class: "lane hours", "aria-hidden": "true" }, make("span", {}), hours));
  }

  /* ----------------------------------------------------------------------------------------------- the charts */

  const viewOf = (chart) => chart.views[state.views[chart.name] || 0];

  function linesOf(chart) {
    return data.variants.flatMap((variant, i) =>
      viewOf(chart).lines.map(([column], n) => ({ variant: i, n, values: variant.columns[column] || [] })));
  }

  function boundsOf(chart) {
    const label = viewOf(chart).label;
    return (data.bounds[chart.name] || []).filter(
      (b) => (b.view === null || b.view === label) && (b.variant === null || shown(b.variant)));
  }

  function rangeOf(chart, bounds) {
    const top = Math.max(0, ...bounds.map((b) => b.value));
    if (chart.unit === "share") {
      return (u, low) => {
        const from = chart.name === "served" ? Math.max(0, Math.min(low, 0.99) - 0.02) : 0;
        return [from, 1 + (1 - from) * 0.06];
      };
    }
    if (chart.log) {
      return (u, low, high) => {
        const from = Math.max(0.01, Math.min(low || 1, top || Infinity) / 1.6);
        return [from, Math.max(high || 10, top, from * 10) * 1.6];
      };
    }
    return (u, low, high) => [0, Math.max(high, high > top / 4 ? top : 0) * 1.12 || 1];
  }

  /* Values with none beside them: a line through a single point would not be seen. */
  function alone(u, series) {
    const values = u.data[series];
    const none = (n) => values[n] === null || values[n] === undefined;
    return values.flatMap((value, n) => (!none(n) && none(n - 1) && none(n + 1) ? [n] : []));
  }

  function options(chart, lines, width) {
    const bounds = boundsOf(chart);
    const muted = colour("--muted");
    const grid = { stroke: colour("--faint"), width: 1 };
    const font = "12px system-ui, -apple-system, 'Segoe UI', Roboto, Arial, sans-serif";
    const whole = ["users", "pods", "nodes", "workers", "requests"].includes(chart.unit);
    return {
      width,
      height: width < 460 ? 200 : 230,
      padding: [10, 16, 0, 0],
      legend: { show: false },
      cursor: { sync: { key: "seawall", setSeries: false }, drag: { x: true, y: false, dist: 6 }, points: { size: 7 } },
      scales: { x: { time: false }, y: { distr: chart.log ? 3 : 1, range: rangeOf(chart, bounds) } },
      axes: [
        { stroke: muted, font, grid: { show: false }, ticks: { ...grid, size: 5 }, size: 28,
          splits: (u, axis, from, to) => ticks(from, to, u.width / 75), values: (u, at) => at.map(clock) },
        { stroke: muted, font, grid, ticks: { show: false }, size: 58,
          incrs: whole ? [1, 2, 5, 10, 20, 25, 50, 100, 200, 250, 500, 1000, 2000, 5000, 1e4, 1e5, 1e6] : undefined,
          splits: chart.log ? (u, axis, from, to) => decades(from, to) : undefined, filter: (u, at) => at,
          values: (u, at) => at.map((v) => (chart.unit === "share" && v > 1 ? "" : figure(v, chart.unit))) },
      ],
      series: [
        {},
        ...lines.map((line) => ({
          show: shown(line.variant),
          stroke: variantColour(line.variant),
          width: line.n ? 1 : 2,
          alpha: line.n ? 0.6 : 1,
          dash: DASHES[line.variant % LOOKS],
          points: { show: true, filter: alone, size: line.n ? 3 : 4, fill: variantColour(line.variant) },
          paths: whole && chart.unit !== "requests" ? uPlot.paths.stepped({ align: 1 }) : undefined,
        })),
      ],
      hooks: {
        drawClear: [drawWave],
        draw: [(u) => drawBounds(u, chart, bounds), drawMarks],
        setCursor: [(u) => follow(u, chart, lines)],
        setScale: [(u, scale) => { if (scale === "x") pass(u); }],
      },
    };
  }

  /* The wave as a band behind the lines; several variants share it, or lie over each other. */
  function drawWave(u) {
    const bands = new Set(data.variants.flatMap((v, i) => (v.wave && shown(i) ? [v.wave.join()] : [])));
    u.ctx.save();
    u.ctx.fillStyle = colour("--wave");
    u.ctx.globalAlpha = 0.08;
    for (const band of bands) {
      const [from, to] = band.split(",").map((t) => u.valToPos(Math.min(Math.max(+t, u.scales.x.min), u.scales.x.max), "x", true));
      u.ctx.fillRect(from, u.bbox.top, to - from, u.bbox.height);
    }
    u.ctx.restore();
  }

  function drawBounds(u, chart, bounds) {
    const ratio = uPlot.pxRatio;
    u.ctx.save();
    u.ctx.font = `${11.5 * ratio}px system-ui, sans-serif`;
    u.ctx.textAlign = "right";
    for (const bound of bounds) {
      if (bound.value > u.scales.y.max || bound.value < u.scales.y.min) continue;
      const y = Math.round(u.valToPos(bound.value, "y", true));
      const ink = bound.variant === null ? colour("--ink") : variantColour(bound.variant);
      u.ctx.strokeStyle = u.ctx.fillStyle = ink;
      u.ctx.setLineDash([2 * ratio, 3 * ratio]);
      u.ctx.beginPath();
      u.ctx.moveTo(u.bbox.left, y);
      u.ctx.lineTo(u.bbox.left + u.bbox.width, y);
      u.ctx.stroke();
      const above = y - u.bbox.top > 18 * ratio;
      const right = u.bbox.left + u.bbox.width - 4 * ratio;
      u.ctx.textBaseline = above ? "bottom" : "top";
      u.ctx.fillText(`${bound.label} ${figure(bound.value, chart.unit)}`, right, above ? y - 3 * ratio : y + 4 * ratio);
    }
    u.ctx.restore();
  }

  /* Events by their sign above the plot; a hair line for what breaks, for all where one variant is shown. */
  function drawMarks(u) {
    const ratio = uPlot.pxRatio;
    const alone = data.variants.length - state.hidden.size === 1;
    const seconds = ((state.range[1] - state.range[0]) * 30) / Math.max(100, u.bbox.width / ratio);
    u.marks = [];
    u.ctx.save();
    u.ctx.font = `${9.5 * ratio}px system-ui, sans-serif`;
    u.ctx.textAlign = "center";
    u.ctx.textBaseline = "bottom";
    data.variants.forEach((variant, i) => {
      if (!shown(i)) return;
      for (const mark of gathered(i, seconds)) {
        if (mark.group === "story") continue;
        const x = u.valToPos(mark.t, "x", true);
        u.marks.push({ x: (x - u.bbox.left) / ratio, mark });
        u.ctx.strokeStyle = u.ctx.fillStyle = variantColour(i);
        u.ctx.setLineDash(mark.group === "breaks" ? [] : [ratio, 3 * ratio]);
        u.ctx.lineWidth = ratio;
        u.ctx.globalAlpha = 0.35;
        u.ctx.beginPath();
        u.ctx.moveTo(x, u.bbox.top);
        u.ctx.lineTo(x, u.bbox.top + (alone || mark.group === "breaks" ? u.bbox.height : 5 * ratio));
        u.ctx.stroke();
        u.ctx.globalAlpha = 0.9;
        u.ctx.fillText(mark.sign, x, u.bbox.top);
      }
    });
    u.ctx.restore();
  }

  /* ---------------------------------------------------------------------------------------- reading off a chart */

  /* Values under the cursor; without one, the highest in view. */
  function follow(u, chart, lines) {
    const at = u.cursor.idx;
    const figureElement = u.root.closest(".chart");
    if (!figureElement) return;
    const read = figureElement.querySelector(".read");
    const resting = at === null || at === undefined || u.cursor.left < 0;
    const parts = [make("span", { class: "when", text: resting ? (chart.name === "served" ? "lowest" : "highest") : `at ${clock(times[at])}` })];
    data.variants.forEach((variant, i) => {
      if (!shown(i)) return;
      const values = lines.filter((line) => line.variant === i).map((line) => (resting ? extreme(chart, line.values) : line.values[at]));
      const [first, ...rest] = values.map((value) => figure(value, chart.unit));
      const of = make("span", { class: "of" }, swatch(i), make("b", { text: first }));
      if (rest.length) of.append(make("em", { text: `/ ${rest.join(" / ")}` }));
      parts.push(of);
    });
    read.replaceChildren(...parts);
    if (!u.over.matches(":hover") || resting) return;
    const near = (u.marks || []).filter(({ x }) => Math.abs(x - u.cursor.left) < 6);
    const box = u.over.getBoundingClientRect();
    if (near.length) showTip(near.flatMap(({ mark }) => told(mark)), box.left + u.cursor.left, box.top + u.cursor.top);
    else hideTip();
  }

  function extreme(chart, values) {
    const [from, to] = state.range.map((t) => Math.round(t / data.step));
    const known = values.slice(from, to + 1).filter((value) => value !== null && value !== undefined);
    if (!known.length) return null;
    return known.reduce((a, b) => (chart.name === "served" ? Math.min(a, b) : Math.max(a, b)));
  }

  /* ------------------------------------------------------------------------------------------------ one zoom */

  function pass(from) {
    if (state.passing) return;
    const { min, max } = from.scales.x;
    if (min === state.range[0] && max === state.range[1]) return;
    zoomTo(min, max);
  }

  function zoomTo(from, to) {
    state.passing = true;
    state.range = [Math.max(whole[0], from), Math.min(whole[1], to)];
    const [min, max] = state.range;
    for (const plot of plots) {
      plot.setScale("x", { min, max });
      plot.read();
    }
    document.getElementById("reset").hidden = min <= whole[0] && max >= whole[1];
    layStrip();
    requestAnimationFrame(() => { state.passing = false; });
  }

  /* -------------------------------------------------------------------------------------------- building it all */

  function frame(chart) {
    const caption = make("figcaption", {}, make("h3", { text: chart.title }), make("span", { class: "unit", text: unitOf(chart) }));
    if (chart.views.length > 1) {
      const views = make("div", { class: "views", role: "group", "aria-label": `${chart.title}: which` });
      chart.views.forEach((view, i) => {
        const empty = !data.variants.some((v) => (v.columns[view.lines[0][0]] || []).some((value) => value));
        views.append(make("button", {
          type: "button", text: view.label, "aria-pressed": String(i === (state.views[chart.name] || 0)),
          disabled: empty && i > 0, title: empty ? "none in this run" : null,
          onclick: () => { state.views[chart.name] = i; draw(); },
        }));
      });
      caption.append(views);
    }
    const figureElement = make("figure", { class: "chart" }, caption, make("div", { class: "read" }), make("div", { class: "plot", role: "img", "aria-label": summary(chart) }));
    const lines = viewOf(chart).lines;
    if (lines.length > 1) figureElement.append(make("p", { class: "key", text: `bold: ${lines[0][1]} · thin: ${lines.slice(1).map((line) => line[1]).join(", ")}` }));
    return figureElement;
  }

  function unitOf(chart) {
    if (chart.name === "cost") return `${data.variants[0].currency || ""} ${chart.unit}`.trim();
    return { share: "of requests", ms: "log scale" }[chart.name === "node-memory" ? "" : chart.unit] || (chart.unit === "share" ? "of its capacity" : chart.unit);
  }

  function summary(chart) {
    const told = linesOf(chart).filter((line) => line.n === 0).map((line) =>
      `${data.variants[line.variant].name} ${chart.name === "served" ? "at least" : "at most"} ${figure(extreme(chart, line.values), chart.unit)}`);
    return `${chart.title} over time: ${told.join(", ")}`;
  }

  function draw() {
    hideTip();
    plots.forEach((plot) => plot.destroy());
    const place = document.getElementById("charts");
    const frames = data.charts.map(frame);
    place.replaceChildren(...frames);
    state.passing = true;
    plots = data.charts.map((chart, i) => {
      const lines = linesOf(chart);
      const room = frames[i].querySelector(".plot");
      const columns = lines.map((line) => times.map((_, n) => (line.values[n] === undefined ? null : line.values[n])));
      const plot = new uPlot(options(chart, lines, state.printing ? PRINTED : room.clientWidth), [times, ...columns], room);
      plot.read = () => follow(plot, chart, lines);
      plot.read();
      return plot;
    });
    for (const plot of plots) plot.setScale("x", { min: state.range[0], max: state.range[1] });
    requestAnimationFrame(() => { state.passing = false; });
    layStrip();
    rowsShown();
  }

  function resize() {
    if (state.printing) return;
    for (const plot of plots) {
      const width = plot.root.parentElement.clientWidth;
      if (width && width !== plot.width) plot.setSize({ width, height: width < 460 ? 200 : 230 });
    }
    layStrip();
  }

  function rowsShown() {
    for (const row of document.querySelectorAll(".events tbody tr")) {
      const kind = data.kinds.findIndex((k) => k.name === row.dataset.kind);
      row.hidden = state.hidden.has(+row.dataset.variant) || !state.kinds.has(kind);
    }
  }

  function toggle(variant) {
    if (state.hidden.has(variant)) state.hidden.delete(variant);
    else state.hidden.add(variant);
    for (const button of document.querySelectorAll(`[data-toggle="${variant}"]`)) button.setAttribute("aria-pressed", String(shown(variant)));
    const card = document.querySelector(`.card[data-variant="${variant}"]`);
    if (card) card.classList.toggle("off", !shown(variant));
    draw();
  }

  function openUnmeasured() {
    const rests = document.getElementById("rests");
    if (rests) rests.open = true;
  }

  function buildTools() {
    const chips = document.getElementById("chips");
    data.variants.forEach((variant, i) => {
      chips.append(make("button", { type: "button", "data-toggle": i, "aria-pressed": "true" }, swatch(i), variant.name));
    });
    for (const button of document.querySelectorAll("[data-toggle]")) button.addEventListener("click", () => toggle(+button.dataset.toggle));
    const kinds = document.getElementById("kinds");
    const count = () => { document.getElementById("filter-count").textContent = `(${state.kinds.size} of ${data.kinds.length} kinds)`; };
    data.kinds.forEach((kind, i) => {
      const total = data.variants.flatMap((v) => v.events).reduce((sum, event) => sum + (event[1] === i ? event[4] : 0), 0);
      const box = make("input", { type: "checkbox", checked: state.kinds.has(i), onchange: () => {
        if (box.checked) state.kinds.add(i);
        else state.kinds.delete(i);
        count();
        plots.forEach((plot) => plot.redraw(false));
        layStrip();
        rowsShown();
      } });
      kinds.append(make("label", {}, box, make("span", { class: kind.group, "aria-hidden": "true", text: ` ${kind.sign} ` }),
        `${kind.name} (${total.toLocaleString("en")})`, make("small", { text: kind.meaning })));
    });
    count();
    document.getElementById("filter").hidden = !data.kinds.length;
    document.getElementById("reset").addEventListener("click", () => zoomTo(whole[0], whole[1]));
    for (const link of document.querySelectorAll(".provisional a")) link.addEventListener("click", openUnmeasured);
    for (const row of document.querySelectorAll(".events tbody tr")) {
      row.querySelector(".go").addEventListener("click", () => {
        zoomTo(+row.dataset.t - 45, +row.dataset.t + 45);
        document.getElementById("charts-title").scrollIntoView();
      });
    }
    document.getElementById("tools").hidden = false;
    document.addEventListener("click", (e) => {
      const filter = document.getElementById("filter");
      if (filter.open && !filter.contains(e.target)) filter.open = false;
    });
    document.addEventListener("mouseleave", hideTip);
    window.addEventListener("scroll", hideTip, { passive: true });
  }

  /* ------------------------------------------------------------------------------------------ light, dark, print */

  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  function remembered() {
    try { return localStorage.getItem("seawall-theme"); } catch (e) { return null; }
  }
  function applyTheme(theme) {
    root.dataset.theme = theme;
    draw();
  }
  function switchTheme() {
    const theme = root.dataset.theme === "dark" ? "light" : "dark";
    try { localStorage.setItem("seawall-theme", theme); } catch (e) { /* a page from a file may have no storage */ }
    applyTheme(theme);
  }

  root.dataset.theme = remembered() || (dark.matches ? "dark" : "light");
  buildTools();
  draw();
  document.getElementById("theme").addEventListener("click", switchTheme);
  dark.addEventListener("change", () => { if (!remembered()) applyTheme(dark.matches ? "dark" : "light"); });
  new ResizeObserver(() => requestAnimationFrame(resize)).observe(document.getElementById("charts"));
  let before = null;
  window.addEventListener("beforeprint", () => {
    before = root.dataset.theme;
    openUnmeasured();
    state.printing = true;
    applyTheme("light");
  });
  window.addEventListener("afterprint", () => {
    state.printing = false;
    applyTheme(before || "light");
  });
})();
