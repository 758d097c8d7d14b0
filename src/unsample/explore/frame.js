// The frame of the page: the places that everything else is put into, and its buttons.

const place = (name, tag = "div", more = {}) => h(tag, { class: name, ...more });

/** The places, by their names. */
function makePlaces() {
  return {
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
}

const card = (title, ...children) =>
  h("section", { class: "card", "aria-label": title }, h("h2", {}, title), children);

/** Put the places into the root, where they stay. */
function drawFrame(app) {
  const { root, ui } = app;
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
      h("div", { class: "tools" }, app.host.link ? linkButton(app) : null, themeButton(app)),
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
}

function linkButton(app) {
  const copyLink = () => copy(app, app.host.link(), button);
  const button = h("button", { type: "button", class: "quiet", onclick: copyLink }, "Copy link");
  return button;
}

/** Copy a text, and say so on the button that asked for it. */
async function copy(app, text, button) {
  const before = button.textContent;
  try {
    await navigator.clipboard.writeText(text);
    button.textContent = "Copied";
  } catch {
    button.textContent = "Not allowed here";
  }
  app.ui.live.textContent = button.textContent;
  setTimeout(() => (button.textContent = before), 1500);
}

function isDark(root) {
  const set = root.style.colorScheme || getComputedStyle(root).colorScheme;
  return set === "light dark" ? matchMedia("(prefers-color-scheme: dark)").matches : set === "dark";
}

function themeButton({ root }) {
  const other = () => (isDark(root) ? "Light" : "Dark");
  const toggle = () => {
    const next = other().toLowerCase();
    root.style.colorScheme = next;
    // Behind the page, too, where the document is ours.
    if (document.body.classList.contains("unsample-page")) document.documentElement.style.colorScheme = next;
    button.textContent = other();
  };
  const button = h(
    "button",
    { type: "button", class: "quiet", onclick: toggle, "aria-label": "Change between light and dark" },
    other(),
  );
  return button;
}
