// Elements: a helper to make them, grids of cells with one tab stop each, and the controls.

/** An element; properties that start with "on" listen, others are attributes, false leaves one out. */
function h(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === false || value === null || value === undefined) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== false));
  return element;
}

const COLOURS = 8;
// More stripes than these are too thin to tell apart; the sentence still names every stamp.
const STRIPES = 6;

/** A cell's background: its stamps' colours side by side. Set through CSSOM, which the policy allows. */
function paint(cell, colours) {
  const found = [...new Set(colours)];
  if (!found.length) return;
  cell.classList.add("stamped");
  if (found.length > STRIPES) {
    cell.classList.add("many");
    return;
  }
  const stops = found.map((colour, i) => {
    const [from, to] = [(i * 100) / found.length, ((i + 1) * 100) / found.length];
    return `var(--stamp-${colour % COLOURS}) ${from}% ${to}%`;
  });
  cell.style.background =
    found.length === 1 ? `var(--stamp-${found[0] % COLOURS})` : `linear-gradient(115deg, ${stops})`;
}

/**
 * A grid of cells with one tab stop; arrows move inside. `spec.cell(i)` says what cell i holds:
 * {value, text, label, colours, editable, blank, classes}. `kind` and `key(i)` say what it is about.
 */
function makeGrid({
  name,
  label,
  kind,
  shape,
  cell,
  key = (i) => i,
  column = false,
  array = null,
  size = "",
}) {
  const two = shape.length === 2 ? shape : column ? [shape[0], 1] : [1, shape[0]];
  const [rows, columns] = two;
  const body = Array.from({ length: rows }, (_, r) =>
    h(
      "div",
      { role: "row", class: "row" },
      Array.from({ length: columns }, (_, c) => {
        const i = r * columns + c;
        const { value, text, label: says, colours = [], blank = false, classes = "" } = cell(i);
        const length = { 4: "long", 5: "longer" }[Math.min(text.length, 5)] ?? "";
        const element = h(
          "div",
          {
            role: "gridcell",
            class: ["cell", classes, length, blank && "blank", array && "editable"].filter(Boolean).join(" "),
            tabindex: i === 0 ? "0" : "-1",
            "data-kind": kind,
            "data-i": key(i),
            "data-value": value === null ? false : String(value),
            "data-array": array,
            "aria-label": says,
            "aria-readonly": array ? "false" : "true",
          },
          text,
        );
        paint(element, colours);
        return element;
      }),
    ),
  );
  return h(
    "div",
    {
      role: "grid",
      class: `grid ${size}`,
      "data-grid": name,
      "aria-label": label,
      "aria-rowcount": rows,
      "aria-colcount": columns,
    },
    body,
  );
}

/** A grid with its heading; several side by side where the shape has channels. */
function figure(spec, caption, note = "") {
  const { shape, planes } = spec;
  const grids = !planes
    ? [makeGrid(spec)]
    : Array.from({ length: shape[0] }, (_, channel) => {
        const rest = shape.slice(1);
        const offset = channel * product(rest);
        const plane = {
          ...spec,
          name: `${spec.name}-${channel}`,
          label: `${spec.label}, channel ${channel}`,
          shape: rest,
          cell: (i) => spec.cell(offset + i),
          key: (i) => offset + i,
        };
        return h(
          "div",
          { class: "plane" },
          h("span", { class: "channel" }, `channel ${channel}`),
          makeGrid(plane),
        );
      });
  return h(
    "figure",
    { class: `figure ${spec.name}` },
    h("figcaption", {}, h("b", {}, caption), note ? h("span", { class: "note" }, note) : null),
    h("div", { class: "planes" }, grids),
  );
}

/** Where an arrow key leads from a cell, or null. */
function neighbour(cell, key, control) {
  const row = cell.parentElement;
  const rows = [...row.parentElement.children];
  const [r, c] = [rows.indexOf(row), [...row.children].indexOf(cell)];
  const last = row.children.length - 1;
  const to = {
    ArrowUp: [r - 1, c],
    ArrowDown: [r + 1, c],
    ArrowLeft: [r, c - 1],
    ArrowRight: [r, c + 1],
    Home: [control ? 0 : r, 0],
    End: [control ? rows.length - 1 : r, last],
  }[key];
  return to ? (rows[to[0]]?.children[to[1]] ?? cell) : null;
}

// -- controls -----------------------------------------------------------------------------------------------

function radios({ name, legend, options, chosen, choose, classes }) {
  return h(
    "fieldset",
    { class: `radios ${classes}` },
    h("legend", {}, legend),
    options.map(({ value, title, note }) =>
      h(
        "label",
        {},
        h("input", { type: "radio", name, value, checked: value === chosen, onchange: () => choose(value) }),
        h("span", { class: "title" }, title),
        note ? h("small", {}, note) : null,
      ),
    ),
  );
}

/** A number with its label; whole numbers alone are taken over, everything else waits. */
function numberInput({ label, value, min, max, change }) {
  const input = h("input", {
    type: "number",
    step: "1",
    inputmode: "numeric",
    value,
    min: min ?? false,
    max: max ?? false,
  });
  input.addEventListener("input", () => {
    if (input.value !== "" && Number.isInteger(input.valueAsNumber)) change(input.valueAsNumber);
  });
  return h("label", { class: "number" }, h("span", {}, label), input);
}

function select({ label, value, options, change }) {
  const element = h(
    "select",
    { onchange: () => change(element.value) },
    options.map(([key, text]) => h("option", { value: key, selected: key === value }, text)),
  );
  return h("label", { class: "select" }, h("span", {}, label), element);
}

/** The control of one setting; `now()` is the state at the time of a change, not that of the drawing. */
function fieldControl(name, field, now, label, words, change) {
  const state = now();
  const value = state[name];
  const axes = AXES[state.size.length];
  const lowest = { stride: 1, dilation: 1, factor: 1, at: 0, output_padding: 0 }[name] ?? field.min;
  const set = (axis, number) => change(now()[name].map((old, i) => (i === axis ? number : old)));
  const numbers = () =>
    value.map((number, axis) =>
      numberInput({
        label: axes[axis] || label,
        value: number,
        min: lowest,
        max: field.max,
        change: (n) => set(axis, n),
      }),
    );
  if (field.kind === "choice")
    return select({ label, value, options: field.choices.map((each) => [each, each]), change });
  if (field.kind === "flag")
    return h(
      "label",
      { class: "check" },
      h("input", { type: "checkbox", checked: value, onchange: (event) => change(event.target.checked) }),
      h("span", {}, label),
    );
  if (field.kind === "count") return numberInput({ label, value, min: field.min, max: field.max, change });
  if (field.kind === "pads") {
    const kind = typeof value === "string" ? value : "numbers";
    const zeros = axes.map(() => [0, 0]);
    const choose = select({
      label,
      value: kind,
      options: [["numbers", "per side"], ...words.map((word) => [word, word])],
      change: (word) => change(word === "numbers" ? zeros : word),
    });
    if (kind !== "numbers") return choose;
    const sides = value.flatMap((pair, axis) =>
      ["before", "after"].map((side, j) =>
        numberInput({
          label: `${axes[axis]} ${side}`.trim(),
          value: pair[j],
          min: state.way === "max_unpool" ? 0 : undefined,
          max: field.max,
          change: (n) =>
            change(now()[name].map((old, i) => (i === axis ? old.map((o, k) => (k === j ? n : o)) : old))),
        }),
      ),
    );
    return h(
      "div",
      { class: "group", role: "group", "aria-label": label },
      choose,
      h("div", { class: "numbers" }, sides),
    );
  }
  if (field.kind === "optional axes" && state.way !== "resize") {
    const own = h(
      "label",
      { class: "check" },
      h("input", {
        type: "checkbox",
        checked: value !== null,
        onchange: (event) => change(event.target.checked ? "usual" : null),
      }),
      h("span", {}, `${label} asked for`),
    );
    return value === null
      ? own
      : h(
          "div",
          { class: "group", role: "group", "aria-label": label },
          own,
          h("div", { class: "numbers" }, numbers()),
        );
  }
  if (value.length === 1) return numbers()[0];
  return h(
    "div",
    { class: "group", role: "group", "aria-label": label },
    h("span", { class: "label" }, label),
    h("div", { class: "numbers" }, numbers()),
  );
}
