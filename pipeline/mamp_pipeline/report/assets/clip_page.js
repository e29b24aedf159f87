// The page of a single clip.
"use strict";

const page = JSON.parse(document.getElementById("data").textContent);
const viewer = createViewer(document.getElementById("viewer"), page.skeleton, true);
viewer.show(page.clip);
