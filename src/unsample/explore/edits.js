// Numbers are typed into cells: by keys where the focus is, by a second press for fingers.

function editByKeys(app) {
  app.root.addEventListener("keydown", (event) => {
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
        edit(app, cell, null);
      } else if (/^[-+\d.,\u2212]$/.test(event.key)) {
        event.preventDefault();
        edit(app, cell, event.key);
      }
    }
  });
}

/** The first press points at a cell, a second one opens it: fingers have no hover. */
function editByPresses(app) {
  let pressed = null;
  app.root.addEventListener("pointerdown", (event) => {
    const cell = event.target.closest("[data-array]");
    pressed = cell && cell === document.activeElement ? cell : null;
  });
  app.root.addEventListener("click", (event) => {
    const cell = event.target.closest("[data-array]");
    if (cell && cell === pressed && !cell.querySelector("input")) edit(app, cell, null);
  });
}

/** Open a cell; `typed` is the key that opened it, null to begin with its number. */
function edit(app, cell, typed) {
  const before = cell.textContent;
  const input = h("input", {
    class: "edit",
    inputmode: "decimal",
    "aria-label": cell.getAttribute("aria-label"),
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
    cell.replaceChildren(before);
    if (move !== null) cell.focus();
    if (keep && setNumber(app, cell, input.value) && move)
      neighbour(document.activeElement, move, false)?.focus();
  };
  input.addEventListener("keydown", (event) => {
    event.stopPropagation();
    if (event.key === "Enter") finish(true, event.shiftKey ? "ArrowLeft" : "");
    else if (event.key === "Escape") finish(false, "");
  });
  input.addEventListener("blur", () => finish(true, null));
}

/** What was typed becomes the number of the cell; false, and a sentence, where it is none. */
function setNumber(app, cell, typed) {
  const { model, state, ui } = app;
  const text = typed.trim().replace("\u2212", "-").replace(",", ".");
  const number = text === "" ? NaN : Number(text);
  if (!Number.isFinite(number) || Math.abs(number) > TABLE.limits.number) {
    ui.detail.textContent = `A cell holds a number up to ${TABLE.limits.number.toLocaleString("en")} in size, got '${typed}'.`;
    ui.live.textContent = ui.detail.textContent;
    return false;
  }
  const { array, i } = cell.dataset;
  const flat = [...model[array]];
  flat[Number(i)] = number;
  app.update({ ...state, [array]: nest(flat, model.shapes[array]) });
  return true;
}
