// What a reader can do with the charts: a crosshair with the values of all of them, a window to zoom into, lines on and off,
// and a link to the window. Everything is read from the drawings themselves; without this script they are all there.
(() => {
  "use strict";
  const SVG = document.querySelector("svg")?.namespaceURI;
  const figures = [...document.querySelectorAll("figure[data-unit]")];
  const timed = figures.filter((figure) => figure.dataset.end);
  const end = Math.max(1, ...timed.map((figure) => +figure.dataset.end));
  const charts = [];
  let from = 0;
  let to = end;
  let at = null;

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
    item.append(button, value);
    button.addEventListener("click", () => {
      const on = button.getAttribute("aria-pressed") !== "true";
      button.setAttribute("aria-pressed", String(on));
      this.drawings.forEach((drawing) => drawing.toggle(item.dataset.line, on));
    });
  };

  /** Shows what each line is at a moment; nothing where nothing is known. */
  Chart.prototype.read = function (moment) {
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
    if (moment === null || moment < from || moment > to) {
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
    text.textContent = clock(moment, (to - from) / 10);
  };

  /** Where a moment is drawn in the window. */
  Drawing.prototype.place = function (moment) {
    return this.left + ((moment - from) / (to - from)) * (this.right - this.left);
  };

  /** Which moment lies under a point of the screen. */
  Drawing.prototype.moment = function (event) {
    const box = this.svg.getBoundingClientRect();
    const scale = this.svg.viewBox.baseVal.width / box.width;
    const x = (event.clientX - box.left) * scale;
    const share = Math.min(1, Math.max(0, (x - this.left) / (this.right - this.left)));
    return from + share * (to - from);
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
    const texts = [];
    for (const part of this.svg.querySelectorAll("[data-k], [data-line]")) {
      if (part.localName === "text") {
        texts.push([part, +part.getAttribute("x")]);
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
    this.zoomed = { frames, texts, ticks, width, added: [] };
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

  /** Shows the window. */
  Drawing.prototype.show = function () {
    if (from === 0 && to === end && !this.zoomed) {
      return;
    }
    const { frames, texts, ticks, added } = this.frame();
    const width = this.right - this.left;
    const start = this.left + (from / end) * width;
    const part = Math.max(1e-6, (to - from) / end) * width;
    const height = this.svg.viewBox.baseVal.height;
    frames.forEach((frame) => frame.setAttribute("viewBox", `${start} 0 ${part} ${height}`));
    for (const [text, x] of texts) {
      const moved = this.left + ((x - start) / part) * width;
      text.setAttribute("x", moved);
      text.style.display = moved < this.left || moved > this.right ? "none" : "";
    }
    const whole = from === 0 && to === end;
    ticks.forEach((tick) => {
      tick.style.display = whole ? "" : "none";
    });
    added.splice(0).forEach((tick) => tick.remove());
    if (!whole) {
      const [moments, step] = steps(from, to, width / this.factor > 500 ? 9 : 4);
      for (const moment of moments) {
        const x = this.place(moment);
        const line = make("line", { class: "tick", x1: x, x2: x, y1: this.top, y2: this.bottom });
        this.svg.insertBefore(line, this.zoomed.frames[1]);
        added.push(line);
        const label = make("text", {
          class: "tick", x, y: this.bottom + 17 * this.factor, "text-anchor": "middle", "font-size": 12 * this.factor,
        });
        label.textContent = clock(moment, step * 10);
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
    const window_ = to - from;
    const step = window_ / (event.shiftKey ? 20 : 200);
    const middle = at === null ? from + window_ / 2 : at;
    const act = {
      ArrowLeft: () => look(Math.max(from, middle - step)),
      ArrowRight: () => look(Math.min(to, middle + step)),
      Home: () => look(from),
      End: () => look(to),
      "+": () => zoom(middle - window_ / 4, middle + window_ / 4),
      "-": () => zoom(middle - window_, middle + window_),
      Escape: () => zoom(0, end),
    }[event.key];
    if (act && !event.ctrlKey && !event.metaKey && !event.altKey) {
      act();
      event.preventDefault();
    }
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

  /** Moments to label, in steps of 1, 2 or 5 times a power of ten. */
  function steps(low, high, most) {
    const rough = (high - low) / most;
    const power = 10 ** Math.floor(Math.log10(rough));
    const step = [1, 2, 5, 10].map((times) => times * power).find((one) => one >= rough) || 10 * power;
    const moments = [];
    for (let tick = Math.ceil(low / step) * step; tick <= high && moments.length < 50; tick += step) {
      moments.push(tick);
    }
    return [moments, step];
  }

  /** A moment of the run, as fine as a window of this length asks for. */
  function clock(us, span = to - from) {
    const decimals = [1e7, 1e6, 1e5].filter((length) => span < length).length;
    const seconds = us / 1e6;
    if (end < 3600e6) {
      return `${seconds.toFixed(decimals)} s`;
    }
    const minutes = Math.floor(seconds / 60);
    const hours = Math.floor(minutes / 60);
    const pad = (n) => String(n).padStart(2, "0");
    return `${hours}:${pad(minutes % 60)}:${pad((seconds % 60).toFixed(span > 600e6 ? 0 : decimals))}`;
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

  function scaled(value, step, names, gap) {
    let place = 0;
    while (Math.abs(value) >= step && place + 1 < names.length) {
      value /= step;
      place += 1;
    }
    return `${three(value)}${gap}${names[place]}`;
  }

  /** A value with its unit. */
  function print(value, unit) {
    switch (unit) {
      case "duration":
        return value < 1e3 ? `${three(value)} µs` : value < 1e6 ? `${three(value / 1e3)} ms` : `${three(value / 1e6)} s`;
      case "rate":
        return `${scaled(value, 1000, ["", "k", "M", "G"], "")}/s`;
      case "ratio":
        return `${three(value * 100)} %`;
      case "bytes":
        return scaled(value, 1024, ["B", "KiB", "MiB", "GiB", "TiB"], " ");
      default:
        return three(value);
    }
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
    const whole = from === 0 && to === end;
    const hash = whole ? "" : `#t=${(from / 1e6).toFixed(3)}-${(to / 1e6).toFixed(3)}`;
    // An address of a file can't always be changed; the zoom works all the same.
    try {
      history.replaceState(null, "", hash || location.pathname + location.search);
    } catch {
      // Nothing is lost but the link.
    }
    apply();
  }

  function apply() {
    charts.filter((chart) => chart.end).forEach((chart) => chart.drawings.forEach((drawing) => drawing.show()));
    bar.hidden = from === 0 && to === end;
    label.textContent = `${clock(from)} to ${clock(to)} of ${clock(end, end)}`;
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
  bar.setAttribute("role", "status");
  const label = document.createElement("span");
  const back = document.createElement("button");
  back.type = "button";
  back.textContent = "Show all";
  back.addEventListener("click", () => zoom(0, end));
  const link = document.createElement("button");
  link.type = "button";
  link.textContent = "Copy link";
  link.addEventListener("click", () => copy(location.href, link));
  bar.append(label, back, link);
  document.body.append(bar);

  /** Puts a text on the clipboard, and says so on its button. */
  function copy(text, button) {
    const was = button.textContent;
    const done = (said) => {
      button.textContent = said;
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
  document.documentElement.classList.add("live");
  addEventListener("hashchange", follow);
  follow();
})();
