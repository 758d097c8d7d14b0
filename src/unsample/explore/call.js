// The Python call that makes what the page shows; tests/tools/test_explore.py runs them.

const LIBRARIES = {
  numpy: {
    imports: ["import numpy as np", "import unsample as us"],
    module: "us",
    array: "np.array",
    floats: false,
  },
  torch: {
    imports: ["import torch", "import unsample.torch as ut"],
    module: "ut",
    array: "torch.tensor",
    floats: true,
  },
  jax: {
    imports: ["import jax.numpy as jnp", "import unsample as us"],
    module: "us",
    array: "jnp.array",
    floats: true,
  },
};

function pyNumber(value, float) {
  const text = Object.is(value, -0) ? "0" : String(value);
  return float && /^-?\d+$/.test(text) ? `${text}.0` : text;
}

/** Nested lists on one line where they fit, else a row to a line. */
function pyNested(flat, shape, float, indent) {
  if (shape.length === 1) return `[${flat.map((value) => pyNumber(value, float)).join(", ")}]`;
  const step = product(shape.slice(1));
  const rows = Array.from({ length: shape[0] }, (_, i) =>
    pyNested(flat.slice(i * step, (i + 1) * step), shape.slice(1), float, indent + 1),
  );
  const short = `[${rows.join(", ")}]`;
  return short.length + indent <= 44 && !short.includes("\n")
    ? short
    : `[${rows.join(`,\n${" ".repeat(indent + 1)}`)}]`;
}

const pyWord = (word) => `"${word}"`;
const sameAll = (values) => values.every((value) => value === values[0]);
const pyAxes = (values) => (sameAll(values) ? String(values[0]) : pyTuple(values));

function pyPadding(padding) {
  if (typeof padding === "string") return pyWord(padding);
  return sameAll(padding.flat()) ? String(padding[0][0]) : pyTuple(padding.map(pyTuple));
}

/** The named arguments that differ from what the library takes unless told. */
function pySettings(state, names) {
  const usual = {
    stride: "1",
    padding: "0",
    dilation: "1",
    output_padding: "0",
    padding_mode: '"zeros"',
    at: "0",
    order: '"CRD"',
    method: '"linear"',
    convention: '"half_pixel"',
    antialias: "False",
    ceil_mode: "False",
    duplicates: '"last"',
  };
  const written = names.flatMap((name) => {
    const value = state[name];
    if (value === null) return [];
    let text;
    if (name === "padding") text = pyPadding(value);
    else if (name === "output_size") text = pyTuple(value);
    else if (typeof value === "boolean") text = value ? "True" : "False";
    else text = Array.isArray(value) ? pyAxes(value) : pyWord(value);
    if (name === "stride" && state.way === "max_unpool") {
      return pyTuple(value) === pyTuple(state.kernel_size) ? [] : [`stride=${text}`];
    }
    return text === usual[name] ? [] : [`${name}=${text}`];
  });
  return written.map((each) => `, ${each}`).join("");
}

/** Lines of Python whose `out` is the output of the page. */
function pythonCall(model, library) {
  const { state } = model;
  const up = state.direction === "up";
  const { imports, module, array, floats } = LIBRARIES[library];
  const lines = [...imports, ""];
  const literal = (name, flat, shape) => {
    const float = floats || state.way === "resize" || !flat.every(Number.isInteger);
    lines.push(`${name} = ${array}(${pyNested(flat, shape, float, name.length + array.length + 4)})`);
  };
  const call = (result, name, first, rest) => {
    const [line, inside] = [`${result} = ${module}.${name}(`, `${first}${rest}`];
    lines.push(line.length + inside.length < 45 ? `${line}${inside})` : `${line}\n    ${inside}\n)`);
  };
  const down = TABLE.ways[state.way].down;
  if (state.way === "conv_transpose") {
    const names = ["stride", "padding", "dilation"];
    if (up) literal("y", model.y, [1, ...model.coarse]);
    else literal("x", model.x, [1, ...model.fine]);
    literal("weight", model.weight, [1, 1, ...state.kernel_size]);
    if (up) names.push("output_padding", "output_size");
    names.push("padding_mode");
    call("out", up ? state.way : down, up ? "y, weight" : "x, weight", pySettings(state, names));
  } else if (state.way === "max_unpool") {
    literal("x", model.x, model.fine);
    const pooling = pySettings(state, ["stride", "padding", "dilation", "ceil_mode"]);
    call(`${up ? "values" : "out"}, switches`, "max_pool", `x, ${pyTuple(state.kernel_size)}`, pooling);
    if (up) {
      if (state.y !== null) literal("values", model.y, model.coarse);
      call("out", "max_unpool", "values, switches", pySettings(state, ["duplicates"]));
    }
  } else {
    const [name, shape] = up ? ["y", model.coarse] : ["x", model.fine];
    literal(name, up ? model.y : model.x, shape);
    const sizes = state.way === "resize" ? (up ? state.output_size : state.size) : state.factor;
    const own = {
      nearest: [],
      bed_of_nails: up ? ["at", "output_size"] : ["at"],
      pixel_shuffle: ["order"],
      resize: ["method", "convention", "antialias"],
    }[state.way];
    call("out", up ? state.way : down, `${name}, ${pyTuple(sizes)}`, pySettings(state, own));
  }
  return [...lines, "out"].join("\n");
}
