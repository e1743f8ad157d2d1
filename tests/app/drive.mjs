// Drives the page in Chromium and prints what it did as JSON: node drive.mjs '{"url": ..., "steps": [...]}'
// A step is [name, argument]; its result stands at the same place of `results`.
import { createRequire } from "node:module";

const [plan] = process.argv.slice(2).map((text) => JSON.parse(text));
const require = createRequire(new URL("../../app/package.json", import.meta.url));
const { chromium } = require("playwright-core");

const context = await chromium.launchPersistentContext(plan.profile, {
  executablePath: plan.chromium,
  viewport: { width: 390, height: 844 },
  args: [
    "--no-sandbox",
    "--use-fake-device-for-media-stream",
    ...(plan.arguments ?? []),
    ...(plan.video ? [`--use-file-for-fake-video-capture=${plan.video}`] : []),
  ],
});
context.setDefaultTimeout(plan.patience ?? 60_000);
const page = context.pages()[0];
const errors = [];
const requests = new Set();
page.on("console", (message) => message.type() === "error" && errors.push(message.text()));
page.on("pageerror", (error) => errors.push(String(error)));
context.on("request", (request) => requests.add(new URL(request.url()).origin));

/** Waits until the page is done with what was asked. */
const settled = () =>
  page.waitForFunction(() => {
    const status = document.getElementById("status");
    return status.className !== "busy" && status.textContent !== "";
  });

const steps = {
  open: async () => {
    await page.goto(plan.url);
    await page.waitForSelector("html[data-ready]");
    await page.waitForSelector("html[data-kept]"); // all that a start without a network needs
  },
  picture: async (file) => {
    await page.evaluate(() => (document.getElementById("status").textContent = ""));
    await page.setInputFiles("#file", file);
    await settled();
    return look();
  },
  choose: async ([model, level]) => {
    await page.selectOption(`#level-${model}`, level);
    await page.waitForFunction(
      ([model, level]) => document.querySelector(`[data-model="${model}"]`)?.dataset.level === level,
      [model, level],
    );
    await settled();
    return look();
  },
  engine: async (engine) => {
    await page.evaluate(() => (document.getElementById("status").textContent = ""));
    await page.selectOption("#engine", engine);
    await settled();
    return look();
  },
  allow: () => context.grantPermissions(["camera"]),
  deny: () => context.clearPermissions(),
  camera: async () => {
    await page.click("#camera");
    await page.waitForFunction(() => document.querySelector("#boxes .box") || document.querySelector("#status.trouble"));
    return look();
  },
  shoot: async () => {
    await page.click("#shoot");
    await page.waitForFunction(() => !document.getElementById("picture").hidden);
    await settled();
    return look();
  },
  compare: async () => {
    await page.click("#compare");
    await page.waitForFunction(() => /compared/.test(document.getElementById("status").textContent), null, {
      timeout: 300_000,
    });
    return page.$$eval("#table tr[data-variant]", (rows) =>
      rows.map((row) => ({ ...row.dataset, cells: [...row.cells].map((cell) => cell.textContent) })),
    );
  },
  size: ([width, height]) => page.setViewportSize({ width, height }),
  scheme: (colorScheme) => page.emulateMedia({ colorScheme }),
  shot: (path) => page.screenshot({ path, fullPage: true }).then(() => path),
  evaluate: (source) => page.evaluate(source),
};

/** What the page shows. */
const look = () =>
  page.evaluate(() => ({
    status: document.getElementById("status").textContent,
    trouble: document.getElementById("status").className === "trouble",
    sideways: document.documentElement.scrollWidth - document.documentElement.clientWidth,
    boxes: [...document.querySelectorAll("#boxes .box")].map((box) => JSON.parse(box.dataset.box)),
    faces: [...document.querySelectorAll("#faces article")].map((card) =>
      [...card.querySelectorAll(".opinion")].map((opinion) => {
        const seen = opinion.querySelector("canvas");
        const { data, width } = seen.getContext("2d").getImageData(0, 0, seen.width, seen.height);
        const answers = [...opinion.querySelectorAll("[data-head]")].map((block) => [
          block.dataset.head,
          block.querySelector("data")
            ? Number(block.querySelector("data").value)
            : Object.fromEntries(
                [...block.querySelectorAll("li")].map((row) => [row.dataset.label, Number(row.dataset.probability)]),
              ),
        ]);
        return {
          ...opinion.dataset,
          answers: Object.fromEntries(answers),
          change: [...opinion.querySelectorAll(".change")].map((line) => line.textContent),
          seen: { width, data: btoa(String.fromCharCode(...data)) },
        };
      }),
    ),
  }));

try {
  const results = [];
  for (const [name, argument] of plan.steps) results.push((await steps[name](argument)) ?? null);
  console.log(JSON.stringify({ results, errors, origins: [...requests] }));
} finally {
  await context.close();
}
