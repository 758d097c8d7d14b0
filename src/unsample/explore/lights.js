// What is pointed at or focused lights up in every view, with all that it meets.

const HINT =
  "Point at a cell, or move to it with the arrow keys, to see what it meets. Type to change a number.";

/** The cells of the page by what they are about: "kind" and key -> elements. */
function collectCells(app) {
  app.cells = new Map();
  for (const cell of app.root.querySelectorAll("[data-kind]")) {
    const key = `${cell.dataset.kind}${cell.dataset.i}`;
    app.cells.set(key, [...(app.cells.get(key) ?? []), cell]);
  }
}

/** Light up whatever is joined with what is held, or with the stamp of this step. */
function light(app) {
  const { root, state, ui } = app;
  const what = app.held ?? (state.step ? ["c", state.step - 1] : null);
  for (const cell of root.querySelectorAll(".lit, .here")) cell.classList.remove("lit", "here");
  root.classList.toggle("lighting", what !== null);
  if (!what) {
    ui.detail.textContent = HINT;
    return;
  }
  const [kind, i] = what;
  for (const key of joinedWith(app.model, kind, i))
    for (const cell of app.cells.get(key) ?? []) cell.classList.add("lit");
  const plain = { o: "f", s: "m" }[kind] ?? kind;
  ui.detail.textContent = sentence(app.model, plain, i);
}

/** The keys of the cells that share a meeting with one cell, itself among them. */
function joinedWith(model, kind, i) {
  const columns = product(model.fine);
  const [row, column] = [Math.floor(i / columns), i % columns];
  const same = {
    c: (link) => link.c === i,
    f: (link) => link.f === i,
    o: (link) => link.f === i,
    t: (link) => link.t === i,
  };
  same.p = same.f;
  same.m = same.s = (link) => link.c === row && link.f === column;
  const joined = new Set([`${kind}${i}`]);
  if (kind === "m" || kind === "s") joined.add(`c${row}`).add(`f${column}`);
  for (const { c, f, t } of linksOf(model).filter(same[kind])) {
    const cell = c * columns + f;
    for (const key of [`c${c}`, `f${f}`, `o${f}`, `p${f}`, `m${cell}`, `s${cell}`, `t${t}`]) joined.add(key);
  }
  return joined;
}

function hold(app, cell, aloud) {
  const i = Number(cell.dataset.i);
  app.held = i < 0 ? null : [cell.dataset.kind, i];
  light(app);
  if (aloud && app.held) app.ui.live.textContent = app.ui.detail.textContent;
}

function letGo(app) {
  app.held = null;
  light(app);
}

function followPointer(app) {
  const { root } = app;
  root.addEventListener("pointerover", (event) => {
    const cell = event.target.closest("[data-kind]");
    if (cell && !root.querySelector("input.edit")) hold(app, cell, false);
  });
  root.addEventListener("pointerout", (event) => {
    const left = event.target.closest("[data-kind]");
    if (!left || event.relatedTarget?.closest?.("[data-kind]")) return;
    const focused = document.activeElement?.closest?.("[data-kind]");
    if (focused && root.contains(focused)) hold(app, focused, false);
    else letGo(app);
  });
}

function followFocus(app) {
  app.root.addEventListener("focusin", (event) => {
    const cell = event.target.closest("[data-kind]");
    if (!cell || event.target !== cell) return;
    for (const other of cell.closest("[role=grid]").querySelectorAll("[tabindex='0']")) other.tabIndex = -1;
    cell.tabIndex = 0;
    hold(app, cell, true);
  });
  app.root.addEventListener("focusout", (event) => {
    if (event.relatedTarget?.closest?.("[data-kind]") || !event.target.closest("[data-kind]")) return;
    if (!event.target.isConnected) return; // redrawn: the focus comes back
    letGo(app);
  });
}
