// Sorts a table by the column whose heading is clicked: first downwards, a loss upwards, so that the best is on
// top; then the other way. Empty cells and what is no architecture stay last.
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
let shown = null;
for (const title of document.querySelectorAll("svg title")) {
  title.parentNode.setAttribute("aria-label", title.textContent);
  title.remove();
}
const place = (x, y) => {
  tip.style.left = tip.style.top = "0";  // its width depends on what is left of the line
  tip.style.left = `${Math.max(4, Math.min(x, document.documentElement.clientWidth - tip.offsetWidth - 4))}px`;
  tip.style.top = `${Math.max(4, Math.min(y + 12, window.innerHeight - tip.offsetHeight - 4))}px`;
};
const atMark = () => {
  const { left, bottom } = shown.getBoundingClientRect();
  place(left, bottom);
};
for (const kind of ["pointerover", "focusin", "click"]) document.addEventListener(kind, (event) => {
  shown = event.target.closest("svg [aria-label]");
  tip.hidden = !shown;
  if (!shown) return;
  tip.textContent = shown.getAttribute("aria-label");
  if (event.clientX || event.clientY) place(event.clientX, event.clientY);
  else atMark();
});
document.addEventListener("focusout", () => { tip.hidden = true; shown = null; });
document.addEventListener("scroll", () => { if (shown) atMark(); }, true);

// Says which figures and tables scroll.
const tell = () => {
  for (const box of document.querySelectorAll("figure, .wide")) {
    box.classList.toggle("scrolls", box.scrollWidth > box.clientWidth);
  }
};
window.addEventListener("resize", tell);
tell();
