// What the page says: the size formula with its numbers, and one sentence for whatever is pointed at.

/** A number as a cell shows it; the full one is in the cell's label. */
function shown(value) {
  if (value === 0) return "0";
  if (Number.isInteger(value) && Math.abs(value) < 1e5) return minus(String(value));
  const size = Math.abs(value);
  const text =
    size >= 1e5 || size < 1e-3 ? value.toExponential(1).replace("e+", "e") : String(+value.toPrecision(3));
  return minus(text);
}

const minus = (text) => text.replaceAll("-", "\u2212");
const full = (value) => minus(String(value === 0 ? 0 : +value.toPrecision(12)));
const bracketed = (value) => (value < 0 ? `(${full(value)})` : full(value));
const plural = (count, noun) => `${count} ${noun}${count === 1 ? "" : "s"}`;
const at = (flat, shape) => `[${unravel(flat, shape).join(", ")}]`;
const AXES = { 1: [""], 2: ["rows", "columns"] };

/** One line per axis: {axis, symbols, numbers, result}. */
function sizeFormula(model) {
  const { state, windows } = model;
  const up = state.direction === "up";
  const rank = state.size.length;
  const [coarse, fine] = [model.coarse.slice(-rank), model.fine.slice(-rank)];
  return coarse.map((m, axis) => {
    const n = fine[axis];
    const line = { axis: AXES[rank][axis], result: up ? n : m };
    const pads = windows ? [windows[axis].before, windows[axis].after].map(bracketed) : null;
    const { factor, stride, dilation, kernel_size: kernel } = state;
    const [s, d, k, f] = [stride, dilation, kernel, factor].map((each) => each?.[axis]);
    const floor = (word) => ({
      ...line,
      symbols: `${word}((input + before + after \u2212 dilation \u00b7 (kernel \u2212 1) \u2212 1) / stride) + 1`,
      numbers: `${word}((${n} + ${pads[0]} + ${pads[1]} \u2212 ${d} \u00b7 (${k} \u2212 1) \u2212 1) / ${s}) + 1`,
    });
    const asked = (low, high) => ({
      ...line,
      symbols: "output_size",
      numbers: String(n),
      note: `${low === high ? `only ${low}` : `${low} to ${high}`} come back to ${m}`,
    });
    switch (state.way) {
      case "nearest":
      case "pixel_shuffle":
        return up
          ? { ...line, symbols: "input \u00b7 factor", numbers: `${m} \u00b7 ${f}` }
          : { ...line, symbols: "input / factor", numbers: `${n} / ${f}` };
      case "bed_of_nails": {
        const nail = state.at[axis];
        if (!up)
          return {
            ...line,
            symbols: "ceil((input \u2212 at) / factor)",
            numbers: `ceil((${n} \u2212 ${nail}) / ${f})`,
          };
        if (state.output_size) return asked((m - 1) * f + nail + 1, m * f + nail);
        return { ...line, symbols: "input \u00b7 factor", numbers: `${m} \u00b7 ${f}` };
      }
      case "max_unpool": {
        if (up)
          return {
            ...line,
            symbols: "the size that was pooled, which the switches know",
            numbers: String(n),
          };
        const pooled = floor(state.ceil_mode ? "ceil" : "floor");
        const plain = Math.ceil((n + windows[axis].before + windows[axis].after - d * (k - 1) - 1) / s) + 1;
        const less = state.ceil_mode && plain > m;
        return less ? { ...pooled, note: "less the last window, which would start in the padding" } : pooled;
      }
      case "conv_transpose": {
        if (!up) return floor("floor");
        const [low, high] = fineRange(m, k, s, d, state.padding, axis);
        if (state.output_size) return asked(Math.max(low, 1), high);
        if (state.padding === "same")
          return { ...line, symbols: "input \u00b7 stride", numbers: `${m} \u00b7 ${s}` };
        return {
          ...line,
          symbols:
            "(input \u2212 1) \u00b7 stride \u2212 before \u2212 after + dilation \u00b7 (kernel \u2212 1) + 1 + output_padding",
          numbers:
            `(${m} \u2212 1) \u00b7 ${s} \u2212 ${pads[0]} \u2212 ${pads[1]} + ${d} \u00b7 (${k} \u2212 1) + 1 + ` +
            `${state.output_padding[axis]}`,
        };
      }
      default:
        return up
          ? { ...line, symbols: "output_size", numbers: String(n), note: lookedAt(m, n, state) }
          : { ...line, symbols: "input_size", numbers: String(m), note: "the size that resize started from" };
    }
  });
}

function lookedAt(n, m, { convention, method }) {
  if (method === "area")
    return `output o averages inputs floor(o \u00b7 ${n} / ${m}) to ceil((o + 1) \u00b7 ${n} / ${m}) \u2212 1`;
  const where = {
    half_pixel: `(o + \u00bd) \u00b7 ${n} / ${m} \u2212 \u00bd`,
    align_corners: m > 1 ? `o \u00b7 ${n - 1} / ${m - 1}` : "0",
    asymmetric: `o \u00b7 ${n} / ${m}`,
    legacy: `floor(o \u00b7 ${n} / ${m})`,
  };
  return `output o looks at input ${where[convention]}`;
}

/** How many stamps meet: away from the border, and so whether a checkerboard is to be expected. */
function overlapSentence(model) {
  const { state, windows } = model;
  const [least, most] = [Math.min(...model.overlap), Math.max(...model.overlap)];
  if (state.way === "resize")
    return (
      `Every output is a weighted mean of ${least === most ? plural(least, "input") : `${least} to ${most} inputs`}; ` +
      "weights add up to 1, so overlaps leave no pattern."
    );
  if (state.way === "bed_of_nails")
    return "One output of each block holds a value, the others hold 0: every location is fixed.";
  if (state.way === "nearest" || state.way === "pixel_shuffle")
    return "Stamps tile: exactly 1 meets in every output.";
  // Tap t lands in residue t * dilation mod stride: equal counts in all residues are even.
  const counts = windows.map((window) => {
    const residues = new Array(window.stride).fill(0);
    for (let t = 0; t < window.size; t += 1) residues[mod(t * window.dilation, window.stride)] += 1;
    return residues;
  });
  const all = [...new Set(counts.reduce((a, b) => a.flatMap((x) => b.map((y) => x * y))))].sort(
    (a, b) => a - b,
  );
  if (state.way === "max_unpool")
    return all.length === 1 && all[0] === 1
      ? "Windows tile: no element can be remembered twice."
      : `Up to ${most} windows look at one element: several may remember it (duplicates).`;
  if (all.length === 1)
    return `Away from the border ${plural(all[0], "stamp")} ${all[0] === 1 ? "meets" : "meet"} in every output: even.`;
  return `Away from the border ${all.slice(0, -1).join(", ")} and ${all.at(-1)} stamps meet in turn: uneven, the checkerboard.`;
}

const FEW = 8;

function some(parts, joined) {
  return parts.length <= FEW
    ? parts.join(joined)
    : `${parts.slice(0, FEW).join(joined)}${joined}\u2026 (${parts.length - FEW} more)`;
}

/** One sentence about coarse element c, fine element f, tap t or matrix cell m. */
function sentence(model, kind, i) {
  const up = model.state.direction === "up";
  const [input, output] = [up ? "c" : "f", up ? "f" : "c"];
  const links = [...(up ? model.up : model.down)].sort(
    (a, b) => a[input] - b[input] || a[output] - b[output],
  );
  const shapes = { c: model.coarse, f: model.fine };
  const values = up ? model.y : model.x;
  const term = ({ w, [input]: from }) => `${full(values[from])} \u00b7 ${bracketed(w)}`;
  const source = (from) => `input${at(from, shapes[input])}`;
  const target = (to) => `output${at(to, shapes[output])}`;
  if (kind === "t") {
    const meets = links.filter((link) => link.t === i);
    const weight = model.weight ? ` (weight ${full(model.weight[i])})` : "";
    const tap =
      model.windows.length > 1
        ? at(
            i,
            model.windows.map((window) => window.size),
          )
        : String(i);
    if (!meets.length) return `Tap ${tap}${weight} joins nothing here.`;
    const pairs = meets.map((link) => `${source(link[input])} \u2192 ${target(link[output])}`);
    return `Tap ${tap}${weight} joins ${some(pairs, ", ")}.`;
  }
  if (kind === "m") {
    const columns = product(model.fine);
    const [c, f] = [Math.floor(i / columns), i % columns];
    const meets = links.filter((link) => link.c === c && link.f === f);
    const [from, to] = up ? [c, f] : [f, c];
    if (!meets.length) return `${source(from)} does not reach ${target(to)}.`;
    const weight = meets.reduce((sum, link) => sum + link.w, 0);
    const reached = `${source(from)} reaches ${target(to)} with weight ${full(weight)}`;
    return `${reached}: ${full(values[from])} \u00b7 ${bracketed(weight)} = ${full(values[from] * weight)}.`;
  }
  if (kind === "p") {
    const by = model.down.filter((link) => link.f === i);
    const held = by.length
      ? `remembered by ${by.map((link) => `window ${at(link.c, model.coarse)}`).join(" and ")}`
      : "no maximum";
    return `Before pooling${at(i, model.fine)} = ${full(model.x[i])}: ${held}.`;
  }
  const meets = links.filter((link) => link[kind] === i);
  if (kind === output) {
    const value = full(model.out[i]);
    if (!meets.length) return `${target(i)} = 0: ${up ? "no stamp falls here" : "its window meets nothing"}.`;
    if (meets.length === 1 && meets[0].w === 1)
      return `${target(i)} = ${source(meets[0][input])} = ${value}.`;
    return `${target(i)} = ${some(meets.map(term), " + ")} = ${value}.`;
  }
  const verb = up ? "stamps" : "is read into";
  if (!meets.length) {
    const lost = up && model.state.way === "max_unpool";
    const why = lost ? "loses to another window that remembers the same element" : "reaches no output";
    return `${source(i)} = ${full(values[i])} ${why}.`;
  }
  const parts = meets.map((link) => `${at(link[output], shapes[output])} with ${full(link.w * values[i])}`);
  return `${source(i)} = ${full(values[i])} ${verb} ${plural(meets.length, "output")}: ${some(parts, ", ")}.`;
}
