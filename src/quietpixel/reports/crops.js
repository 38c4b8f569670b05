// Panes of one image move together: by dragging, by scrolling, by the arrow keys.
for (const group of document.querySelectorAll(".panes")) {
  const panes = [...group.querySelectorAll(".pane")];
  let leader = panes[0]; // only the one that is touched leads, or late followers would pull it back
  const follow = () => {
    for (const pane of panes) {
      if (pane !== leader) pane.scrollTo(leader.scrollLeft, leader.scrollTop);
    }
  };
  const [left, top] = group.dataset.at.split(",").map(Number);
  for (const pane of panes) {
    pane.addEventListener("scroll", () => pane === leader && follow());
    for (const kind of ["pointerenter", "pointerdown", "focus"]) {
      pane.addEventListener(kind, () => (leader = pane));
    }
    pane.addEventListener("pointerdown", (event) => {
      if (event.pointerType === "mouse") pane.setPointerCapture(event.pointerId);
    });
    pane.addEventListener("pointermove", (event) => {
      if (pane.hasPointerCapture(event.pointerId)) pane.scrollBy(-event.movementX, -event.movementY);
    });
  }
  panes[0].scrollTo(left - panes[0].clientWidth / 2, top - panes[0].clientHeight / 2);
}
