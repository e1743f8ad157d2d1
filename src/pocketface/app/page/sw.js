// Keeps the page for use without a network. What changes under one name is asked for first and kept for when
// nobody answers; everything else has its content in its name (or belongs to a version of the page) and is
// taken from the cache once it is there. src/pocketface/app/site.py fills in the version and the list of files.
const CACHE = "pocketface-__VERSION__";
const BUNDLE = "pocketface-bundle";
const FILES = "__FILES__";
const PATIENCE = 4000; // milliseconds

self.addEventListener("install", (event) => {
  event.waitUntil(
    caches
      .open(CACHE)
      .then((cache) => cache.addAll(FILES.map((file) => new Request(file, { cache: "reload" }))))
      .then(() => self.skipWaiting()),
  );
});

self.addEventListener("activate", (event) => {
  const old = (name) => name.startsWith("pocketface-") && name !== CACHE && name !== BUNDLE;
  event.waitUntil(
    caches
      .keys()
      .then((names) => Promise.all(names.filter(old).map((name) => caches.delete(name))))
      .then(() => self.clients.claim()),
  );
});

self.addEventListener("fetch", (event) => {
  const { request } = event;
  const url = new URL(request.url);
  if (request.method !== "GET" || url.origin !== self.location.origin) return;
  const page = /\/(index\.html)?$/.test(url.pathname);
  const changes = page || url.pathname.endsWith("/bundle/index.json");
  event.respondWith(changes ? networkFirst(request, url, page ? "./" : request) : cacheFirst(request, url));
});

const cacheOf = (url) => caches.open(url.pathname.includes("/bundle/") ? BUNDLE : CACHE);

async function networkFirst(request, url, key) {
  const cache = await cacheOf(url);
  try {
    const answer = await fetch(request, { signal: AbortSignal.timeout(PATIENCE) });
    if (answer.ok) await cache.put(key, answer.clone());
    return answer;
  } catch (error) {
    const kept = await cache.match(key);
    if (kept) return kept;
    throw error;
  }
}

async function cacheFirst(request, url) {
  const cache = await cacheOf(url);
  const kept = await cache.match(request);
  if (kept) return kept;
  const answer = await fetch(request);
  if (answer.ok) await cache.put(request, answer.clone());
  return answer;
}
