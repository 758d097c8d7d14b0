// The arithmetic of the page: sizes, taps, values and refusals, in plain functions without a document.
// tests/tools/test_explore.py compares every number and every sentence with the library's. The names are those
// of the library: the fine side is the larger one, the coarse side counts the windows, and a meeting
// {c, f, t, w} is one tap t of weight w joining coarse element c with fine element f. A way up adds
// w * y[c] to out[f], its transpose adds w * x[f] to out[c]; nothing else differs.

/** A setting that the library refuses, in the library's words. */
class SettingError extends Error {}

function refuse(sentence) {
  throw new SettingError(sentence);
}

const product = (numbers) => numbers.reduce((a, b) => a * b, 1);
const mod = (a, n) => ((a % n) + n) % n;
const clamp = (a, low, high) => Math.min(Math.max(a, low), high);
const pyTuple = (items) => `(${items.join(", ")}${items.length === 1 ? "," : ""})`;
const quoted = (words) => words.map((word) => `'${word}'`);
const listed = (words) =>
  words.length === 1
    ? quoted(words)[0]
    : `${quoted(words.slice(0, -1)).join(", ")} or ${quoted(words).at(-1)}`;

/** Every multi-index of a shape, in C order. */
function* indices(shape) {
  const index = shape.map(() => 0);
  for (let left = product(shape); left > 0; left -= 1) {
    yield [...index];
    for (let axis = shape.length - 1; axis >= 0; axis -= 1) {
      index[axis] += 1;
      if (index[axis] < shape[axis]) break;
      index[axis] = 0;
    }
  }
}

const flatIndex = (index, shape) => index.reduce((sum, i, axis) => sum * shape[axis] + i, 0);

function unravel(flat, shape) {
  const index = [];
  for (let axis = shape.length - 1; axis >= 0; axis -= 1) {
    index.unshift(flat % shape[axis]);
    flat = Math.floor(flat / shape[axis]);
  }
  return index;
}

// -- what a field may hold ----------------------------------------------------------------------------------

/** Refuse what no call could take or no page could draw, before any arithmetic is done with it. */
function checkFields(table, state) {
  for (const name of Object.keys(table.ways[state.way].settings)) {
    const { min, max, choices, kind } = table.fields[name];
    const value = state[name];
    if (kind === "choice") {
      if (!choices.includes(value))
        refuse(`explore: ${name} must be one of ${listed(choices)}, got '${value}'`);
    } else if (kind !== "flag" && typeof value !== "string" && value !== null) {
      for (const number of [value].flat(2)) {
        if (!Number.isInteger(number)) refuse(`explore: ${name} must be an int, got ${number}`);
        if (min !== undefined && number < min)
          refuse(`explore: ${name} must be at least ${min}, got ${number}`);
        if (Math.abs(number) > max) refuse(`explore: draws ${name} up to ${max}, got ${number}`);
      }
    }
  }
}

function atLeast(operation, name, numbers, minimum) {
  for (const number of numbers.flat())
    if (number < minimum) refuse(`${operation}: ${name} must be at least ${minimum}, got ${number}`);
}

// -- windows ------------------------------------------------------------------------------------------------

const extentOf = (kernel, dilation) => dilation * (kernel - 1) + 1;

/** Padding words as numbers; "same" depends on the fine size, its odd element goes after. */
function resolvePadding(padding, fine, kernel, stride, dilation) {
  if (typeof padding !== "string") return padding;
  return fine.map((n, axis) => {
    const extent = extentOf(kernel[axis], dilation[axis]);
    if (padding === "full") return [extent - 1, extent - 1];
    const total = Math.max(0, (Math.ceil(n / stride[axis]) - 1) * stride[axis] + extent - n);
    return [Math.floor(total / 2), total - Math.floor(total / 2)];
  });
}

/** Smallest, largest and default size of an axis on which a way down has `coarse` windows. */
function fineRange(coarse, kernel, stride, dilation, padding, axis) {
  if (padding === "same") return [(coarse - 1) * stride + 1, coarse * stride, coarse * stride];
  const extent = extentOf(kernel, dilation);
  const [before, after] = padding === "full" ? [extent - 1, extent - 1] : padding[axis];
  const low = (coarse - 1) * stride + extent - before - after;
  return [low, low + stride - 1, low];
}

function foldPosition(window, p) {
  const last = window.fine - 1;
  if (window.mode === "circular") return mod(p, window.fine);
  if (window.mode === "replicate") return clamp(p, 0, last);
  return last - Math.abs(mod(p, 2 * last) - last);
}

/** Every meeting along one axis, tap by tap: p(o, t) = o * stride + t * dilation - before. */
function windowMeetings(window) {
  const meetings = [];
  for (let t = 0; t < window.size; t += 1) {
    for (let c = 0; c < window.coarse; c += 1) {
      const p = c * window.stride + t * window.dilation - window.before;
      if (p >= 0 && p < window.fine) meetings.push({ t, c, f: p, w: 1 });
      else if (window.mode !== "zeros") meetings.push({ t, c, f: foldPosition(window, p), w: 1 });
    }
  }
  return meetings;
}

/** The meetings of all axes together, taps numbered in C order. */
function combine(axes, coarse, fine, taps) {
  let all = [{ t: 0, c: 0, f: 0, w: 1 }];
  axes.forEach((meetings, axis) => {
    all = all.flatMap((one) =>
      meetings.map((other) => ({
        t: one.t * taps[axis] + other.t,
        c: one.c * coarse[axis] + other.c,
        f: one.f * fine[axis] + other.f,
        w: one.w * other.w,
      })),
    );
  });
  return all.sort((a, b) => a.t - b.t || a.c - b.c);
}

function checkBorder(operation, window, axis) {
  if (window.mode === "reflect" && window.fine === 1 && (window.before > 0 || window.after > 0))
    refuse(
      `${operation}: padding_mode 'reflect' needs at least 2 elements, ` +
        `spatial axis ${axis} of the larger side has 1`,
    );
}

function windowsUnder(operation, state) {
  const { size, kernel_size: kernel, stride, padding, dilation, output_padding: more } = state;
  const fine = size.map((m, axis) => {
    const [low, high, usual] = fineRange(m, kernel[axis], stride[axis], dilation[axis], padding, axis);
    const given = state.output_size !== null;
    const n = given ? state.output_size[axis] : usual + more[axis];
    const pads = typeof padding === "string" ? padding : pyTuple(padding[axis]);
    const setting =
      `(input size ${m}, kernel_size ${kernel[axis]}, stride ${stride[axis]}, ` +
      `dilation ${dilation[axis]}, padding ${pads})`;
    if (!given && n < 1)
      refuse(
        `${operation}: the output would have ${n} elements on spatial axis ${axis}, it needs at least 1 ${setting}`,
      );
    if (given && (n < Math.max(low, 1) || n > high))
      refuse(
        `${operation}: output_size must be from ${Math.max(low, 1)} to ${high} on spatial axis ${axis} ` +
          `${setting}, got ${n}`,
      );
    return n;
  });
  const pads = resolvePadding(padding, fine, kernel, stride, dilation);
  return fine.map((n, axis) => {
    const [before, after] = pads[axis];
    const window = {
      fine: n,
      coarse: size[axis],
      size: kernel[axis],
      stride: stride[axis],
      dilation: dilation[axis],
      before,
      after,
      mode: state.padding_mode,
    };
    checkBorder(operation, window, axis);
    return window;
  });
}

function windowsOver(operation, state) {
  const { size, kernel_size: kernel, stride, dilation } = state;
  const pads = resolvePadding(state.padding, size, kernel, stride, dilation);
  const windows = size.map((n, axis) => {
    const [k, s, d, [before, after]] = [kernel[axis], stride[axis], dilation[axis], pads[axis]];
    const room = n + before + after - extentOf(k, d);
    if (room < 0)
      refuse(
        `${operation}: a window spans ${extentOf(k, d)} elements (kernel_size ${k}, dilation ${d}), ` +
          `spatial axis ${axis} has ${n + before + after} with its padding ` +
          `(input size ${pyTuple(size)}, padding ${pyTuple([before, after])})`,
      );
    let coarse = Math.floor(room / s) + 1;
    if (state.ceil_mode) {
      coarse = Math.ceil(room / s) + 1;
      if ((coarse - 1) * s >= n + before) coarse -= 1;
    }
    return { fine: n, coarse, size: k, stride: s, dilation: d, before, after, mode: "zeros" };
  });
  windows.forEach((window, axis) => checkPoolWindow(operation, window, axis));
  return windows;
}

function checkPoolWindow(operation, window, axis) {
  const pads = pyTuple([window.before, window.after]);
  const held = new Set(windowMeetings(window).map((meeting) => meeting.c));
  for (let o = 0; o < window.coarse; o += 1)
    if (!held.has(o))
      refuse(
        `${operation}: every window must hold an element of the input, window ${o} of spatial axis ${axis} ` +
          `holds padding alone (size ${window.fine}, kernel_size ${window.size}, padding ${pads}, ` +
          `dilation ${window.dilation})`,
      );
}

// -- the ways up: windows and meetings of a state -----------------------------------------------------------

const GEOMETRY = {
  nearest(state) {
    atLeast("nearest", "factor", state.factor, 1);
    return tiled(state);
  },

  bed_of_nails(state) {
    const { size, factor, at, output_size: wanted } = state;
    atLeast("bed_of_nails", "factor", factor, 1);
    atLeast("bed_of_nails", "at", at, 0);
    at.forEach((nail, axis) => {
      if (nail >= factor[axis])
        refuse(
          "bed_of_nails: at must lie inside the block, from 0 to factor - 1 = " +
            `${factor[axis] - 1}, got ${pyTuple(at)}`,
        );
    });
    if (wanted) atLeast("bed_of_nails", "output_size", wanted, 0);
    const windows = size.map((m, axis) => {
      const [f, nail] = [factor[axis], at[axis]];
      const [low, high] = [(m - 1) * f + nail + 1, m * f + nail];
      const n = wanted ? wanted[axis] : m * f;
      if (n < low || n > high)
        refuse(
          `bed_of_nails: output_size must be from ${low} to ${high} on spatial axis ${axis} ` +
            `(input size ${m}, factor ${f}, at ${nail}), got ${n}`,
        );
      return { fine: n, coarse: m, size: 1, stride: f, dilation: 1, before: -nail, after: 0, mode: "zeros" };
    });
    return fromWindows(windows);
  },

  max_unpool(state) {
    atLeast("max_pool", "stride", state.stride, 1);
    atLeast("max_pool", "dilation", state.dilation, 1);
    if (state.padding === "full") refuse("max_pool: padding must be one of 'valid' or 'same', got 'full'");
    if (typeof state.padding !== "string") atLeast("max_pool", "padding", state.padding, 0);
    return fromWindows(windowsOver("max_pool", state));
  },

  conv_transpose(state) {
    const { stride, dilation, output_padding: more, output_size: wanted } = state;
    const operation = "conv_transpose";
    atLeast(operation, "stride", stride, 1);
    atLeast(operation, "dilation", dilation, 1);
    atLeast(operation, "output_padding", more, 0);
    if (wanted) atLeast(operation, "output_size", wanted, 0);
    if (more.some((each) => each > 0)) {
      const word = typeof state.padding === "string" ? `padding '${state.padding}'` : null;
      const given = wanted ? "output_size or like" : word;
      if (given) refuse(`${operation}: output_padding must be 0 with ${given}, got ${pyTuple(more)}`);
      more.forEach((each, axis) => {
        if (each >= Math.max(stride[axis], dilation[axis]))
          refuse(
            `${operation}: output_padding must be smaller than stride or dilation, got output_padding ` +
              `${pyTuple(more)}, stride ${pyTuple(stride)}, dilation ${pyTuple(dilation)}`,
          );
      });
    }
    return fromWindows(windowsUnder(operation, state));
  },

  pixel_shuffle(state) {
    atLeast("pixel_shuffle", "factor", state.factor, 1);
    const plain = tiled(state);
    const [taps, channels] = [product(state.factor), state.channels];
    const [perInput, perOutput] = [product(plain.coarse), product(plain.fine)];
    const meetings = [];
    for (const { t, c, f, w } of plain.meetings)
      for (let k = 0; k < channels; k += 1) {
        const plane = state.order === "CRD" ? k * taps + t : t * channels + k;
        meetings.push({ t, c: plane * perInput + c, f: k * perOutput + f, w });
      }
    return {
      ...plain,
      meetings,
      coarse: [channels * taps, ...plain.coarse],
      fine: [channels, ...plain.fine],
    };
  },

  resize(state) {
    const { size, output_size: target, method, convention, antialias } = state;
    if (convention === "legacy" && method !== "nearest")
      refuse(`resize: convention 'legacy' is torch's old 'nearest' and needs that method, got '${method}'`);
    if (method === "area" && convention !== "half_pixel")
      refuse(
        "resize: method 'area' averages whole elements and needs convention 'half_pixel', " +
          `got '${convention}'`,
      );
    if (antialias && (!(method in SUPPORT) || convention !== "half_pixel"))
      refuse(
        "resize: antialias needs method 'linear', 'cubic', 'catmull_rom', 'lanczos3' or 'lanczos5' and " +
          `convention 'half_pixel' or pairs, got '${method}' and '${convention}'`,
      );
    if (target === null) refuse("resize: exactly one of output_size and factor must be given");
    atLeast("resize", "output_size", target, 0);
    target.forEach((m, axis) => {
      if (m === 0)
        refuse(
          "resize: an axis of length 0 must stay one, and no other may become one, " +
            `got ${size[axis]} to 0 on spatial axis ${axis}`,
        );
    });
    const axes = size.map((n, axis) => resampleMeetings(n, target[axis], state));
    const meetings = combine(
      axes,
      size,
      target,
      size.map(() => 1),
    );
    return { coarse: size, fine: target, meetings, windows: null };
  },
};

function tiled({ size, factor }) {
  return fromWindows(
    size.map((m, axis) => {
      const f = factor[axis];
      return { fine: m * f, coarse: m, size: f, stride: f, dilation: 1, before: 0, after: 0, mode: "zeros" };
    }),
  );
}

function fromWindows(windows) {
  const [coarse, fine] = [windows.map((w) => w.coarse), windows.map((w) => w.fine)];
  const taps = windows.map((w) => w.size);
  return { coarse, fine, windows, meetings: combine(windows.map(windowMeetings), coarse, fine, taps) };
}

// -- numbers ------------------------------------------------------------------------------------------------

// What new cells hold: y counts, x is well mixed so that maxima lie anywhere, a kernel counts too.
const FILL = { y: (i) => (i % 9) + 1, x: (i) => (7 * i + 3) % 10, weight: (i) => (i % 9) + 1 };

function flatten(nested) {
  return Array.isArray(nested) ? nested.flat(Infinity) : [];
}

function nest(flat, shape) {
  if (shape.length <= 1) return [...flat];
  const step = product(shape.slice(1));
  return Array.from({ length: shape[0] }, (_, i) =>
    nest(flat.slice(i * step, (i + 1) * step), shape.slice(1)),
  );
}

/** Numbers brought to a shape: those that were there stay at their index, new cells are filled. */
function fitted(nested, shape, fill) {
  const at = (index) => index.reduce((part, i) => (Array.isArray(part) ? part[i] : undefined), nested);
  return [...indices(shape)].map((index, i) => {
    const old = at(index);
    return typeof old === "number" && Number.isFinite(old) ? old : fill(i);
  });
}

/** Max pooling: the first largest element of every window and its tap. */
function pool(x, { meetings, coarse }) {
  const best = new Array(product(coarse)).fill(null);
  for (const meeting of meetings) {
    const held = best[meeting.c];
    if (held === null || x[meeting.f] > x[held.f]) best[meeting.c] = meeting;
  }
  return best;
}

/** Of the windows that remember one element, those that write it. */
function winners(remembered, y, duplicates, fine) {
  const at = new Map();
  for (const meeting of remembered) {
    const others = at.get(meeting.f) ?? [];
    at.set(meeting.f, [...others, meeting]);
  }
  if (duplicates === "sum") return remembered;
  if (duplicates === "error") {
    const shared = [...at].filter(([, all]) => all.length > 1).sort(([f], [g]) => f - g);
    if (shared.length)
      refuse(
        "max_unpool: with duplicates='error' every element must be remembered by one window at most, " +
          `the element at ${pyTuple(unravel(shared[0][0], fine))} is by ${shared[0][1].length}`,
      );
  }
  const wins = duplicates === "max" ? (a, b) => (y[b.c] > y[a.c] ? b : a) : (a, b) => b;
  return [...at.values()].map((all) => all.reduce(wins)).sort((a, b) => a.c - b.c);
}

/** The sum of w * values over meetings, from one side to the other. */
function gather(meetings, values, from, to, size) {
  const out = new Array(size).fill(0);
  for (const meeting of meetings) out[meeting[to]] += meeting.w * values[meeting[from]];
  return out;
}

/**
 * Everything that the page shows of a state: numbers in C order, shapes, meetings of the way up and of the
 * way down. Throws SettingError, in the library's words, where a setting is refused.
 */
function evaluate(table, state) {
  checkFields(table, state);
  const plan = GEOMETRY[state.way](state);
  const shapes = { y: plan.coarse, x: plan.fine, weight: state.kernel_size ?? null };
  for (const shape of [plan.coarse, plan.fine])
    if (product(shape) > table.limits.cells)
      refuse(
        `explore: draws up to ${table.limits.cells} elements a side, this has ${product(shape)} ` +
          `(of shape ${pyTuple(shape)})`,
      );
  const model = { state, ...plan, shapes, up: plan.meetings, down: plan.meetings, pooled: null };
  model.x = fitted(state.x, plan.fine, FILL.x);
  model.weight = null;
  if (state.way === "conv_transpose") {
    model.weight = fitted(state.weight, state.kernel_size, FILL.weight);
    model.up = model.down = plan.meetings.map((meeting) => ({ ...meeting, w: model.weight[meeting.t] }));
  }
  if (state.way === "max_unpool") {
    const remembered = pool(model.x, plan);
    model.pooled = remembered.map((meeting) => model.x[meeting.f]);
    model.switches = remembered.map((meeting) => meeting.t);
    model.y = state.y === null ? model.pooled : fitted(state.y, plan.coarse, (i) => model.pooled[i]);
    model.down = remembered;
    model.up =
      state.direction === "up" ? winners(remembered, model.y, state.duplicates, plan.fine) : remembered;
  } else {
    model.y = fitted(state.y, plan.coarse, FILL.y);
  }
  model.overlap = new Array(product(plan.fine)).fill(0);
  for (const { f } of plan.meetings) model.overlap[f] += 1;
  model.out = outputAfter(model, Infinity);
  model.inputShape = state.direction === "up" ? plan.coarse : plan.fine;
  model.outputShape = state.direction === "up" ? plan.fine : plan.coarse;
  return model;
}

/** The output once the first `steps` stamps have fallen, or the first `steps` windows have gathered. */
function outputAfter(model, steps) {
  if (model.state.direction === "up") {
    const fallen = model.up.filter((meeting) => meeting.c < steps);
    return gather(fallen, model.y, "c", "f", product(model.fine));
  }
  const read = model.down.filter((meeting) => meeting.c < steps);
  return gather(read, model.x, "f", "c", product(model.coarse));
}

/** X (coarse rows, fine columns) as {`${c},${f}` -> sum of weights}; its transpose is the way up. */
function matrixCells(model) {
  const cells = new Map();
  const meetings = model.state.direction === "up" ? model.up : model.down;
  const columns = product(model.fine);
  for (const { c, f, w } of meetings) cells.set(c * columns + f, (cells.get(c * columns + f) ?? 0) + w);
  return cells;
}
