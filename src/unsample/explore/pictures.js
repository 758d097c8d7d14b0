// The views of a model, each a function that returns elements: picture, size formula, overlap, matrix.

/** The meetings of the direction that is shown. */
const linksOf = (model) => (model.state.direction === "up" ? model.up : model.down);

/** A colour for each stamp: its coarse element, or its channel where channels are what is laid out. */
function stampColour(model, c) {
  const plane = model.state.way === "pixel_shuffle" ? product(model.coarse.slice(1)) : 1;
  return Math.floor(c / plane) % COLOURS;
}

/** The colours that have fallen on every fine element so far. */
function stampsOn(model) {
  const { step } = model.state;
  const stamps = Array.from({ length: product(model.fine) }, () => []);
  for (const { c, f } of [...linksOf(model)].sort((a, b) => a.c - b.c))
    if (step === null || c < step) stamps[f].push(stampColour(model, c));
  return stamps;
}

const cellSize = (columns) => (columns > 24 ? "tiny" : columns > 12 ? "small" : "");
const stageSize = (columns) => (columns <= 8 ? "large" : cellSize(columns));

/** The picture itself; `output` holds the numbers so far, `again` lets unpooled values follow the pool. */
function stageOf(model, output, again) {
  const { state } = model;
  const stamps = stampsOn(model);
  const up = state.direction === "up";
  const rank = state.size.length;
  const planes = state.way === "pixel_shuffle";
  const size = stageSize(Math.max(model.fine.at(-1), rank === 1 ? 0 : model.fine.at(-2)));
  const later = (c) => (state.step !== null && c >= state.step ? "later" : "");
  const side = (kind, role, values, extra = {}) => {
    const shape = kind === "c" ? model.coarse : model.fine;
    return {
      name: role,
      label: `${role}, ${shape.join(" by ")}`,
      kind,
      shape,
      planes,
      size,
      cell: (i) => ({
        value: values[i],
        text: shown(values[i]),
        label: `${role} ${unravel(i, shape).join(", ")}: ${full(values[i])}`,
        colours: kind === "c" ? [stampColour(model, i)] : stamps[i],
        classes: kind === "c" ? later(i) : "",
      }),
      ...extra,
    };
  };
  const values = up ? model.y : model.x;
  const given = side(up ? "c" : "f", "input", values, { array: up ? "y" : "x" });
  const result = side(up ? "f" : "c", "output", output);
  const unpool = state.way === "max_unpool" && up;
  const pooled = unpool
    ? side("p", "before pooling", model.x, {
        shape: model.fine,
        array: "x",
        cell: (i) => {
          const by = model.down.filter((link) => link.f === i);
          return {
            value: model.x[i],
            text: shown(model.x[i]),
            label:
              `before pooling ${unravel(i, model.fine).join(", ")}: ${full(model.x[i])}` +
              (by.length ? ", a maximum" : ""),
            colours: by.map((link) => stampColour(model, link.c)),
          };
        },
      })
    : null;
  const followed = unpool && state.y !== null;
  const captions = {
    input: unpool ? ["Values", followed ? "changed since pooling" : "the maxima"] : ["Input", ""],
    output: ["Output", ""],
  };
  const taps = tapGrid(model, size);
  const follow = followed
    ? h("button", { type: "button", class: "quiet", onclick: again }, "Take the maxima again")
    : null;
  if (rank === 1 && !planes) {
    const corner = (name, spec, column) => figure({ ...spec, column }, ...captions[name]);
    const top = pooled ? figure(pooled, "Before pooling", "maxima coloured") : null;
    const body = stampRows(model, size, later);
    const [first, last] = [corner("input", given, up), corner("output", result, !up)];
    return [taps, h("div", { class: `table ${state.direction}` }, top, first, body, last), follow];
  }
  return [
    h(
      "div",
      { class: "flow" },
      pooled ? figure(pooled, "Before pooling", "maxima coloured") : null,
      figure(given, ...captions.input),
      taps,
      figure(result, ...captions.output),
    ),
    follow,
  ];
}

/** The kernel, to be edited; or the weights that one stamp carries. */
function tapGrid(model, size) {
  const { state } = model;
  if (!model.windows || state.way === "resize") return null;
  if (state.way === "bed_of_nails") {
    const nail = flatIndex(state.at, state.factor);
    const [weight, key] = [(i) => (i === nail ? 1 : 0), (i) => (i === nail ? 0 : -1)];
    return figure(tapSpec(model, state.factor, size, weight, key), "Stamp", "one nail in a block");
  }
  const shape = model.windows.map((window) => window.size);
  if (state.way === "conv_transpose")
    return figure({ ...tapSpec(model, shape, size, (i) => model.weight[i]), array: "weight" }, "Kernel");
  if (state.way === "nearest")
    return figure(
      tapSpec(model, shape, size, () => 1),
      "Stamp",
      "1 on every tap",
    );
  if (state.way === "pixel_shuffle") {
    const group = (i) => (state.order === "CRD" ? i : i * state.channels);
    const spec = tapSpec(model, shape, size, group);
    const cell = (i) => ({
      ...spec.cell(i),
      classes: "",
      colours: [group(i) % COLOURS],
      label: `tap ${unravel(i, shape).join(", ")}: takes channel ${group(i)}`,
    });
    const which = state.channels > 1 ? ", for output channel 0" : "";
    return figure({ ...spec, cell }, "Stamp", `the input channel on each tap${which}`);
  }
  const c = state.step ? state.step - 1 : 0;
  const spec = tapSpec(model, shape, size, (i) => (model.switches[c] === i ? 1 : 0));
  return figure(spec, "Stamp", `of window ${at(c, model.coarse)}: 1 on the remembered tap`);
}

function tapSpec(model, shape, size, weight, key = (i) => i) {
  const kernel = model.state.way === "conv_transpose";
  return {
    name: "taps",
    label: `${kernel ? "kernel" : "stamp"}, ${shape.join(" by ")}`,
    kind: "t",
    shape,
    size,
    key,
    cell: (i) => ({
      value: weight(i),
      text: shown(weight(i)),
      label: `tap ${unravel(i, shape).join(", ")}: weight ${full(weight(i))}`,
      classes: weight(i) === 0 && !kernel ? "zero" : "",
    }),
  };
}

/** In one dimension every stamp has a row: what each input adds to each output. */
function stampRows(model, size, later) {
  const { state } = model;
  const links = linksOf(model);
  const up = state.direction === "up";
  const [rows, columns] = [product(model.coarse), product(model.fine)];
  const values = up ? model.y : model.x;
  const terms = new Map();
  for (const { c, f, w } of links) {
    const term = w * values[up ? c : f];
    terms.set(c * columns + f, (terms.get(c * columns + f) ?? 0) + term);
  }
  return figure(
    {
      name: "stamps",
      label: up ? "stamps, one row for each input" : "windows, one row for each output",
      kind: "s",
      shape: [rows, columns],
      size,
      cell: (i) => {
        const term = terms.get(i);
        const c = Math.floor(i / columns);
        const where = up ? `input ${c} to output ${i % columns}` : `input ${i % columns} to output ${c}`;
        if (term === undefined) return { value: null, text: "", label: `${where}: nothing`, blank: true };
        const label = `${where}: ${full(term)}`;
        return { value: term, text: shown(term), label, colours: [stampColour(model, c)], classes: later(c) };
      },
    },
    up ? "Stamps" : "Windows",
    up ? "one row for each input; columns add up" : "one row for each output; rows add up",
  );
}

function formulaOf(model) {
  const lines = sizeFormula(model);
  return [
    h("p", { class: "symbols" }, "output = ", lines[0].symbols),
    ...lines.map(({ axis, numbers, result, note }) =>
      h(
        "p",
        { class: "line" },
        axis ? h("span", { class: "axis" }, axis) : null,
        numbers === String(result) ? null : `${numbers} `,
        h(
          "span",
          { class: "equals" },
          numbers === String(result) ? null : "= ",
          h("output", { class: "result" }, String(result)),
        ),
        note ? h("span", { class: "note" }, note) : null,
      ),
    ),
  ];
}

function overlapOf(model) {
  const { state } = model;
  const most = Math.max(...model.overlap);
  return [
    figure(
      {
        name: "overlap",
        label: `overlap, ${model.fine.join(" by ")}`,
        kind: "o",
        shape: model.fine,
        planes: state.way === "pixel_shuffle",
        size: cellSize(Math.max(...model.fine.slice(-state.size.length))),
        cell: (i) => ({
          value: model.overlap[i],
          text: String(model.overlap[i]),
          label: `output ${unravel(i, model.fine).join(", ")}: ${plural(model.overlap[i], "stamp")}`,
          classes: `depth-${most <= 4 ? model.overlap[i] : Math.ceil((4 * model.overlap[i]) / most)}`,
        }),
      },
      overlapSentence(model),
    ),
  ];
}

function matrixOf(model) {
  const { state } = model;
  const [rows, columns] = [product(model.coarse), product(model.fine)];
  const up = state.direction === "up";
  const way = TABLE.ways[state.way];
  if (rows * columns > TABLE.limits.matrix) {
    const size = `X has ${rows} by ${columns} elements, more than this page draws`;
    return [h("p", { class: "note" }, `${size}; in Python, unsample.matrix makes it.`)];
  }
  const matrix = matrixCells(model);
  const longest = Math.max(rows, columns);
  const broken = [...matrix.values()].some((weight) => !Number.isInteger(weight));
  const size =
    longest > 20 ? "dot" : longest > 12 && !broken ? "tiny" : broken && longest <= 10 ? "" : "small";
  const spec = (name, transposed) => ({
    name,
    label: transposed ? `matrix X transposed, ${columns} by ${rows}` : `matrix X, ${rows} by ${columns}`,
    kind: "m",
    shape: transposed ? [columns, rows] : [rows, columns],
    size,
    key: (i) => (transposed ? (i % rows) * columns + Math.floor(i / rows) : i),
    cell: (i) => {
      const key = transposed ? (i % rows) * columns + Math.floor(i / rows) : i;
      const weight = matrix.get(key);
      const [r, c] = unravel(i, transposed ? [columns, rows] : [rows, columns]);
      const where = `row ${r}, column ${c}`;
      if (weight === undefined) return { value: 0, text: "\u00b7", label: `${where}: 0`, blank: true };
      const colours = [stampColour(model, Math.floor(key / columns))];
      return { value: weight, text: shown(weight), label: `${where}: ${full(weight)}`, colours };
    },
  });
  const lost = up && state.way === "max_unpool" && model.up.length < model.down.length;
  return [
    h(
      "div",
      { class: "matrices" },
      figure(spec("X", false), "X", `${way.down}, the way down: ${rows} \u00d7 ${columns}`),
      figure(spec("Xt", true), "X\u1d40", `${state.way}, the way up: ${columns} \u00d7 ${rows}`),
    ),
    h(
      "p",
      { class: "note" },
      lost
        ? `With duplicates '${state.duplicates}' a window that loses writes nothing: its row is empty, ` +
            "and only 'sum' is the exact transpose of max_gather."
        : "Rows of X and columns of X\u1d40 are windows. The gradient of each direction is the other.",
    ),
  ];
}
