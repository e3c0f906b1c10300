// Opens reports in headless Chromium and prints what it saw as JSON. Called by tests/test_browser.py with one argument:
// a JSON file {chromium, pages: {name: {file, jenkins}}, charts: [names], axe: [names]}.
"use strict";
const fs = require("node:fs");
const { pathToFileURL } = require("node:url");
const { chromium } = require("playwright-core");
const axe = fs.readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");

const spec = JSON.parse(fs.readFileSync(process.argv[2], "utf8"));
const seen = {};

async function open(browser, name, options, visit) {
  const { address, ...context } = options;
  const place = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...context });
  const page = await place.newPage();
  const log = { requests: [], errors: [], dialogs: 0 };
  page.on("request", (r) => { if (!r.isNavigationRequest()) log.requests.push(r.url()); });
  page.on("pageerror", (e) => log.errors.push(e.message));
  page.on("console", (m) => { if (m.type() === "error") log.errors.push(m.text()); });
  page.on("dialog", (d) => { log.dialogs += 1; d.dismiss(); });
  await page.goto(address || pathToFileURL(spec.pages[name].file).href);
  const result = await visit(page, log);
  await place.close();
  return result;
}

async function violations(page) {
  await page.evaluate(axe);
  const found = await page.evaluate(() => axe.run(document, { resultTypes: ["violations"] }));
  return found.violations.map((v) => `${v.id}: ${v.nodes.length} x ${v.nodes[0].html.slice(0, 160)}`);
}

// Contrast of everything that charts say, against what lies behind it; axe does not judge text inside SVG.
function chartContrast() {
  const parse = (c) => (c.match(/[\d.]+/g) || []).map(Number);
  const light = (c) => {
    const [r, g, b] = parse(c).slice(0, 3).map((v) => v / 255).map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ratio = (a, b) => (Math.max(light(a), light(b)) + 0.05) / (Math.min(light(a), light(b)) + 0.05);
  const behind = (e) => {
    for (; e; e = e.parentElement) {
      const c = getComputedStyle(e).backgroundColor;
      const p = parse(c);
      if (p.length === 3 || (p.length === 4 && p[3] > 0)) return c;
    }
    return "rgb(255,255,255)";
  };
  let text = 99;
  let line = 99;
  for (const svg of document.querySelectorAll("svg.ch")) {
    const back = behind(svg.parentElement);
    for (const t of svg.querySelectorAll("text")) text = Math.min(text, ratio(getComputedStyle(t).fill, back));
    for (const l of svg.querySelectorAll("g[transform] > path[class^=c]")) {
      const style = getComputedStyle(l);
      if (style.strokeOpacity === "1") line = Math.min(line, ratio(style.stroke, back));
    }
  }
  return { text, line };
}

function whatIsThere() {
  const shown = (e) => e.getClientRects().length > 0;
  const charts = [...document.querySelectorAll("svg.ch")].filter(shown);
  return {
    text: document.querySelector("main").innerText,
    charts: charts.length,
    drawn: charts.filter((c) => [...c.querySelectorAll("path")].some((p) => p.getBBox().width > 20)).length,
    coloured: charts.every((c) => [...c.querySelectorAll("g[transform] > path")].every((p) => getComputedStyle(p).stroke !== "none" || p.getAttribute("fill") !== "none")),
    controls: [...document.querySelectorAll("button, input")].filter(shown).length,
    scripts: document.scripts.length,
    articles: document.querySelectorAll("article").length,
  };
}

async function interact(page) {
  const out = {};
  const chart = page.locator(".card .w svg[data-c]").first();
  await chart.scrollIntoViewIfNeeded();
  const box = await chart.boundingBox();
  out.hover = [];
  for (const share of [0.12, 0.3, 0.5, 0.7]) {
    const x = box.x + box.width * share;
    await page.mouse.move(x, box.y + box.height / 2);
    await page.waitForFunction(() => document.getElementById("tip") && !document.getElementById("tip").hidden);
    out.hover.push(await page.evaluate(([px]) => {
      const svg = document.querySelector(".card .w svg[data-c]");
      const r = svg.getBoundingClientRect();
      const X = svg.dataset.x.split(" ").map(Number);
      const at = ((px - r.left) * svg.viewBox.baseVal.width) / r.width;
      return { want: X[0] + ((at - X[2]) / (X[3] - X[2])) * (X[1] - X[0]), keys: svg.dataset.c, tip: document.getElementById("tip").textContent };
    }, [x]));
  }
  await page.mouse.move(2, 2);
  await page.waitForFunction(() => document.getElementById("tip").hidden);
  // keyboard: a chart of a finding takes focus and arrows walk over its points
  await chart.focus();
  await page.keyboard.press("ArrowRight");
  await page.waitForFunction(() => !document.getElementById("tip").hidden);
  const first = await page.getAttribute("#tip", "data-step");
  await page.keyboard.press("ArrowRight");
  await page.waitForFunction((f) => document.getElementById("tip").dataset.step !== f, first);
  out.arrows = [Number(first), Number(await page.getAttribute("#tip", "data-step"))];
  await page.keyboard.press("Escape");
  out.escaped = await page.evaluate(() => document.getElementById("tip").hidden);
  // filter
  await page.keyboard.press("/");
  out.filterFocused = await page.evaluate(() => document.activeElement.id === "filter");
  await page.keyboard.type("accuracy/val");
  out.filtered = await page.evaluate(() => [...document.querySelectorAll("figure.small")].filter((e) => e.getClientRects().length > 0).length);
  await page.keyboard.press("Escape");
  out.unfiltered = await page.evaluate(() => [...document.querySelectorAll("figure.small")].filter((e) => e.getClientRects().length > 0).length);
  // copying the note gives six lines
  await page.context().grantPermissions(["clipboard-read", "clipboard-write"]);
  await page.locator("[data-copy$=-note]").first().click();
  out.copied = await page.evaluate(() => navigator.clipboard.readText());
  // theme
  const paper = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  const before = await paper();
  await page.locator("#theme").click();
  out.themed = before !== (await paper());
  // a link to a folded consequence opens it
  const hidden = await page.evaluate(() => document.querySelector(".sub").id);
  await page.evaluate((id) => { location.hash = id; }, hidden);
  await page.waitForFunction((id) => document.getElementById(id).getClientRects().length > 0, hidden);
  out.revealed = true;
  // everything that can be operated is reached by Tab and shows where the focus is
  await page.goto(page.url().split("#")[0]);
  await page.reload();
  out.tabbed = [];
  for (let k = 0; k < 14; k += 1) {
    await page.keyboard.press("Tab");
    out.tabbed.push(await page.evaluate(() => {
      const e = document.activeElement;
      return { what: e.className.baseVal || e.className || e.id || e.textContent.trim().slice(0, 20), outline: getComputedStyle(e).outlineStyle };
    }));
  }
  return out;
}

(async () => {
  const browser = await chromium.launch({ executablePath: spec.chromium, args: ["--no-sandbox", "--disable-gpu"] });
  for (const name of Object.keys(spec.pages)) {
    const got = (seen[name] = {});
    got.light = await open(browser, name, { bypassCSP: false }, async (page, log) => {
      const there = await page.evaluate(whatIsThere);
      const widths = {};
      for (const width of [360, 600, 768, 1024, 1280, 1920]) {
        await page.setViewportSize({ width, height: 800 });
        widths[width] = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
      }
      await page.setViewportSize({ width: 1280, height: 900 });
      return { ...there, ...log, widths, contrast: await page.evaluate(chartContrast) };
    });
    got.plain = await open(browser, name, { javaScriptEnabled: false }, async (page, log) => ({ ...(await page.evaluate(whatIsThere)), ...log }));
    if (spec.pages[name].jenkins) {
      got.jenkins = await open(browser, name, { address: spec.pages[name].jenkins }, async (page) => page.evaluate(whatIsThere));
      got.print = await open(browser, name, { javaScriptEnabled: false }, async (page) => {
        const pdf = await page.pdf({ format: "A4", printBackground: true });
        await page.emulateMedia({ media: "print" });
        return { ...(await page.evaluate(whatIsThere)), pdf: pdf.subarray(0, 5).toString(), bytes: pdf.length };
      });
    }
    if (spec.axe.includes(name)) {
      got.axe = {};
      for (const [mode, options] of Object.entries({ light: {}, dark: { colorScheme: "dark" }, narrow: { viewport: { width: 360, height: 800 } } })) {
        got.axe[mode] = await open(browser, name, { bypassCSP: true, ...options }, async (page) => violations(page));
      }
      got.dark = await open(browser, name, { colorScheme: "dark" }, async (page) => ({ contrast: await page.evaluate(chartContrast), paper: await page.evaluate(() => getComputedStyle(document.body).backgroundColor) }));
    }
    if (spec.charts.includes(name)) got.use = await open(browser, name, {}, interact);
  }
  await browser.close();
  process.stdout.write(JSON.stringify(seen));
})().catch((error) => {
  process.stderr.write(`${error.stack}\n`);
  process.exit(1);
});
