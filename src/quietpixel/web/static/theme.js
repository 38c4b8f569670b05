// Light or dark: as the system says, until someone chooses.

const NAMES = { auto: "Theme: as the system", light: "Theme: light", dark: "Theme: dark" };
const KEY = "quietpixel-theme";

export function startTheme(button) {
  const system = matchMedia("(prefers-color-scheme: dark)");
  let chosen = localStorage.getItem(KEY) ?? "auto";
  const show = () => {
    const dark = chosen === "dark" || (chosen === "auto" && system.matches);
    document.documentElement.dataset.theme = dark ? "dark" : "light";
    if (button) button.textContent = NAMES[chosen];
  };
  button?.addEventListener("click", () => {
    chosen = { auto: "light", light: "dark", dark: "auto" }[chosen];
    localStorage.setItem(KEY, chosen);
    show();
  });
  system.addEventListener("change", show);
  show();
}
