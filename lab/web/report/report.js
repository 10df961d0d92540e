// A report in a file of its own: what came of a run, as the page shows it.

import { showAnswer, showScenario } from "./answer.js";
import { results } from "./results.js";

const report = JSON.parse(document.getElementById("report").textContent);
document.title = `${report.name}: resilience lab`;
showScenario(report);
showAnswer(report, report.expects);
results().show(report);
