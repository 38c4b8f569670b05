// The divider of a picture before and after: a range input over the pictures moves it.
document.addEventListener("input", ({ target }) => {
  const stage = target.closest(".compare-stage");
  if (stage) stage.style.setProperty("--at", `${target.value}%`);
});
