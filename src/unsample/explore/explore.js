// The page: a state, what follows from it, and the elements that show it. A change goes one way round:
// control or cell -> update(state) -> evaluate -> draw. A refused state is shown as a sentence over the
// last picture.

/** Put the page into `root`. `host.changed(state)` hears of every state; `host.link()` gives its address. */
function mount(root, initial, host) {
  let state = null; // what the controls say
  let model = null; // what the picture shows: the last state that was not refused
  let cells = new Map(); // "kind" -> key -> elements, to light them up
  let held = null; // what is pointed at or focused: [kind, key]
  let timer = null;
  let library = "numpy";
  let drawnControls = null;

  const place = (name, tag = "div", more = {}) => h(tag, { class: name, ...more });
  const ui = {
    controls: place("controls", "form", {
      "aria-label": "Settings",
      onsubmit: (event) => event.preventDefault(),
    }),
    message: place("message", "p", { role: "alert", hidden: true }),
    stage: place("stage"),
    detail: place("detail", "p"),
    steps: place("steps", "div", { role: "group", "aria-label": "Animation" }),
    formula: place("formula"),
    overlap: place("overlap"),
    matrix: place("matrix"),
    call: place("call"),
    live: place("live", "p", { role: "status", "aria-live": "polite" }),
  };
  const card = (title, ...children) =>
    h("section", { class: "card", "aria-label": title }, h("h2", {}, title), children);
  const theme = h("button", { type: "button", class: "quiet", onclick: () => toggleTheme() }, "Dark");
  const link = h(
    "button",
    { type: "button", class: "quiet", onclick: () => copy(host.link(), link) },
    "Copy link",
  );
  root.classList.add("unsample-explore");
  root.replaceChildren(
    h(
      "header",
      {},
      h("h1", {}, h("span", { class: "brand" }, "unsample"), " explore"),
      h(
        "p",
        { class: "lead" },
        "Every way up is a stamp: each input stamps a small window onto the output, and overlaps add.",
      ),
      h("div", { class: "tools" }, host.link ? link : null, theme),
    ),
    h(
      "div",
      { class: "columns" },
      ui.controls,
      h(
        "div",
        { class: "results" },
        ui.message,
        h(
          "div",
          { class: "answers" },
          h("section", { class: "card picture", "aria-label": "Picture" }, ui.stage, ui.detail, ui.steps),
          h(
            "div",
            { class: "aside" },
            card("Output size", ui.formula),
            card("Overlap: how many stamps meet", ui.overlap),
            card("In Python", ui.call),
          ),
          card("As a matrix", ui.matrix),
        ),
        ui.live,
      ),
    ),
  );

  // -- state ------------------------------------------------------------------------------------------------

  function update(next) {
    try {
      model = evaluate(TABLE, next);
      state = withNumbers(next);
      model.state = state;
      showMessage("");
    } catch (error) {
      if (!(error instanceof SettingError)) throw error;
      state = next;
      pause();
      showMessage(error.message);
    }
    drawControls();
    if (!ui.message.textContent) draw();
    host.changed(state);
  }

  /** The state with the numbers that are shown, so that a link or a notebook has them. */
  function withNumbers(next) {
    const filled = { ...next, x: nest(model.x, model.fine) };
    if (next.way !== "max_unpool" || next.y !== null) filled.y = nest(model.y, model.coarse);
    if (model.weight) filled.weight = nest(model.weight, next.kernel_size);
    if (filled.step > product(model.coarse)) filled.step = null;
    return filled;
  }

  function showMessage(sentence) {
    ui.message.textContent = sentence;
    ui.message.hidden = !sentence;
    root.classList.toggle("refused", Boolean(sentence));
  }

  function change(name, value) {
    if (name === "output_size" && value === "usual") value = model.fine.slice(-state.size.length);
    const next = { ...state, [name]: value, step: null };
    if (next.way === "max_unpool" && name !== "duplicates" && !sameShapeAsShown(next)) next.y = null;
    update(next);
  }

  function sameShapeAsShown(next) {
    try {
      return pyTuple(evaluate(TABLE, next).coarse) === pyTuple(model.coarse);
    } catch {
      return true;
    }
  }

  // -- controls ---------------------------------------------------------------------------------------------

  function drawControls() {
    const way = TABLE.ways[state.way];
    const names = Object.keys(way.settings);
    const pads = typeof state.padding === "string" ? state.padding : "numbers";
    // The way down takes what the way up gives: the same setting under the other name.
    const labelOf = (field) => (state.direction === "down" && field.down) || field.label;
    const structure = [
      state.way,
      state.direction,
      state.size.length,
      pads,
      state.output_size === null,
    ].join();
    if (structure === drawnControls) {
      syncControls();
      return;
    }
    const focused = root.contains(document.activeElement) && ui.controls.contains(document.activeElement);
    const index = focused
      ? [...ui.controls.querySelectorAll("input, select")].indexOf(document.activeElement)
      : -1;
    drawnControls = structure;
    ui.controls.replaceChildren(
      radios({
        name: "way",
        legend: "Way up",
        classes: "ways",
        options: Object.entries(TABLE.ways).map(([value, { title, stamp }]) => ({
          value,
          title,
          note: stamp,
        })),
        chosen: state.way,
        choose: (name) => update(withWay(TABLE, state, name)),
      }),
      h(
        "div",
        { class: "pair" },
        radios({
          name: "direction",
          legend: "Direction",
          classes: "segments",
          options: [
            { value: "up", title: "Up" },
            { value: "down", title: "Down" },
          ],
          chosen: state.direction,
          choose: (direction) => update({ ...state, direction, step: null }),
        }),
        radios({
          name: "rank",
          legend: "Axes",
          classes: "segments",
          options: RANKS.map((rank) => ({ value: String(rank), title: `${rank}-D` })),
          chosen: String(state.size.length),
          choose: (rank) => update(withRank(TABLE, state, Number(rank))),
        }),
      ),
      h(
        "fieldset",
        { class: "fields" },
        h("legend", {}, "Settings"),
        names.map((name) =>
          h(
            "div",
            { class: "field", "data-field": name },
            fieldControl(
              name,
              TABLE.fields[name],
              () => state,
              way.labels?.[name] ?? labelOf(TABLE.fields[name]),
              way.words ?? TABLE.fields[name].words,
              (value) => change(name, value),
            ),
          ),
        ),
      ),
    );
    if (index >= 0) [...ui.controls.querySelectorAll("input, select")][index]?.focus();
  }

  /** New values into the controls that are there; the one being typed into is left alone. */
  function syncControls() {
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

  // -- drawing ----------------------------------------------------------------------------------------------

  function draw() {
    const focus = focusedCell();
    const soFar = state.step === null ? model.out : outputAfter(model, state.step);
    const put = (where, elements) => where.replaceChildren(...elements.filter(Boolean));
    put(
      ui.stage,
      stageOf(model, soFar, () => update({ ...state, y: null })),
    );
    put(ui.formula, formulaOf(model));
    put(ui.overlap, overlapOf(model));
    put(ui.matrix, matrixOf(model));
    drawSteps();
    drawCall();
    collectCells();
    if (focus)
      root
        .querySelector(`[data-grid="${focus.grid}"] [data-kind="${focus.kind}"][data-i="${focus.i}"]`)
        ?.focus({ preventScroll: true });
    else held = null;
    light();
  }

  function focusedCell() {
    const cell = document.activeElement?.closest?.("[data-kind]");
    if (!cell || !root.contains(cell)) return null;
    return { grid: cell.closest("[data-grid]").dataset.grid, kind: cell.dataset.kind, i: cell.dataset.i };
  }

  function drawCall() {
    const code = pythonCall(model, library);
    const tab = (name) =>
      h(
        "button",
        {
          type: "button",
          role: "tab",
          id: `tab-${name}`,
          "aria-selected": String(name === library),
          "aria-controls": "python-call",
          tabindex: name === library ? "0" : "-1",
          onclick: () => chooseLibrary(name),
          onkeydown: (event) => {
            const names = Object.keys(LIBRARIES);
            const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
            if (step) chooseLibrary(names[mod(names.indexOf(name) + step, names.length)], true);
          },
        },
        { numpy: "NumPy", torch: "PyTorch", jax: "JAX" }[name],
      );
    const button = h("button", { type: "button", class: "quiet", onclick: () => copy(code, button) }, "Copy");
    ui.call.replaceChildren(
      h(
        "div",
        { class: "tabs" },
        h("div", { role: "tablist", "aria-label": "Library" }, Object.keys(LIBRARIES).map(tab)),
        button,
      ),
      h(
        "pre",
        { role: "tabpanel", id: "python-call", "aria-labelledby": `tab-${library}`, tabindex: "0" },
        h("code", {}, code),
      ),
    );
  }

  function chooseLibrary(name, focus = false) {
    library = name;
    drawCall();
    if (focus) ui.call.querySelector("[aria-selected=true]").focus();
  }

  async function copy(text, button) {
    const before = button.textContent;
    try {
      await navigator.clipboard.writeText(text);
      button.textContent = "Copied";
    } catch {
      button.textContent = "Not allowed here";
    }
    ui.live.textContent = button.textContent;
    setTimeout(() => (button.textContent = before), 1500);
  }

  // -- steps ------------------------------------------------------------------------------------------------

  const last = () => product(model.coarse);
  const current = () => (state.step ? state.step - 1 : null);

  let drawnSteps = null;

  /** The buttons stay while steps go by: a slider that is dragged must not be replaced. */
  function drawSteps() {
    const unit = state.direction === "up" ? "stamp" : "window";
    if (drawnSteps !== `${unit} ${last()}`) makeSteps(unit);
    drawnSteps = `${unit} ${last()}`;
    const part = (name) => ui.steps.querySelector(`[data-step="${name}"]`);
    part("play").textContent = timer ? "Pause" : "Play";
    part("play").setAttribute("aria-label", timer ? "Pause" : `Play ${unit} by ${unit}`);
    part("range").value = String(state.step ?? last());
    part("count").textContent =
      state.step === null ? `all ${plural(last(), unit)}` : `${unit} ${state.step} of ${last()}`;
    if (state.step === null && document.activeElement === part("all")) part("play").focus();
    part("all").disabled = state.step === null;
  }

  function makeSteps(unit) {
    const button = (name, text, label, onclick) =>
      h("button", { type: "button", "data-step": name, "aria-label": label, onclick }, text);
    const range = h("input", {
      type: "range",
      min: "0",
      max: String(last()),
      "data-step": "range",
      "aria-label": `${unit}s so far`,
      oninput: () => {
        pause();
        goTo(Number(range.value));
      },
    });
    ui.steps.replaceChildren(
      button("back", "\u2190", `One ${unit} back`, () => step(-1)),
      button("play", "Play", "Play", () => (timer ? pause() : play())),
      button("next", "\u2192", `One ${unit} on`, () => step(1)),
      range,
      h("span", { class: "count", "data-step": "count" }),
      button("all", "All", `All ${unit}s`, () => {
        pause();
        goTo(null);
      }),
    );
  }

  function goTo(step) {
    held = null;
    update({ ...state, step });
    if (step) ui.live.textContent = ui.detail.textContent;
  }

  function step(by) {
    pause();
    if (ui.message.textContent) return;
    goTo(clamp((state.step ?? (by > 0 ? 0 : last())) + by, 0, last()));
  }

  function play() {
    if (ui.message.textContent) return;
    timer = setInterval(() => {
      if (!root.isConnected || state.step === null || state.step >= last()) pause();
      else goTo(state.step + 1);
    }, 900);
    goTo(state.step === null || state.step >= last() ? 0 : state.step);
  }

  function pause() {
    if (timer === null) return;
    clearInterval(timer);
    timer = null;
    drawSteps();
  }

  // -- partners ---------------------------------------------------------------------------------------------

  function collectCells() {
    cells = new Map();
    for (const cell of root.querySelectorAll("[data-kind]")) {
      const key = `${cell.dataset.kind}${cell.dataset.i}`;
      cells.set(key, [...(cells.get(key) ?? []), cell]);
    }
  }

  /** Light up whatever is joined with what is pointed at: the same meetings in every view. */
  function light() {
    const what = held ?? (current() === null ? null : ["c", current()]);
    for (const cell of root.querySelectorAll(".lit, .here")) cell.classList.remove("lit", "here");
    root.classList.toggle("lighting", what !== null);
    if (!what) {
      ui.detail.textContent = hint();
      return;
    }
    const [kind, i] = what;
    const columns = product(model.fine);
    const links = linksOf(model);
    const same = {
      c: (link) => link.c === i,
      f: (link) => link.f === i,
      o: (link) => link.f === i,
      t: (link) => link.t === i,
    };
    same.p = same.f;
    same.m = same.s = (link) => link.c === Math.floor(i / columns) && link.f === i % columns;
    const lit = new Set([`${kind}${i}`]);
    if (kind === "m" || kind === "s") lit.add(`c${Math.floor(i / columns)}`).add(`f${i % columns}`);
    for (const { c, f, t } of links.filter(same[kind])) {
      const cell = c * columns + f;
      for (const key of [`c${c}`, `f${f}`, `o${f}`, `p${f}`, `m${cell}`, `s${cell}`, `t${t}`]) lit.add(key);
    }
    for (const key of lit) for (const cell of cells.get(key) ?? []) cell.classList.add("lit");
    const plain = { o: "f", s: "m" }[kind] ?? kind;
    ui.detail.textContent = sentence(model, plain, i);
  }

  const hint = () =>
    "Point at a cell, or move to it with the arrow keys, to see what it meets. Type to change a number.";

  function hold(cell, aloud) {
    const i = Number(cell.dataset.i);
    held = i < 0 ? null : [cell.dataset.kind, i];
    light();
    if (aloud && held) ui.live.textContent = ui.detail.textContent;
  }

  root.addEventListener("pointerover", (event) => {
    const cell = event.target.closest("[data-kind]");
    if (cell && !root.querySelector("input.edit")) hold(cell, false);
  });
  root.addEventListener("pointerout", (event) => {
    const left = event.target.closest("[data-kind]");
    if (!left || event.relatedTarget?.closest?.("[data-kind]")) return;
    const focused = document.activeElement?.closest?.("[data-kind]");
    if (focused && root.contains(focused)) hold(focused, false);
    else {
      held = null;
      light();
    }
  });
  root.addEventListener("focusin", (event) => {
    const cell = event.target.closest("[data-kind]");
    if (!cell || event.target !== cell) return;
    for (const other of cell.closest("[role=grid]").querySelectorAll("[tabindex='0']")) other.tabIndex = -1;
    cell.tabIndex = 0;
    hold(cell, true);
  });
  root.addEventListener("focusout", (event) => {
    if (event.relatedTarget?.closest?.("[data-kind]") || !event.target.closest("[data-kind]")) return;
    if (!event.target.isConnected) return; // redrawn: the focus comes back
    held = null;
    light();
  });

  // -- editing ----------------------------------------------------------------------------------------------

  root.addEventListener("keydown", (event) => {
    const cell = event.target;
    if (!cell.matches?.("[data-kind]") || event.altKey || event.metaKey) return;
    const next = neighbour(cell, event.key, event.ctrlKey);
    if (next) {
      event.preventDefault();
      next.focus();
      next.scrollIntoView({ block: "nearest", inline: "nearest" });
    } else if (cell.dataset.array && !event.ctrlKey) {
      if (event.key === "Enter" || event.key === "F2") {
        event.preventDefault();
        edit(cell, null);
      } else if (/^[-+\d.,\u2212]$/.test(event.key)) {
        event.preventDefault();
        edit(cell, event.key);
      }
    }
  });
  // The first press points at a cell, a second one opens it: fingers have no hover.
  let pressed = null;
  root.addEventListener("pointerdown", (event) => {
    const cell = event.target.closest("[data-array]");
    pressed = cell && cell === document.activeElement ? cell : null;
  });
  root.addEventListener("click", (event) => {
    const cell = event.target.closest("[data-array]");
    if (cell && cell === pressed && !cell.querySelector("input")) edit(cell, null);
  });

  function edit(cell, typed) {
    const before = cell.textContent;
    const label = cell.getAttribute("aria-label");
    const input = h("input", {
      class: "edit",
      inputmode: "decimal",
      "aria-label": label,
      autocomplete: "off",
    });
    input.value = typed ?? cell.dataset.value;
    cell.replaceChildren(input);
    input.focus();
    if (typed === null) input.select();
    let done = false;
    const finish = (keep, move) => {
      if (done) return;
      done = true;
      const text = input.value.trim().replace("\u2212", "-").replace(",", ".");
      const number = text === "" ? NaN : Number(text);
      cell.replaceChildren(before);
      if (move !== null) cell.focus();
      if (!keep) return;
      if (!Number.isFinite(number) || Math.abs(number) > TABLE.limits.number) {
        ui.detail.textContent = `A cell holds a number up to ${TABLE.limits.number.toLocaleString("en")} in size, got '${input.value}'.`;
        ui.live.textContent = ui.detail.textContent;
        return;
      }
      setNumber(cell.dataset.array, Number(cell.dataset.i), number);
      if (move) neighbour(focusedElement(), move, false)?.focus();
    };
    const focusedElement = () => document.activeElement;
    input.addEventListener("keydown", (event) => {
      event.stopPropagation();
      if (event.key === "Enter") finish(true, event.shiftKey ? "ArrowLeft" : "");
      else if (event.key === "Escape") finish(false, "");
    });
    input.addEventListener("blur", () => finish(true, null));
  }

  function setNumber(array, i, number) {
    const shape = model.shapes[array];
    const flat = [...model[array]];
    flat[i] = number;
    update({ ...state, [array]: nest(flat, shape) });
  }

  // -- theme ------------------------------------------------------------------------------------------------

  const dark = () => {
    const set = root.style.colorScheme || getComputedStyle(root).colorScheme;
    return set === "light dark" ? matchMedia("(prefers-color-scheme: dark)").matches : set === "dark";
  };

  function toggleTheme() {
    const next = dark() ? "light" : "dark";
    root.style.colorScheme = next;
    // Behind the page, too, where the document is ours.
    if (document.body.classList.contains("unsample-page")) document.documentElement.style.colorScheme = next;
    theme.textContent = next === "dark" ? "Light" : "Dark";
  }

  theme.textContent = dark() ? "Light" : "Dark";
  theme.setAttribute("aria-label", "Change between light and dark");

  /** Show a state that came from outside: a link or a notebook. */
  function set(next) {
    if (JSON.stringify(next) === JSON.stringify(state)) return;
    pause();
    if (!ui.controls.contains(document.activeElement)) drawnControls = null;
    update({ step: null, ...next });
  }

  /** A state that cannot even be read: say why, keep what is shown. */
  function refuseWith(sentence) {
    showMessage(sentence);
  }

  let first;
  try {
    first = { ...initial };
    evaluate(TABLE, first);
  } catch (error) {
    if (!(error instanceof SettingError)) throw error;
    // Something must stand behind the message.
    update(freshState(TABLE, "conv_transpose", 1));
    first = initial;
  }
  update({ step: null, ...first });
  return {
    set,
    update,
    refuseWith,
    state: () => state,
    model: () => model,
    message: () => ui.message.textContent,
  };
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
