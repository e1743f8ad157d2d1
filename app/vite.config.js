// The page, the runtime's WASM files beside it, and a service worker that knows every file of the page.
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { defineConfig } from "vite";

const require = createRequire(import.meta.url);
const litert = join(dirname(require.resolve("@litertjs/core")), "..");
const { version } = JSON.parse(readFileSync(join(litert, "package.json"), "utf8"));
const RUNTIME = `litert-${version}/`;
const BUILDS = ["litert_wasm_internal", "litert_wasm_compat_internal", "litert_wasm_threaded_internal"];

/** Copies LiteRT's builds: with relaxed SIMD, without, and with threads. */
function runtime() {
  return {
    name: "pocketface-runtime",
    generateBundle() {
      for (const file of BUILDS.flatMap((build) => [`${build}.js`, `${build}.wasm`])) {
        this.emitFile({
          type: "asset",
          fileName: RUNTIME + file,
          source: readFileSync(join(litert, "wasm", file)),
        });
      }
    },
  };
}

/** Writes sw.js with the list of the page's files; another list, or other content, is another version. */
function serviceWorker() {
  return {
    name: "pocketface-service-worker",
    enforce: "post",
    generateBundle(_, bundle) {
      const fixed = ["manifest.webmanifest", "icon-192.png", "icon-512.png", "icon-maskable.png"];
      const files = [...Object.keys(bundle).filter((name) => !name.startsWith("litert-")), ...fixed];
      const template = readFileSync(new URL("src/sw.js", import.meta.url), "utf8");
      const hash = createHash("sha256").update(template).update(RUNTIME);
      for (const name of files) hash.update(bundle[name]?.code ?? bundle[name]?.source ?? name);
      const source = template
        .replace('"__FILES__"', JSON.stringify(["./", ...files.filter((name) => name !== "index.html")]))
        .replace("__VERSION__", hash.digest("hex").slice(0, 12));
      this.emitFile({ type: "asset", fileName: "sw.js", source });
    },
  };
}

export default defineConfig({
  base: "./",
  define: { RUNTIME: JSON.stringify(RUNTIME) },
  build: { target: "es2022", modulePreload: { polyfill: false }, chunkSizeWarningLimit: 1000 },
  plugins: [runtime(), serviceWorker()],
});
