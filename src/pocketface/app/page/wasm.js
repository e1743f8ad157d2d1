// Loads LiteRT's WASM; stands in for npm's @litertjs/wasm-utils, which cannot unpack what hosts do not compress.

const GZIP = 0x1f; // its first byte; that of WASM is 0

/** Runs the script of a build, and hands it the `.wasm.gz` beside it, unpacked. */
export async function createWasmLib(Library, script) {
  const packed = await fetch(script.replace(/js$/, "wasm.gz"));
  if (!packed.ok) throw new Error(`${packed.url}: ${packed.status} ${packed.statusText}`);
  const wasmBinary = await unpacked(await packed.arrayBuffer());
  await run(script);
  // LiteRT tells on stderr what it does; the console's error channel is for errors.
  const module = await self.ModuleFactory({ wasmBinary, printErr: (line) => console.debug(line) });
  self.ModuleFactory = undefined;
  return new Library(module);
}

/** Some hosts have the browser unpack what ends in .gz. */
function unpacked(bytes) {
  if (new Uint8Array(bytes)[0] !== GZIP) return bytes;
  return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).arrayBuffer();
}

function run(script) {
  return new Promise((loaded, failed) => {
    const element = Object.assign(document.createElement("script"), { src: script, onload: loaded, onerror: failed });
    document.body.append(element);
  });
}
