// Light or dark: as the system says, until someone chooses.

const NAMES = { auto: "Theme: as the system", light: "Theme: light", dark: "Theme: dark" };
const ICONS = {
  auto: '<circle cx="12" cy="12" r="8"/><path d="M12 4a8 8 0 0 1 0 16z" class="full"/>',
  light: '<circle cx="12" cy="12" r="4.5"/><path d="M12 2v2.5M12 19.5V22M2 12h2.5M19.5 12H22M5 5l1.7 1.7M17.3 17.3 19 19M5 19l1.7-1.7M17.3 6.7 19 5"/>',
  dark: '<path d="M19.5 14.5A8 8 0 0 1 9.5 4.5a8 8 0 1 0 10 10z"/>',
};
const KEY = "quietpixel-theme";

export function startTheme(button) {
  const system = matchMedia("(prefers-color-scheme: dark)");
  let chosen = localStorage.getItem(KEY) ?? "auto";
  const show = () => {
    const dark = chosen === "dark" || (chosen === "auto" && system.matches);
    document.documentElement.dataset.theme = dark ? "dark" : "light";
    button.innerHTML = `<svg viewBox="0 0 24 24" width="20" height="20" aria-hidden="true">${ICONS[chosen]}</svg>`;
    button.setAttribute("aria-label", NAMES[chosen]);
    button.title = NAMES[chosen];
  };
  button.addEventListener("click", () => {
    chosen = { auto: "light", light: "dark", dark: "auto" }[chosen];
    localStorage.setItem(KEY, chosen);
    show();
  });
  system.addEventListener("change", show);
  show();
}
