// The animation: stamp after stamp, by its buttons, its slider or by itself.

const lastStep = (app) => product(app.model.coarse);
const unitOf = (app) => (app.state.direction === "up" ? "stamp" : "window");

/** The buttons stay while steps go by: a slider that is dragged must not be replaced. */
function drawSteps(app) {
  const { state, ui } = app;
  const [unit, last] = [unitOf(app), lastStep(app)];
  if (app.drawnSteps !== `${unit} ${last}`) makeSteps(app);
  app.drawnSteps = `${unit} ${last}`;
  const part = (name) => ui.steps.querySelector(`[data-step="${name}"]`);
  part("play").textContent = app.timer ? "Pause" : "Play";
  part("play").setAttribute("aria-label", app.timer ? "Pause" : `Play ${unit} by ${unit}`);
  part("range").value = String(state.step ?? last);
  part("count").textContent =
    state.step === null ? `all ${plural(last, unit)}` : `${unit} ${state.step} of ${last}`;
  if (state.step === null && document.activeElement === part("all")) part("play").focus();
  part("all").disabled = state.step === null;
}

function makeSteps(app) {
  const unit = unitOf(app);
  const button = (name, text, label, onclick) =>
    h("button", { type: "button", "data-step": name, "aria-label": label, onclick }, text);
  const range = h("input", {
    type: "range",
    min: "0",
    max: String(lastStep(app)),
    "data-step": "range",
    "aria-label": `${unit}s so far`,
    oninput: () => {
      pause(app);
      goTo(app, Number(range.value));
    },
  });
  app.ui.steps.replaceChildren(
    button("back", "\u2190", `One ${unit} back`, () => stepBy(app, -1)),
    button("play", "Play", "Play", () => (app.timer ? pause(app) : play(app))),
    button("next", "\u2192", `One ${unit} on`, () => stepBy(app, 1)),
    range,
    h("span", { class: "count", "data-step": "count" }),
    button("all", "All", `All ${unit}s`, () => {
      pause(app);
      goTo(app, null);
    }),
  );
}

function goTo(app, step) {
  app.held = null;
  app.update({ ...app.state, step });
  if (step) app.ui.live.textContent = app.ui.detail.textContent;
}

function stepBy(app, by) {
  pause(app);
  if (app.ui.message.textContent) return;
  const last = lastStep(app);
  goTo(app, clamp((app.state.step ?? (by > 0 ? 0 : last)) + by, 0, last));
}

function play(app) {
  if (app.ui.message.textContent) return;
  const over = () => app.state.step === null || app.state.step >= lastStep(app);
  app.timer = setInterval(() => {
    if (!app.root.isConnected || over()) pause(app);
    else goTo(app, app.state.step + 1);
  }, 900);
  goTo(app, over() ? 0 : app.state.step);
}

function pause(app) {
  if (app.timer === null) return;
  clearInterval(app.timer);
  app.timer = null;
  drawSteps(app);
}
