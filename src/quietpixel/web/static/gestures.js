// Mouse, fingers and keys on the stage.

const STEP = 60;

export function listen(stage, holdButton) {
  const element = stage.stage;
  listenForHold(stage, holdButton);
  const pointers = new Map();
  const place = (event) => {
    const box = element.getBoundingClientRect();
    return { x: (event.clientX - box.left) * stage.ratio, y: (event.clientY - box.top) * stage.ratio };
  };

  element.addEventListener("pointerdown", (event) => {
    if (event.target.id === "split") return;
    element.setPointerCapture(event.pointerId);
    pointers.set(event.pointerId, place(event));
    element.classList.add("moving");
  });
  element.addEventListener("pointermove", (event) => {
    if (!pointers.has(event.pointerId)) return;
    const before = [...pointers.values()];
    const old = pointers.get(event.pointerId), now = place(event);
    pointers.set(event.pointerId, now);
    if (pointers.size === 1) stage.moveBy(now.x - old.x, now.y - old.y);
    else if (pointers.size === 2) pinch(stage, before, [...pointers.values()]);
  });
  for (const name of ["pointerup", "pointercancel"]) {
    element.addEventListener(name, (event) => {
      pointers.delete(event.pointerId);
      if (!pointers.size) element.classList.remove("moving");
    });
  }
  element.addEventListener("wheel", (event) => {
    event.preventDefault();
    stage.zoomTo(stage.scale * Math.exp(-event.deltaY * (event.ctrlKey ? 0.01 : 0.0015)), place(event));
  }, { passive: false });
  element.addEventListener("dblclick", (event) => {
    if (stage.scale === 1) stage.fit();
    else stage.zoomTo(1, place(event));
  });
  element.addEventListener("keydown", (event) => {
    const act = event.target === element && !event.ctrlKey && !event.metaKey && keys(stage)[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  });
}

// The original is shown while the button, or the key O on the stage, is held.
function listenForHold(stage, button) {
  const isKey = ({ key }) => key === " " || key === "Enter";
  button.addEventListener("pointerdown", (event) => {
    button.setPointerCapture(event.pointerId);
    stage.hold(true);
  });
  button.addEventListener("keydown", (event) => isKey(event) && stage.hold(true));
  stage.stage.addEventListener("keydown", (event) => event.key.toLowerCase() === "o" && !event.ctrlKey && !event.metaKey && stage.hold(true));
  for (const name of ["pointerup", "pointercancel", "keyup", "blur"]) button.addEventListener(name, () => stage.hold(false));
  for (const name of ["keyup", "blur"]) stage.stage.addEventListener(name, () => stage.hold(false));
  button.addEventListener("contextmenu", (event) => event.preventDefault()); // a long touch opens it
}

function pinch(stage, before, now) {
  const apart = ([a, b]) => Math.hypot(a.x - b.x, a.y - b.y) || 1;
  const middle = ([a, b]) => ({ x: (a.x + b.x) / 2, y: (a.y + b.y) / 2 });
  const from = middle(before), to = middle(now);
  stage.moveBy(to.x - from.x, to.y - from.y);
  stage.zoomTo((stage.scale * apart(now)) / apart(before), to);
}

function keys(stage) {
  const zoomIn = () => act(stage, "in"), zoomOut = () => act(stage, "out");
  return {
    ArrowLeft: () => stage.moveBy(STEP, 0),
    ArrowRight: () => stage.moveBy(-STEP, 0),
    ArrowUp: () => stage.moveBy(0, STEP),
    ArrowDown: () => stage.moveBy(0, -STEP),
    "+": zoomIn, "=": zoomIn, "-": zoomOut,
    0: () => stage.fit(),
    1: () => stage.zoomTo(1),
  };
}

const STEPS = [0.02, 0.05, 0.1, 0.25, 0.33, 0.5, 0.67, 1, 2, 3, 4, 6, 8, 12, 16, 24, 32];

export function act(stage, name) {
  if (name === "fit") stage.fit();
  else if (name === "pixel") stage.zoomTo(1);
  else if (name === "in") stage.zoomTo(STEPS.find((step) => step > stage.scale * 1.01) ?? 32);
  else stage.zoomTo([...STEPS].reverse().find((step) => step < stage.scale * 0.99) ?? 0.02);
}
