// Sorts a table by the column whose heading is clicked: first the best on top, then the worst. Empty cells and
// what is no architecture stay last.
for (const table of document.querySelectorAll("table.sortable")) {
  const heads = [...table.querySelectorAll("thead th")];
  heads.forEach((head, column) => head.querySelector("button").addEventListener("click", () => {
    const ways = head.hasAttribute("data-lower") ? ["ascending", "descending"] : ["descending", "ascending"];
    const way = ways[head.getAttribute("aria-sort") === ways[0] ? 1 : 0];
    heads.forEach((other) => other.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", way);
    const key = (row) => {
      const cell = row.cells[column];
      if (cell.dataset.value !== undefined) return cell.dataset.value === "" ? null : Number(cell.dataset.value);
      return cell.firstChild ? cell.firstChild.data : null;
    };
    const body = table.tBodies[0];
    const rows = [...body.rows].map((row) => [row.matches(".trivial, .paper"), key(row), row]);
    rows.sort(([aside, a], [besides, b]) => {
      if (aside !== besides) return aside - besides;
      if (a === null || b === null) return (a === null) - (b === null);
      const order = typeof a === "number" ? a - b : a.localeCompare(b);
      return way === "descending" ? -order : order;
    });
    body.append(...rows.map(([, , row]) => row));
  }));
}

// Shows what a mark's <title> says beside the mark that is pointed at, tapped or focused.
const tip = document.body.appendChild(document.createElement("div"));
tip.id = "tip";
tip.hidden = true;
for (const title of document.querySelectorAll("svg title")) {
  title.parentNode.setAttribute("aria-label", title.textContent);
  title.remove();
}
for (const kind of ["pointerover", "focusin", "click"]) document.addEventListener(kind, ({ target }) => {
  const mark = target.closest("svg [aria-label]");
  tip.hidden = !mark;
  if (!mark) return;
  tip.textContent = mark.getAttribute("aria-label");
  const { left, bottom } = mark.getBoundingClientRect();
  tip.style.left = `${Math.max(4, Math.min(left, document.documentElement.clientWidth - tip.offsetWidth - 4))}px`;
  tip.style.top = `${Math.min(bottom + 6, window.innerHeight - tip.offsetHeight - 4)}px`;
});
for (const kind of ["focusout", "scroll"]) document.addEventListener(kind, () => { tip.hidden = true; }, true);
