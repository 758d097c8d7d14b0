// The same call in Python, for the library that is chosen, with a button that copies it.

const TITLES = { numpy: "NumPy", torch: "PyTorch", jax: "JAX" };

function drawCall(app) {
  const code = pythonCall(app.model, app.library);
  const copyCode = () => copy(app, code, button);
  const button = h("button", { type: "button", class: "quiet", onclick: copyCode }, "Copy");
  const tabs = Object.keys(LIBRARIES).map((name) => libraryTab(app, name));
  app.ui.call.replaceChildren(
    h("div", { class: "tabs" }, h("div", { role: "tablist", "aria-label": "Library" }, tabs), button),
    h(
      "pre",
      { role: "tabpanel", id: "python-call", "aria-labelledby": `tab-${app.library}`, tabindex: "0" },
      h("code", {}, code),
    ),
  );
}

function libraryTab(app, name) {
  return h(
    "button",
    {
      type: "button",
      role: "tab",
      id: `tab-${name}`,
      "aria-selected": String(name === app.library),
      "aria-controls": "python-call",
      tabindex: name === app.library ? "0" : "-1",
      onclick: () => chooseLibrary(app, name),
      onkeydown: (event) => {
        const names = Object.keys(LIBRARIES);
        const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
        if (by) chooseLibrary(app, names[mod(names.indexOf(name) + by, names.length)], true);
      },
    },
    TITLES[name],
  );
}

function chooseLibrary(app, name, focus = false) {
  app.library = name;
  drawCall(app);
  if (focus) app.ui.call.querySelector("[aria-selected=true]").focus();
}
