// One axis of a resize: which sources make a target, and with what weight; geometry/resample.py in JavaScript.

// The element that a method copies: the floor of the position and so many halves, less one if it lies just there.
const ROUNDING = { floor: [0, 0], nearest_ties_down: [1, 1], nearest: [1, 0], ceil: [2, 1] };
const SUPPORT = { linear: 1, cubic: 2, catmull_rom: 2, lanczos3: 3, lanczos5: 5 };
const CUBIC = { cubic: -0.75, catmull_rom: -0.5 };

function cubicKernel(distance, a) {
  if (distance <= 1) return ((a + 2) * distance - (a + 3)) * distance ** 2 + 1;
  return distance < 2 ? ((a * distance - 5 * a) * distance + 8 * a) * distance - 4 * a : 0;
}

function kernelWeight(method, distance) {
  if (method === "linear") return Math.max(0, 1 - distance);
  if (method in CUBIC) return cubicKernel(distance, CUBIC[method]);
  const lobes = SUPPORT[method];
  if (distance % 1 === 0 || distance >= lobes) return distance === 0 ? 1 : 0;
  const angle = Math.PI * distance;
  return (lobes * Math.sin(angle) * Math.sin(angle / lobes)) / (angle * angle);
}

/** Which sources make target o, and with what weight: [source, weight] pairs, as geometry/resample.py. */
function resampleRow(o, n, m, { method, convention, antialias }) {
  if (method === "area") {
    const start = Math.floor((o * n) / m);
    const length = Math.ceil(((o + 1) * n) / m) - start;
    return Array.from({ length }, (_, i) => [start + i, 1 / length]);
  }
  let [numerator, denominator] = [o * n, m];
  if (convention === "half_pixel") [numerator, denominator] = [(2 * o + 1) * n - m, 2 * m];
  if (convention === "align_corners") [numerator, denominator] = m > 1 ? [o * (n - 1), m - 1] : [0, 1];
  if (method in ROUNDING) {
    const [halves, below] = ROUNDING[convention === "legacy" ? "floor" : method];
    const shift = halves * denominator - below;
    return [[clamp(Math.floor((2 * numerator + shift) / (2 * denominator)), 0, n - 1), 1]];
  }
  if (method === "linear" && !antialias) numerator = clamp(numerator, 0, (n - 1) * denominator);
  const wide = antialias ? 2 * Math.max(n, m) : denominator;
  let first = Math.floor((numerator - SUPPORT[method] * wide) / denominator) + 1;
  let last = first + Math.ceil((2 * SUPPORT[method] * wide) / denominator);
  if (antialias) [first, last] = [Math.max(first, 0), Math.min(last, n)]; // beyond the border nothing has weight
  const row = [];
  for (let i = first; i < last; i += 1)
    row.push([i, kernelWeight(method, Math.abs(i * denominator - numerator) / wide)]);
  const normalised = antialias || method.startsWith("lanczos");
  const total = normalised ? row.reduce((sum, [, weight]) => sum + weight, 0) : 1;
  // Beyond the border the edge element is repeated: its weights add up.
  const merged = new Map();
  for (const [i, weight] of row.reverse()) {
    const source = clamp(i, 0, n - 1);
    merged.set(source, weight / total + (merged.get(source) ?? 0));
  }
  return [...merged].reverse();
}

function resampleMeetings(n, m, words) {
  const meetings = [];
  for (let o = 0; o < m; o += 1)
    for (const [source, weight] of resampleRow(o, n, m, words))
      if (weight !== 0) meetings.push({ t: 0, c: source, f: o, w: weight });
  return meetings;
}
