// Run the package's widgets on this page. A widget needs no more of its host than a model with traits.
(() => {
  class Model {
    constructor(traits) {
      this.traits = traits;
      this.listeners = {};
    }
    get(name) {
      return this.traits[name];
    }
    set(name, value) {
      if (this.traits[name] === value) return;
      this.traits[name] = value;
      for (const listener of this.listeners[`change:${name}`] ?? []) listener();
    }
    on(event, listener) {
      (this.listeners[event] ??= new Set()).add(listener);
    }
    off(event, listener) {
      this.listeners[event]?.delete(listener);
    }
    save_changes() {}
    send() {
      throw new Error("this page has no kernel");
    }
  }

  // Blob addresses, for a page that was opened from a file may not import modules by path.
  const modules = {};
  const load = (kind) => {
    const [script] = window.delugeBundles[kind];
    modules[kind] ??= import(URL.createObjectURL(new Blob([script], { type: "text/javascript" })));
    return modules[kind];
  };

  const unpack = async (text) => {
    const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    return new DataView(await new Response(stream).arrayBuffer());
  };

  const show = async (place) => {
    const { widget, traits, bytes } = JSON.parse(place.querySelector("script").textContent);
    for (const [name, text] of Object.entries(bytes)) traits[name] = await unpack(text);
    const { default: definition } = await load(widget);
    // A shadow tree keeps the site's styles out of the widget.
    const tree = place.attachShadow({ mode: "open" });
    const style = document.createElement("style");
    style.textContent = window.delugeBundles[widget][1];
    const element = document.createElement("div");
    tree.append(style, element);
    if (place.previousElementSibling?.matches(".deluge-live-fallback")) place.previousElementSibling.hidden = true;
    definition.render({ model: new Model(traits), el: element });
    place.dataset.ready = "";
  };

  // The theme's switch, as widgets and static outputs read it.
  const { body } = document;
  const follow = () => {
    const { theme } = body.dataset;
    body.classList.toggle("dark", theme === "dark");
    body.classList.toggle("light", theme === "light");
  };
  follow();
  new MutationObserver(follow).observe(body, { attributeFilter: ["data-theme"] });

  for (const place of document.querySelectorAll(".deluge-live")) show(place);
})();
