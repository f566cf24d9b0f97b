// A code block that is wider than the page scrolls; so the keyboard must reach it.
function reachable() {
  for (const block of document.querySelectorAll(".highlight pre, .cell_output")) {
    if (block.scrollWidth > block.clientWidth) block.tabIndex = 0;
    else block.removeAttribute("tabindex");
  }
}
addEventListener("DOMContentLoaded", reachable);
addEventListener("resize", reachable);
