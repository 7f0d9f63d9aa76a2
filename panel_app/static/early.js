// Runs before the first paint, so that a dark page never flashes light. `theme` in the URL wins over the system's choice.
{
  const asked = new URLSearchParams(location.search).get("theme");
  const dark = asked === "dark" || (asked !== "light" && matchMedia("(prefers-color-scheme: dark)").matches);
  if (new URLSearchParams(location.search).get("embed") === "1") document.documentElement.dataset.embed = "";
  document.documentElement.dataset.theme = dark ? "dark" : "light";
}
