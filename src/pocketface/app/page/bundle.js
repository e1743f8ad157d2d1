// The models, and how faces are cut for them: src/pocketface/app/site.py says what is in the bundle.
// A variant without a `file` cannot run here, for its `reason`.
const FOLDER = "bundle/";

export async function loadBundle() {
  return (await get("index.json")).json();
}

export async function loadFile(file) {
  return new Uint8Array(await (await get(file)).arrayBuffer());
}

/** Fetches what the page may be asked for later, so that it is there without a network. */
export async function keep(bundle) {
  for (const { file, card } of bundle.variants) {
    if (file) await Promise.all([get(file), get(card)]);
  }
}

export const address = (file) => FOLDER + file;

async function get(file) {
  const answer = await fetch(address(file));
  if (!answer.ok) throw new Error(`${file}: ${answer.status} ${answer.statusText}`);
  return answer;
}
