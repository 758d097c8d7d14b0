// The page: a state, what follows from it, and the elements that show it. A change goes one way round:
// control or cell -> update(state) -> evaluate -> draw. A refused state is shown as a sentence over the
// last picture.

/** Put the page into `root`. `host.changed(state)` hears of every state; `host.link()` gives its address. */
function mount(root, initial, host) {
  const app = {
    root,
    host,
    ui: makePlaces(),
    state: null, // what the controls say
    model: null, // what the picture shows: the last state that was not refused
    cells: new Map(), // "kind" -> key -> elements, to light them up
    held: null, // what is pointed at or focused: [kind, key]
    timer: null,
    library: "numpy",
    drawnControls: null, // what the controls and steps were made for
    drawnSteps: null,
    update: (next) => update(app, next),
  };
  drawFrame(app);
  followPointer(app);
  followFocus(app);
  editByKeys(app);
  editByPresses(app);
  openWith(app, initial);
  return {
    update: app.update,
    set: (next) => set(app, next),
    // A state that cannot even be read: say why, keep what is shown.
    refuseWith: (sentence) => showMessage(app, sentence),
    state: () => app.state,
    model: () => app.model,
    message: () => app.ui.message.textContent,
  };
}

/** The first state; where it is refused, something must stand behind the message. */
function openWith(app, initial) {
  try {
    evaluate(TABLE, { ...initial });
  } catch (error) {
    if (!(error instanceof SettingError)) throw error;
    app.update(freshState(TABLE, "conv_transpose", 1));
  }
  app.update({ step: null, ...initial });
}

/** Show a state that came from outside: a link or a notebook. */
function set(app, next) {
  if (JSON.stringify(next) === JSON.stringify(app.state)) return;
  pause(app);
  if (!app.ui.controls.contains(document.activeElement)) app.drawnControls = null;
  app.update({ step: null, ...next });
}

function update(app, next) {
  try {
    app.model = evaluate(TABLE, next);
    app.state = withNumbers(app.model, next);
    app.model.state = app.state;
    showMessage(app, "");
  } catch (error) {
    if (!(error instanceof SettingError)) throw error;
    app.state = next;
    pause(app);
    showMessage(app, error.message);
  }
  drawControls(app);
  if (!app.ui.message.textContent) draw(app);
  app.host.changed(app.state);
}

/** The state with the numbers that are shown, so that a link or a notebook has them. */
function withNumbers(model, next) {
  const filled = { ...next, x: nest(model.x, model.fine) };
  if (next.way !== "max_unpool" || next.y !== null) filled.y = nest(model.y, model.coarse);
  if (model.weight) filled.weight = nest(model.weight, next.kernel_size);
  if (filled.step > product(model.coarse)) filled.step = null;
  return filled;
}

function showMessage({ root, ui }, sentence) {
  ui.message.textContent = sentence;
  ui.message.hidden = !sentence;
  root.classList.toggle("refused", Boolean(sentence));
}

function draw(app) {
  const { model, root, state, ui } = app;
  const focus = focusedCell(root);
  const soFar = state.step === null ? model.out : outputAfter(model, state.step);
  const put = (where, elements) => where.replaceChildren(...elements.filter(Boolean));
  put(
    ui.stage,
    stageOf(model, soFar, () => app.update({ ...app.state, y: null })),
  );
  put(ui.formula, formulaOf(model));
  put(ui.overlap, overlapOf(model));
  put(ui.matrix, matrixOf(model));
  drawSteps(app);
  drawCall(app);
  collectCells(app);
  if (focus)
    root
      .querySelector(`[data-grid="${focus.grid}"] [data-kind="${focus.kind}"][data-i="${focus.i}"]`)
      ?.focus({ preventScroll: true });
  else app.held = null;
  light(app);
}

function focusedCell(root) {
  const cell = document.activeElement?.closest?.("[data-kind]");
  if (!cell || !root.contains(cell)) return null;
  return { grid: cell.closest("[data-grid]").dataset.grid, kind: cell.dataset.kind, i: cell.dataset.i };
}

/** The page in a file: the state lives in the address. */
function start() {
  const embedded = JSON.parse(document.getElementById("unsample-state").textContent);
  const address = () => location.hash.slice(1);
  const host = {
    link: () => location.href,
    changed: (state) => {
      try {
        history.replaceState(null, "", `#${toHash(TABLE, state)}`);
      } catch {
        // A frame without an address of its own; the page works without links.
      }
    },
  };
  const said = () => {
    try {
      return [address() ? fromHash(TABLE, address()) : embedded, ""];
    } catch (error) {
      if (!(error instanceof SettingError)) throw error;
      return [embedded, error.message];
    }
  };
  const [first, refusal] = said();
  const app = mount(document.getElementById("unsample-explore"), first, host);
  if (refusal) app.refuseWith(refusal);
  addEventListener("hashchange", () => {
    const [next, why] = said();
    if (why) app.refuseWith(why);
    else app.set(next);
  });
  globalThis.unsampleExplore = { app, evaluate, table: TABLE };
}

/** The page in a notebook: the state is the model's. */
function render({ model, el }) {
  const app = mount(el, model.get("state"), {
    changed: (state) => {
      model.set("state", state);
      model.save_changes();
    },
  });
  const follow = () => app.set(model.get("state"));
  model.on("change:state", follow);
  return () => model.off("change:state", follow);
}

export default { render };
