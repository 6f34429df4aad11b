// What a reader can do with the charts: a crosshair with the values of all of them, a window to zoom into, lines on and off,
// and a link to the window. Everything is read from the drawings themselves; without this script they are all there.
(() => {
  "use strict";
  const SVG = document.querySelector("svg")?.namespaceURI;
  const figures = [...document.querySelectorAll("figure[data-unit]")];
  const timed = figures.filter((figure) => figure.dataset.end);
  const end = Math.max(1, ...timed.map((figure) => +figure.dataset.end));
  const charts = [];
  // The window, and where the crosshair stands, in microseconds of the longest chart.
  let from = 0;
  let to = end;
  let at = null;
  const isWhole = () => from === 0 && to === end;
  /** About how wide a letter of a name is, in pixels; as in chart/label.rs. */
  const LETTER = 7;

  /** One figure: its legend and its drawings, of which the page shows the one that fits. */
  function Chart(figure) {
    this.figure = figure;
    this.end = +figure.dataset.end || 0;
    this.drawings = [...figure.querySelectorAll(":scope > svg")].map((svg) => new Drawing(svg, this));
    this.items = [...figure.querySelectorAll(".legend li[data-line]")];
    this.items.forEach((item) => this.makeSwitch(item));
    this.drawings.forEach((drawing) => drawing.listen());
  }

  Chart.prototype.shown = function () {
    return this.drawings.find((drawing) => drawing.svg.getClientRects().length > 0);
  };

  Chart.prototype.makeSwitch = function (item) {
    const button = document.createElement("button");
    button.type = "button";
    button.setAttribute("aria-pressed", "true");
    const title = this.figure.querySelector("figcaption strong").textContent;
    button.setAttribute("aria-label", `${item.textContent}, line of ${title}`);
    button.append(...item.childNodes);
    const value = document.createElement("output");
    // It changes with every move of the pointer, which nobody wants read out.
    value.setAttribute("aria-live", "off");
    item.append(button, value);
    button.addEventListener("click", () => {
      const on = button.getAttribute("aria-pressed") !== "true";
      button.setAttribute("aria-pressed", String(on));
      this.drawings.forEach((drawing) => drawing.toggle(item.dataset.line, on));
    });
  };

  /** Shows what each line is at a moment; nothing where nothing is known, as beyond the chart's end. */
  Chart.prototype.read = function (asked) {
    const moment = asked === null || asked > this.end ? null : asked;
    const drawing = moment === null ? null : this.shown();
    this.items.forEach((item) => {
      const value = drawing && drawing.value(item.dataset.line, moment);
      item.querySelector("output").textContent = value === null ? "" : drawing.print(value);
    });
    this.drawings.forEach((one) => one.cross(one === drawing ? moment : null));
  };

  /** One drawing. */
  function Drawing(svg, chart) {
    const [left, top, right, bottom, factor] = svg.dataset.plot.split(" ").map(Number);
    Object.assign(this, { svg, chart, left, top, right, bottom, factor, lines: new Map(), zoomed: null });
    this.axis = chart.figure.dataset.axis.split(" ");
    this.cursor = null;
  }

  Drawing.prototype.print = function (value) {
    return print(value, this.chart.figure.dataset.unit);
  };

  /** The stretch of time that is shown. Charts end where their runs do: without a zoom each shows all of its own. */
  Drawing.prototype.window = function () {
    return [from, isWhole() ? this.chart.end : to];
  };

  Drawing.prototype.toggle = function (line, on) {
    this.svg.querySelectorAll(`[data-line="${line}"]`).forEach((part) => {
      part.style.display = on ? "" : "none";
    });
  };

  /** The points of a line, in pieces, in the units of the drawing. */
  Drawing.prototype.pieces = function (line) {
    if (!this.lines.has(line)) {
      const parts = [...this.svg.querySelectorAll(`[data-line="${line}"]`)];
      this.lines.set(line, parts.map((part) => {
        if (part.hasAttribute("cx")) {
          return [[+part.getAttribute("cx"), +part.getAttribute("cy")]];
        }
        return part.getAttribute("points").trim().split(/\s+/).map((point) => point.split(",").map(Number));
      }));
    }
    return this.lines.get(line);
  };

  /** The value of a line at a moment: that of the nearest point of a piece that reaches there. */
  Drawing.prototype.value = function (line, moment) {
    const x = this.left + (moment / this.chart.end) * (this.right - this.left);
    const reach = 6 * this.factor;
    let best = null;
    for (const piece of this.pieces(line)) {
      if (piece.length === 0 || x < piece[0][0] - reach || x > piece[piece.length - 1][0] + reach) {
        continue;
      }
      const near = nearest(piece, x);
      if (best === null || Math.abs(near[0] - x) < Math.abs(best[0] - x)) {
        best = near;
      }
    }
    if (best === null) {
      return null;
    }
    const [kind, low, high] = [this.axis[0], +this.axis[1], +this.axis[2]];
    const position = low + ((this.bottom - best[1]) / (this.bottom - this.top)) * (high - low);
    return kind === "log" ? 10 ** position : position;
  };

  /** Draws the crosshair. */
  Drawing.prototype.cross = function (moment) {
    const [low, high] = this.window();
    if (moment === null || moment < low || moment > high) {
      if (this.cursor) {
        this.cursor.remove();
        this.cursor = null;
      }
      return;
    }
    if (!this.cursor) {
      this.cursor = make("g", { "aria-hidden": "true" });
      this.cursor.append(
        make("line", { class: "cross", y1: this.top, y2: this.bottom }),
        make("text", { class: "cross", y: this.bottom - 5 * this.factor, "font-size": 12 * this.factor }),
      );
      this.svg.append(this.cursor);
    }
    const x = this.place(moment);
    const [line, text] = this.cursor.children;
    line.setAttribute("x1", x);
    line.setAttribute("x2", x);
    const beyond = x > (this.left + this.right) / 2;
    text.setAttribute("text-anchor", beyond ? "end" : "start");
    text.setAttribute("x", x + (beyond ? -5 : 5) * this.factor);
    // Finer than the axis: about as fine as a pixel.
    text.textContent = clock(moment, (high - low) / 10, this.chart.end);
  };

  /** Where a moment is drawn in the window. */
  Drawing.prototype.place = function (moment) {
    const [low, high] = this.window();
    return this.left + ((moment - low) / (high - low)) * (this.right - this.left);
  };

  /** Which moment lies under a point of the screen. */
  Drawing.prototype.moment = function (event) {
    const box = this.svg.getBoundingClientRect();
    const scale = this.svg.viewBox.baseVal.width / box.width;
    const x = (event.clientX - box.left) * scale;
    const share = Math.min(1, Math.max(0, (x - this.left) / (this.right - this.left)));
    const [low, high] = this.window();
    return low + share * (high - low);
  };

  /** Takes what is drawn over time into two frames that can show a part of it: one behind the grid, one before it. */
  Drawing.prototype.frame = function () {
    if (this.zoomed) {
      return this.zoomed;
    }
    const [width, height] = [this.svg.viewBox.baseVal.width, this.svg.viewBox.baseVal.height];
    const frames = ["back", "front"].map(() => make("svg", {
      x: this.left, y: 0, width: this.right - this.left, height, preserveAspectRatio: "none", overflow: "hidden",
    }));
    const [names, dots] = [[], []];
    for (const part of this.svg.querySelectorAll("[data-k], [data-line]")) {
      // What must keep its shape is moved, not stretched.
      if (part.localName === "text") {
        const [begins, ends] = part.dataset.k.split(" ").map(Number);
        names.push({ part, begins, ends, x: +part.getAttribute("x"), row: part.getAttribute("y") });
        continue;
      }
      if (part.localName === "circle") {
        dots.push([part, +part.getAttribute("cx")]);
        continue;
      }
      const thin = part.getAttribute("stroke-width");
      part.setAttribute("vector-effect", "non-scaling-stroke");
      // A stroke that does not scale is measured on the screen.
      if (thin) {
        part.setAttribute("stroke-width", thin / this.factor);
      }
      const dashes = part.getAttribute("stroke-dasharray");
      if (dashes) {
        part.setAttribute("stroke-dasharray", dashes.split(" ").map((dash) => dash / this.factor).join(" "));
      }
      frames[part.hasAttribute("data-line") ? 1 : 0].append(part);
    }
    this.svg.insertBefore(frames[0], this.svg.querySelector("line, polyline, rect"));
    const cover = this.svg.querySelector("text");
    this.svg.insertBefore(frames[1], cover);
    const ticks = [...this.svg.querySelectorAll("[data-x]"), ...this.upright()];
    this.zoomed = { frames, names, dots, ticks, added: [] };
    return this.zoomed;
  };

  /** The lines of the grid and the ticks that stand at moments. */
  Drawing.prototype.upright = function () {
    const lines = [...this.svg.querySelectorAll(":scope > line")];
    const ticks = [...this.svg.querySelectorAll(":scope > polyline")];
    const begins = (tick) => tick.getAttribute("points").trim().split(/[ ,]/).map(Number);
    return [
      ...lines.filter((line) => line.getAttribute("x1") === line.getAttribute("x2")),
      ...ticks.filter((tick) => begins(tick)[0] === begins(tick)[2] && begins(tick)[1] >= this.bottom - this.factor),
    ];
  };

  /** Puts each name at the middle of what is seen of its stretch, or, if that is how it is set, at the begin. */
  Drawing.prototype.name = function (names, moved) {
    const taken = new Map();
    for (const { part, begins, ends, x, row } of names) {
      const width = part.textContent.length * LETTER * this.factor;
      const [low, high] = [Math.max(this.left, moved(begins)), Math.min(this.right, moved(ends))];
      const centred = part.getAttribute("text-anchor") === "middle";
      // A name at the begin of its stretch may reach beyond its end, but not over the next one.
      const place = centred
        ? (low + high) / 2
        : Math.max(Math.min(low + 3 * this.factor, this.right - width), taken.get(row) ?? this.left);
      const fits = low < high && (centred ? width <= high - low : place + width <= this.right + this.factor);
      part.setAttribute("x", isWhole() ? x : place);
      part.setAttribute("visibility", isWhole() || fits ? "visible" : "hidden");
      if (fits && !centred) {
        taken.set(row, place + width + LETTER * this.factor);
      }
    }
  };

  /** Shows the window. */
  Drawing.prototype.show = function () {
    const whole = isWhole();
    if (whole && !this.zoomed) {
      return;
    }
    const { frames, names, dots, ticks, added } = this.frame();
    const [low, high] = this.window();
    const width = this.right - this.left;
    const start = this.left + (low / this.chart.end) * width;
    const part = Math.max(1e-6, (high - low) / this.chart.end) * width;
    const height = this.svg.viewBox.baseVal.height;
    frames.forEach((frame) => frame.setAttribute("viewBox", `${start} 0 ${part} ${height}`));
    const moved = (x) => this.left + ((x - start) / part) * width;
    this.name(names, moved);
    for (const [dot, x] of dots) {
      dot.setAttribute("transform", `translate(${moved(x) - x} 0)`);
      dot.setAttribute("visibility", moved(x) < this.left || moved(x) > this.right ? "hidden" : "visible");
    }
    ticks.forEach((tick) => {
      tick.style.display = whole ? "" : "none";
    });
    added.splice(0).forEach((tick) => tick.remove());
    if (!whole) {
      const [moments, step] = steps(low, high, width / this.factor > 500 ? 9 : 4);
      for (const moment of moments) {
        const x = this.place(moment);
        const line = make("line", { class: "tick", x1: x, x2: x, y1: this.top, y2: this.bottom });
        this.svg.insertBefore(line, this.zoomed.frames[1]);
        added.push(line);
        const label = make("text", {
          class: "tick", x, y: this.bottom + 17 * this.factor, "text-anchor": "middle", "font-size": 12 * this.factor,
        });
        label.textContent = clock(moment, step * 10, this.chart.end);
        this.svg.append(label);
        added.push(label);
      }
    }
  };

  Drawing.prototype.listen = function () {
    if (!this.chart.end) {
      return;
    }
    const { svg } = this;
    let begun = null;
    let band = null;
    const stop = () => {
      begun = null;
      if (band) {
        band.remove();
        band = null;
      }
    };
    svg.setAttribute("tabindex", "0");
    svg.addEventListener("pointermove", (event) => {
      const moment = this.moment(event);
      if (begun !== null) {
        const [low, high] = [this.place(Math.min(begun, moment)), this.place(Math.max(begun, moment))];
        band = band || svg.appendChild(make("rect", { class: "chosen", y: this.top, height: this.bottom - this.top }));
        band.setAttribute("x", low);
        band.setAttribute("width", high - low);
      }
      look(moment);
    });
    svg.addEventListener("pointerleave", () => {
      if (begun === null) {
        look(null);
      }
    });
    svg.addEventListener("pointerdown", (event) => {
      if (event.button === 0 && event.pointerType !== "touch") {
        begun = this.moment(event);
        svg.setPointerCapture(event.pointerId);
      }
    });
    svg.addEventListener("pointerup", (event) => {
      const [begin, finish] = [begun, this.moment(event)];
      stop();
      // Less is a click, or a hand that shook.
      if (begin !== null && Math.abs(this.place(begin) - this.place(finish)) > 8 * this.factor) {
        zoom(Math.min(begin, finish), Math.max(begin, finish));
      }
    });
    svg.addEventListener("pointercancel", stop);
    svg.addEventListener("dblclick", () => zoom(0, end));
    svg.addEventListener("blur", () => look(null));
    svg.addEventListener("keydown", (event) => this.key(event));
  };

  Drawing.prototype.key = function (event) {
    const [low, high] = this.window();
    const length = high - low;
    const step = length / (event.shiftKey ? 20 : 200);
    const middle = at === null ? low + length / 2 : Math.min(high, Math.max(low, at));
    const act = {
      ArrowLeft: () => look(Math.max(low, middle - step)),
      ArrowRight: () => look(Math.min(high, this.chart.end, middle + step)),
      Home: () => look(low),
      End: () => look(Math.min(high, this.chart.end)),
      "+": () => zoom(middle - length / 4, middle + length / 4),
      "-": () => isWhole() || zoom(middle - length, middle + length),
      Escape: () => zoom(0, end),
    }[event.key];
    if (act && !event.ctrlKey && !event.metaKey && !event.altKey) {
      act();
      event.preventDefault();
      if (event.key.length > 1 && event.key !== "Escape") {
        said.textContent = this.spoken();
      }
    }
  };

  /** What the crosshair reads, in words: the moment, and what each line is then. */
  Drawing.prototype.spoken = function () {
    const values = this.chart.items.map((item) => [item.querySelector("button"), item.querySelector("output")]);
    const known = values.filter(([, value]) => value.textContent).map(([name, value]) => `${name.textContent} ${value.textContent}`);
    return this.cursor ? [this.cursor.textContent, ...known].join(", ") : "";
  };

  function make(name, attributes) {
    const element = document.createElementNS(SVG, name);
    Object.entries(attributes).forEach(([key, value]) => element.setAttribute(key, value));
    return element;
  }

  function nearest(points, x) {
    let [low, high] = [0, points.length - 1];
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if (points[middle][0] < x) {
        low = middle;
      } else {
        high = middle;
      }
    }
    return x - points[low][0] < points[high][0] - x ? points[low] : points[high];
  }

  /** Moments to label, in steps that a clock knows; below a second 1, 2 or 5 times a power of ten. */
  function steps(low, high, most) {
    const rough = (high - low) / most;
    const power = 10 ** Math.floor(Math.log10(rough));
    const seconds = [1, 2, 5, 10, 15, 20, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400].map((one) => one * 1e6);
    const fine = [1, 2, 5, 10].map((times) => times * power);
    const step = (rough > 5e5 ? seconds : fine).find((one) => one >= rough) || 10 * power;
    const moments = [];
    for (let tick = Math.ceil(low / step) * step; tick <= high && moments.length < 50; tick += step) {
      moments.push(tick);
    }
    return [moments, step];
  }

  /**
   * A moment of a chart that ends at `last`, as fine as a stretch of this length asks for. From which length on minutes and hours
   * stand apart is as on the axis, see time_label in chart/scale.rs.
   */
  function clock(us, span, last) {
    const decimals = [1e7, 1e6, 1e5].filter((length) => span < length).length;
    // Rounded before it is taken apart, or 59.96 s would be no minute but 60.0 s.
    const parts = 10 ** decimals;
    const rounded = Math.round((us / 1e6) * parts);
    if (last < 300e6) {
      return `${(rounded / parts).toFixed(decimals)} s`;
    }
    const minutes = Math.floor(rounded / (60 * parts));
    const seconds = (rounded / parts - 60 * minutes).toFixed(decimals).padStart(decimals ? 3 + decimals : 2, "0");
    if (last < 3600e6) {
      return `${minutes}:${seconds}`;
    }
    return `${Math.floor(minutes / 60)}:${String(minutes % 60).padStart(2, "0")}:${seconds}`;
  }

  /** Three significant digits. */
  function three(value) {
    const size = Math.abs(value);
    if (size === 0) {
      return "0";
    }
    if (size >= 1000) {
      return Math.round(value).toLocaleString("en");
    }
    return String(+value.toPrecision(3));
  }

  /** A value with its unit, of those that charts of time have. */
  function print(value, unit) {
    if (unit === "duration") {
      // The unit goes by what is printed: 999.6 ms is 1 s.
      value = +value.toPrecision(3);
      return value < 1e3 ? `${three(value)} µs` : value < 1e6 ? `${three(value / 1e3)} ms` : `${three(value / 1e6)} s`;
    }
    if (unit === "change" || unit === "points") {
      const percent = (unit === "change" ? value - 1 : value) * 100;
      const size = unit === "change" ? `${Math.abs(percent).toFixed(1)} %` : `${three(Math.abs(percent))} pp`;
      return `${percent > 0 ? "+" : percent < 0 ? "−" : ""}${size}`;
    }
    if (unit !== "rate") {
      return three(value);
    }
    const place = [1e3, 1e6, 1e9].filter((step) => Math.abs(value) >= step).length;
    return `${three(value / 1000 ** place)}${["", "k", "M", "G"][place]}/s`;
  }

  /** Puts the crosshair of every chart on a moment, or takes it away. */
  function look(moment) {
    at = moment;
    charts.filter((chart) => chart.end).forEach((chart) => chart.read(moment));
  }

  /** Shows a window in every chart of time. */
  function zoom(low, high) {
    // Under a millisecond there is nothing to see.
    const length = Math.min(end, Math.max(1000, high - low));
    from = Math.min(end - length, Math.max(0, low));
    to = from + length;
    // An address of a file can't always be changed; the zoom works all the same.
    try {
      history.replaceState(null, "", hash() || location.pathname + location.search);
    } catch {
      // Nothing is lost but the link.
    }
    apply();
  }

  /** What leads to the window at the end of an address; nothing for the whole. */
  function hash() {
    return isWhole() ? "" : `#t=${(from / 1e6).toFixed(3)}-${(to / 1e6).toFixed(3)}`;
  }

  function apply() {
    charts.filter((chart) => chart.end).forEach((chart) => chart.drawings.forEach((drawing) => drawing.show()));
    // A button that goes must not take the focus with it to nowhere.
    if (isWhole() && bar.contains(document.activeElement)) {
      charts.find((chart) => chart.end)?.shown()?.svg.focus({ preventScroll: true });
    }
    bar.hidden = isWhole();
    label.textContent = `${clock(from, to - from, end)} to ${clock(to, to - from, end)} of ${clock(end, end, end)}`;
    said.textContent = isWhole() ? "All of the time is shown" : `Shown is ${label.textContent}`;
    look(at);
  }

  /** The window that an address asks for. */
  function follow() {
    const asked = /^#t=([0-9.]+)-([0-9.]+)$/.exec(location.hash);
    if (asked && +asked[1] < +asked[2]) {
      zoom(asked[1] * 1e6, asked[2] * 1e6);
    }
  }

  const bar = document.createElement("div");
  bar.className = "zoom";
  bar.hidden = true;
  bar.setAttribute("role", "group");
  bar.setAttribute("aria-label", "Window of time");
  const label = document.createElement("span");
  const back = document.createElement("button");
  back.type = "button";
  back.textContent = "Show all";
  back.addEventListener("click", () => zoom(0, end));
  const link = document.createElement("button");
  link.type = "button";
  link.textContent = "Copy link";
  // The address may say something else: a section that was gone to, or nothing where it can't be changed.
  link.addEventListener("click", () => copy(location.href.split("#")[0] + hash(), link));
  bar.append(label, back, link);
  // What happens to the page, for those who don't see it: it must be there before it says anything.
  const said = document.createElement("p");
  said.className = "said";
  said.setAttribute("role", "status");
  document.body.append(bar, said);

  /** Puts a text on the clipboard, and says so on its button. */
  function copy(text, button) {
    const was = button.textContent;
    const done = (outcome) => {
      button.textContent = outcome;
      said.textContent = outcome;
      setTimeout(() => {
        button.textContent = was;
      }, 1500);
    };
    if (navigator.clipboard && window.isSecureContext) {
      navigator.clipboard.writeText(text).then(() => done("Copied"), () => done("Can't copy"));
      return;
    }
    const area = document.createElement("textarea");
    area.value = text;
    document.body.append(area);
    area.select();
    done(document.execCommand("copy") ? "Copied" : "Can't copy");
    area.remove();
    button.focus();
  }

  document.querySelectorAll("pre[data-copy]").forEach((pre) => {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "copy";
    button.textContent = "Copy";
    button.addEventListener("click", () => copy(pre.innerText.trim(), button));
    pre.before(button);
  });
  figures.forEach((figure) => charts.push(new Chart(figure)));
  if (timed.length > 0) {
    const hint = document.createElement("p");
    hint.className = "hint";
    hint.textContent = "Drag across a chart to zoom in, double-click to see all again. Keys in a chart: ← → move, with Shift faster; + and − zoom; Esc shows all.";
    (timed[0].closest(".beside > div") || timed[0].closest("section")).append(hint);
  }
  document.documentElement.classList.add("live");
  addEventListener("hashchange", follow);
  follow();
})();
