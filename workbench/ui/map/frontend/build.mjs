// Builds ../build/map.js and the licences of what is inside it: `npm ci && npm run build`.

import { build } from "esbuild";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";

await build({
  entryPoints: ["src/map.js"],
  outfile: "../build/map.js",
  bundle: true,
  minify: true,
  format: "esm",
  legalComments: "none",
  loader: { ".css": "text" },
  alias: { regl: "regl/dist/regl.unchecked.js" },
  banner: { js: "// Built by `npm run build` in ../frontend; licences: LICENSES.txt." },
});

// All that is installed but the bundler: the library's own file holds its dependencies already.
const { packages: locked } = JSON.parse(readFileSync("package-lock.json", "utf8"));
const packages = Object.keys(locked)
  .filter((path) => path && !path.includes("esbuild"))
  .map((path) => path.replace("node_modules/", ""));
const licences = [...packages].sort().map((name) => {
  const file = readdirSync(`node_modules/${name}`).find((entry) => /^licen[cs]e/i.test(entry));
  if (!file) throw new Error(`${name} has no licence file`);
  return `${name}\n\n${readFileSync(`node_modules/${name}/${file}`, "utf8").trim()}\n`;
});
writeFileSync("../build/LICENSES.txt", licences.join(`\n${"-".repeat(72)}\n\n`));
