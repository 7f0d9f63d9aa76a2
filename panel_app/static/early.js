// Runs before the first paint and before any other script. `theme` in the URL wins over the system's choice, so that a dark page never
// flashes light.
{
  // Libraries keep names in plain objects: under the name `__proto__` they find, and write on, the prototype of every object of the page.
  // Nothing can be added to it from here on. Freezing it would keep objects from having a `toString` of their own.
  Object.preventExtensions(Object.prototype);

  const last = (name) => new URLSearchParams(location.search).getAll(name).at(-1);
  const asked = last("theme");
  const dark = asked === "dark" || (asked !== "light" && matchMedia("(prefers-color-scheme: dark)").matches);
  if (last("embed") === "1") document.documentElement.dataset.embed = "";
  document.documentElement.dataset.theme = dark ? "dark" : "light";
}
