// Owns what every report's page has: its data, and finding its elements.
"use strict";

const page = JSON.parse(document.getElementById("data").textContent);
const find = (id) => document.getElementById(id);
const counted = (number) => number.toLocaleString("en");
