// Writes a text where it differs, because screen readers announce each text that is written.
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}
