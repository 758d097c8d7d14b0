// The controls: which way up, which direction, how many axes, and the settings of the operation.

/** New controls where others are needed, else new values into those that are there. */
function drawControls(app) {
  const { root, state, ui } = app;
  const pads = typeof state.padding === "string" ? state.padding : "numbers";
  const structure = [state.way, state.direction, state.size.length, pads, state.output_size === null].join();
  if (structure === app.drawnControls) {
    syncControls(app);
    return;
  }
  const inputs = () => [...ui.controls.querySelectorAll("input, select")];
  const focused = root.contains(document.activeElement) && ui.controls.contains(document.activeElement);
  const index = focused ? inputs().indexOf(document.activeElement) : -1;
  app.drawnControls = structure;
  ui.controls.replaceChildren(
    wayChoice(app),
    h("div", { class: "pair" }, directionChoice(app), rankChoice(app)),
    fieldset(app),
  );
  if (index >= 0) inputs()[index]?.focus();
}

function wayChoice(app) {
  return radios({
    name: "way",
    legend: "Way up",
    classes: "ways",
    options: Object.entries(TABLE.ways).map(([value, { title, stamp }]) => ({ value, title, note: stamp })),
    chosen: app.state.way,
    choose: (name) => app.update(withWay(TABLE, app.state, name)),
  });
}

function directionChoice(app) {
  return radios({
    name: "direction",
    legend: "Direction",
    classes: "segments",
    options: [
      { value: "up", title: "Up" },
      { value: "down", title: "Down" },
    ],
    chosen: app.state.direction,
    choose: (direction) => app.update({ ...app.state, direction, step: null }),
  });
}

function rankChoice(app) {
  return radios({
    name: "rank",
    legend: "Axes",
    classes: "segments",
    options: RANKS.map((rank) => ({ value: String(rank), title: `${rank}-D` })),
    chosen: String(app.state.size.length),
    choose: (rank) => app.update(withRank(TABLE, app.state, Number(rank))),
  });
}

function fieldset(app) {
  const way = TABLE.ways[app.state.way];
  // The way down takes what the way up gives: the same setting under the other name.
  const labelOf = (field) => (app.state.direction === "down" && field.down) || field.label;
  return h(
    "fieldset",
    { class: "fields" },
    h("legend", {}, "Settings"),
    Object.keys(way.settings).map((name) =>
      h(
        "div",
        { class: "field", "data-field": name },
        fieldControl(
          name,
          TABLE.fields[name],
          () => app.state,
          way.labels?.[name] ?? labelOf(TABLE.fields[name]),
          way.words ?? TABLE.fields[name].words,
          (value) => change(app, name, value),
        ),
      ),
    ),
  );
}

/** New values into the controls that are there; the one being typed into is left alone. */
function syncControls({ state, ui }) {
  for (const name of Object.keys(TABLE.ways[state.way].settings)) {
    const inputs = ui.controls.querySelectorAll(`[data-field="${name}"] input[type=number]`);
    const fresh = [state[name]].flat(2);
    inputs.forEach((input, i) => {
      if (input !== document.activeElement) input.value = fresh[i];
    });
    const choice = ui.controls.querySelector(`[data-field="${name}"] select`);
    if (choice && typeof state[name] === "string") choice.value = state[name];
    const flag = ui.controls.querySelector(`[data-field="${name}"] input[type=checkbox]`);
    if (flag && typeof state[name] === "boolean") flag.checked = state[name];
  }
}

/** A setting that a control changed. */
function change(app, name, value) {
  const { model, state } = app;
  if (name === "output_size" && value === "usual") value = model.fine.slice(-state.size.length);
  const next = { ...state, [name]: value, step: null };
  if (next.way === "max_unpool" && name !== "duplicates" && !sameShapeAsShown(model, next)) next.y = null;
  app.update(next);
}

function sameShapeAsShown(model, next) {
  try {
    return pyTuple(evaluate(TABLE, next).coarse) === pyTuple(model.coarse);
  } catch {
    return true;
  }
}
