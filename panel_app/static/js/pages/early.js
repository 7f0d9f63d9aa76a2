// @ts-check
// Runs before the first paint and before any other script. `theme` in the URL overrides the system's setting here, so that a dark page
// never flashes light.
{
  // Libraries use names as keys of plain objects; with the name `__proto__` they write to the prototype of every object on the page.
  // So no property can be added to it from here on. Freezing it would also prevent objects from overriding `toString`.
  Object.preventExtensions(Object.prototype);

  const last = (name) => new URLSearchParams(location.search).getAll(name).at(-1);
  const asked = last("theme");
  const dark = asked === "dark" || (asked !== "light" && matchMedia("(prefers-color-scheme: dark)").matches);
  if (last("embed") === "1") document.documentElement.dataset.embed = "";
  document.documentElement.dataset.theme = dark ? "dark" : "light";
}
