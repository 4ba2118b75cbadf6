"use strict";
(() => {
  const charts = [...document.querySelectorAll("[data-spec]")];

  // Every view of a specification that has a width of its own.
  const resize = (view, width) => {
    if (typeof view.width === "number") view.width = width;
    for (const part of ["vconcat", "hconcat", "layer"]) {
      (view[part] || []).forEach((each) => resize(each, width));
    }
  };

  const embed = (chart, width) => {
    const spec = JSON.parse(document.getElementById(chart.dataset.spec).textContent);
    delete spec.title;
    resize(spec, width);
    const options = { actions: false, renderer: "svg", defaultStyle: false };
    return window.vegaEmbed(chart.firstElementChild, spec, options);
  };

  const draw = async (chart) => {
    // Less room for an axis and its title to begin with; what is still too wide is drawn once more.
    const room = Math.min(chart.clientWidth, 1060);
    let width = room - 76;
    let result = await embed(chart, width);
    const drawn = chart.querySelector("svg").getAttribute("width");
    if (drawn > room) {
      result.finalize();
      width = Math.max(120, width - (drawn - room));
      result = await embed(chart, width);
    }
    chart.finalize = () => result.finalize();
  };

  const drawAll = async () => {
    for (const chart of charts) {
      if (chart.finalize) chart.finalize();
      await draw(chart);
    }
    document.documentElement.dataset.drawn = "true";
  };

  let width = document.documentElement.clientWidth;
  let waiting;
  window.addEventListener("resize", () => {
    if (document.documentElement.clientWidth === width) return;
    width = document.documentElement.clientWidth;
    clearTimeout(waiting);
    waiting = setTimeout(drawAll, 200);
  });

  // What is folded on a screen is open on paper.
  const folded = new Set();
  window.addEventListener("beforeprint", () => {
    for (const each of document.querySelectorAll("details:not([open])")) {
      folded.add(each);
      each.open = true;
    }
  });
  window.addEventListener("afterprint", () => {
    folded.forEach((each) => (each.open = false));
    folded.clear();
  });

  drawAll();
})();
