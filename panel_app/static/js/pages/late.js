// @ts-check
// Bokeh and Panel are two megabytes of script that only the connection for later figures needs: they run after the first paint.

/**
 * Run the scripts of a template one after the other, as they would have run in the page.
 * @param {HTMLTemplateElement} template
 */
export async function runLate(template) {
  await painted();
  for (const one of [...template.content.children]) {
    if (!(one instanceof HTMLScriptElement)) {
      document.body.append(one);
      continue;
    }
    // A script from a template does not run; a new copy of it does.
    const script = document.createElement("script");
    for (const { name, value } of one.attributes) script.setAttribute(name, value);
    script.textContent = one.textContent;
    script.async = false;
    const done = script.src
      ? new Promise((resolve, reject) => Object.assign(script, { onload: resolve, onerror: reject }))
      : null;
    document.body.append(script);
    await done;
  }
}

const painted = () => new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve, 0)));
