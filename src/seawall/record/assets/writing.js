/* What a report's script writes with: elements, times and figures in words, places for the ticks of an axis. */
const seawall = (function () {
  "use strict";

  /* An element with its attributes; `text` is its text, `on...` a listener. */
  function make(tag, attributes, ...children) {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes || {})) {
      if (name === "text") made.textContent = value;
      else if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
      else if (value !== null && value !== false) made.setAttribute(name, value === true ? "" : value);
    }
    made.append(...children);
    return made;
  }

  /* Seconds from the start as people read them: 1:36, 1:02:05. */
  function clock(seconds) {
    const all = Math.round(seconds);
    const two = (n) => String(n).padStart(2, "0");
    const [hours, minutes, rest] = [Math.floor(all / 3600), Math.floor((all % 3600) / 60), all % 60];
    return hours ? `${hours}:${two(minutes)}:${two(rest)}` : `${minutes}:${two(rest)}`;
  }

  /* A value with its unit: share, ms, or a plain number. */
  function figure(value, unit) {
    if (value === null || value === undefined) return "–";
    if (unit === "share") {
      const parts = value > 0.99 ? 100 : 10; /* cut off, not rounded: 99.899 % is not 99.9 % */
      return `${Math.floor(value * 100 * parts + 1e-9) / parts} %`;
    }
    if (unit === "ms") return value < 999.5 ? `${+value.toPrecision(3)} ms` : `${+(value / 1000).toPrecision(3)} s`;
    if (Math.abs(value) >= 1000) return Math.round(value).toLocaleString("en");
    return String(+value.toPrecision(3));
  }

  /* Round times between two, at most so many. */
  function ticks(from, to, most) {
    const steps = [1, 2, 5, 10, 15, 30, 60, 120, 180, 300, 600, 900, 1800, 3600, 7200, 21600, 43200, 86400, 604800];
    const step = steps.find((s) => (to - from) / s <= most) || steps[steps.length - 1];
    const found = [];
    for (let t = Math.ceil(from / step) * step; t <= to; t += step) found.push(t);
    return found;
  }

  /* Round values on a logarithmic axis, fewer of a decade the more decades there are. */
  function decades(from, to) {
    const found = [];
    for (let power = Math.floor(Math.log10(from)); power <= Math.log10(to); power++) {
      for (const n of to / from > 300 ? [1] : to / from > 40 ? [1, 3] : [1, 2, 5]) found.push(n * 10 ** power);
    }
    return found.filter((v) => v >= from && v <= to);
  }

  return { make, clock, figure, ticks, decades };
})();
