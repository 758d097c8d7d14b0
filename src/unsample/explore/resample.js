// One axis of a resize: which sources make a target, and with what weight; geometry/resample.py in JavaScript.

const CUBIC = { cubic: -0.75, catmull_rom: -0.5 };

function cubicKernel(distance, a) {
  if (distance <= 1) return ((a + 2) * distance - (a + 3)) * distance ** 2 + 1;
  return distance < 2 ? ((a * distance - 5 * a) * distance + 8 * a) * distance - 4 * a : 0;
}

/** Which sources make target o, and with what weight: [source, weight] pairs, as geometry/resample.py. */
function resampleRow(o, n, m, { method, convention, antialias }) {
  if (method === "area") {
    const start = Math.floor((o * n) / m);
    const length = Math.ceil(((o + 1) * n) / m) - start;
    return Array.from({ length }, (_, i) => [start + i, 1 / length]);
  }
  if (antialias) {
    const support = method === "linear" ? 1 : 2;
    const wide = Math.max(n, m);
    const centre = (2 * o + 1) * n;
    const first = Math.max(0, Math.ceil((centre - m - 2 * wide * support) / (2 * m)));
    const row = [];
    for (let i = first; i < Math.min(n, first + Math.ceil((2 * support * wide) / m) + 1); i += 1) {
      const distance = Math.abs((2 * i + 1) * m - centre) / (2 * wide);
      row.push([i, method === "linear" ? Math.max(0, 1 - distance) : cubicKernel(distance, CUBIC[method])]);
    }
    const total = row.reduce((sum, [, weight]) => sum + weight, 0);
    return row.map(([i, weight]) => [i, weight / total]);
  }
  let [numerator, denominator] = [o * n, m];
  if (convention === "half_pixel") [numerator, denominator] = [(2 * o + 1) * n - m, 2 * m];
  if (convention === "align_corners") [numerator, denominator] = m > 1 ? [o * (n - 1), m - 1] : [0, 1];
  if (method === "nearest") {
    const shift = convention === "legacy" ? 0 : denominator;
    return [[clamp(Math.floor((2 * numerator + shift) / (2 * denominator)), 0, n - 1), 1]];
  }
  if (method === "linear") numerator = clamp(numerator, 0, (n - 1) * denominator);
  const floor = Math.floor(numerator / denominator);
  const t = (numerator - floor * denominator) / denominator;
  const row =
    method === "linear"
      ? [
          [floor, 1 - t],
          [floor + 1, t],
        ]
      : [-1, 0, 1, 2].map((k) => [floor + k, cubicKernel(Math.abs(t - k), CUBIC[method])]);
  // Beyond the border the edge element is repeated: its weights add up.
  const merged = new Map();
  for (const [i, weight] of row.reverse()) {
    const source = clamp(i, 0, n - 1);
    merged.set(source, weight + (merged.get(source) ?? 0));
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
