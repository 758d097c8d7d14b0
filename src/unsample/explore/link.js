// States: their defaults, changes from one to another, and the address of a link.

const RANKS = [1, 2];

/** The state of a way up as the page opens it. */
function freshState(table, way, rank) {
  const { settings, arrays } = table.ways[way];
  const state = { way, direction: "up" };
  for (const [name, value] of Object.entries(settings)) {
    const { kind } = table.fields[name];
    const perAxis = kind === "axes" || kind === "pads" || (kind === "optional axes" && value !== null);
    state[name] = perAxis ? Array.from({ length: rank }, () => structuredClone(value)) : value;
  }
  for (const name of arrays) state[name] = null;
  state.step = null;
  return state;
}

/** Another way up, keeping what means the same in both. */
function withWay(table, state, way) {
  const next = { ...freshState(table, way, state.size.length), direction: state.direction };
  const sameSide = (state.way === "max_unpool") === (way === "max_unpool");
  for (const name of ["factor", ...(sameSide ? ["size", "y"] : [])])
    if (name in next && name in state && !(name === "y" && way === "max_unpool")) next[name] = state[name];
  return next;
}

/** The same settings on one axis or on two; 2-D starts small enough to be drawn. */
function withRank(table, state, rank) {
  const next = { ...state, step: null };
  for (const name of Object.keys(table.ways[state.way].settings))
    if (Array.isArray(state[name]))
      next[name] = Array.from({ length: rank }, () => structuredClone(state[name].at(-1)));
  if (rank === 2) {
    const largest = state.way === "max_unpool" ? 8 : 4;
    next.size = next.size.map((n) => Math.min(n, largest));
    if (state.output_size) next.output_size = next.output_size.map((n) => Math.min(n, 24));
  }
  for (const name of table.ways[state.way].arrays) next[name] = null;
  return next;
}

// -- address <-> state --------------------------------------------------------------------------------------
// 1,2 counts along an axis, ; from row to row (or from axis to axis of a padding), | from channel to channel.

const SEPARATORS = ["|", ";", ","];

function writeNested(value, depth) {
  if (depth === 0) return String(value);
  return value.map((each) => writeNested(each, depth - 1)).join(SEPARATORS[3 - depth]);
}

function readNested(name, text, depth) {
  if (depth === 0) {
    const number = text.trim() === "" ? NaN : Number(text);
    if (!(Math.abs(number) <= TABLE.limits.number))
      refuse(`explore: ${name} of the link must hold numbers, got '${text}'`);
    return number;
  }
  return text.split(SEPARATORS[3 - depth]).map((part) => readNested(name, part, depth - 1));
}

const depthOf = (state, name) =>
  state.size.length + (state.way === "pixel_shuffle" && name !== "weight" ? 1 : 0);

/** The arrays that a state draws from: the input of its direction, the kernel, what was pooled. */
function usedArrays(table, state) {
  const input = state.direction === "up" ? "y" : "x";
  return table.ways[state.way].arrays.filter(
    (name) => name === input || name === "weight" || (name === "x" && state.way === "max_unpool"),
  );
}

function toHash(table, state) {
  const parts = [`way=${state.way}`, `direction=${state.direction}`];
  for (const name of Object.keys(table.ways[state.way].settings)) {
    const [value, { kind }] = [state[name], table.fields[name]];
    if (value === null) continue;
    const plain = typeof value === "string" || kind === "flag" || kind === "count" || kind === "choice";
    parts.push(`${name}=${plain ? value : writeNested(value, kind === "pads" ? 2 : 1)}`);
  }
  for (const name of usedArrays(table, state))
    if (state[name] !== null) parts.push(`${name}=${writeNested(state[name], depthOf(state, name))}`);
  if (state.step !== null) parts.push(`step=${state.step}`);
  return parts.join("&");
}

/** The state that an address names; throws SettingError where it names none. */
function fromHash(table, hash) {
  const given = new Map();
  for (const part of hash.replace(/^#/, "").split("&")) {
    const [key, ...rest] = part.split("=");
    try {
      given.set(key, decodeURIComponent(rest.join("=")));
    } catch {
      refuse(`explore: the link must be written as this page writes it, got '${part}'`);
    }
  }
  const way = given.get("way");
  const ways = Object.keys(table.ways);
  if (!ways.includes(way))
    refuse(`explore: way of the link must be one of ${listed(ways)}, got '${way ?? ""}'`);
  const rank = given.has("size") ? given.get("size").split(",").length : 1;
  if (!RANKS.includes(rank)) refuse(`explore: draws 1 or 2 spatial axes, got ${rank}`);
  const state = freshState(table, way, rank);
  if (given.has("direction")) state.direction = given.get("direction");
  if (!["up", "down"].includes(state.direction))
    refuse(`explore: direction must be one of 'up' or 'down', got '${state.direction}'`);
  for (const name of Object.keys(table.ways[way].settings)) {
    const { kind, words } = table.fields[name];
    if (!given.has(name)) continue;
    const text = given.get(name);
    if (kind === "choice") state[name] = text;
    else if (kind === "flag") state[name] = text === "true";
    else if (kind === "count") state[name] = readNested(name, text, 0);
    else if (kind === "pads" && words.includes(text)) state[name] = text;
    else {
      state[name] = readNested(name, text, kind === "pads" ? 2 : 1);
      const pairs = kind !== "pads" || state[name].every((pair) => pair.length === 2);
      if (state[name].length !== rank || !pairs)
        refuse(`explore: ${name} of the link must fit a ${rank}-D picture, got '${text}'`);
    }
  }
  for (const name of table.ways[way].arrays)
    if (given.has(name)) state[name] = readNested(name, given.get(name), depthOf(state, name));
  if (given.has("step")) state.step = Math.max(0, Math.trunc(readNested("step", given.get("step"), 0)));
  return state;
}
