// Lesson 1: the panels of the package's page "How it works".

import { Digits } from "./engine/static/digits.js";
import { openEngine } from "./lesson.js";

new Digits(await openEngine());
document.body.dataset.ready = "";
