// Written by hand in the form that JupyterLab loads, so that nobody needs Node to build it.

// JupyterLab draws a PNG without its alternative text; nbconvert takes it from the output's metadata, and so does this.
(() => {
  let shared;
  const load = async (name) => (await Object.values(shared[name])[0].get())();
  const create = ({ RenderedImage }) =>
    class extends RenderedImage {
      async render(model) {
        await super.render(model);
        this.node.querySelector("img").alt = model.metadata[this.mimeType]?.alt ?? "";
      }
    };
  const get = async () => {
    const Picture = create(await load("@jupyterlab/rendermime"));
    const rendererFactory = {
      safe: true,
      mimeTypes: ["image/png"],
      createRenderer: (options) => new Picture(options),
    };
    const extension = { id: "orderkit:pictures", rendererFactory, rank: 90, dataType: "string" }; // JupyterLab's own rank
    return () => ({ __esModule: true, default: extension });
  };
  window._JUPYTERLAB ??= {};
  window._JUPYTERLAB.orderkit = { init: (scope) => (shared = scope), get };
})();

// A click on a button makes its cell the active one, and the next Shift+Enter would run the question once more instead
// of the cell below it. Kept from the notebook, and from the focus, the click only presses the button.
document.addEventListener(
  "mousedown",
  (event) => {
    if (event.target.closest?.(".orderkit-prediction")) {
      event.preventDefault();
      event.stopPropagation();
    }
  },
  true,
);
