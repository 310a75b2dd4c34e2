// Beside the figures of score and cost stands the trial that was clicked last; at first the best one of the front.
"use strict";
{
  const panel = document.getElementById("pareto-panel");
  const show = async (place) => {
    panel.replaceChildren(...report.card(await report.trials(), place));
    panel.scrollTop = 0;
  };
  document.querySelectorAll("#pareto .figure").forEach((figure) => figure.addEventListener("trial", (event) => {
    event.preventDefault();
    show(event.detail);
  }));
  show(Number(panel.dataset.start));
}
