// Chromium's end of the harness: one JSON command a line in, one JSON answer a line out.
import fs from "node:fs";
import { createRequire } from "node:module";
import os from "node:os";
import path from "node:path";
import readline from "node:readline";

const require = createRequire(process.env.OIDCOP_TEST_NODE_MODULES + "/");
const { chromium } = require("playwright-core");

const told = JSON.parse(process.argv[2]);
const program = {
  executablePath: "/usr/bin/chromium",
  args: [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    // Every name is this machine: relying parties can live on a site of their own.
    "--host-resolver-rules=MAP * 127.0.0.1",
    // Exactly these keys are trusted, instead of none or all.
    `--ignore-certificate-errors-spki-list=${told.trust.join(",")}`,
  ],
};
const browser = await chromium.launch(program);
const contexts = new Map();
const directories = [];

// Whether frames of other sites see their cookies is a preference of a whole user directory.
async function withThirdPartyCookies(allowed, options) {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), "oidcop-chromium-"));
  directories.push(directory);
  fs.mkdirSync(path.join(directory, "Default"));
  const profile = { block_third_party_cookies: !allowed, cookie_controls_mode: allowed ? 0 : 1 };
  fs.writeFileSync(path.join(directory, "Default/Preferences"), JSON.stringify({ profile }));
  return chromium.launchPersistentContext(directory, { ...program, ...options });
}
process.on("exit", () => directories.forEach((each) => fs.rmSync(each, { recursive: true, force: true })));

// A browser profile of its own per name, with its one page; what the page complains of is kept.
async function profile(name, { thirdPartyCookies, ...options } = {}) {
  if (!contexts.has(name)) {
    const context =
      thirdPartyCookies === undefined
        ? await browser.newContext(options)
        : await withThirdPartyCookies(thirdPartyCookies, options);
    const page = await context.newPage();
    const complaints = [];
    page.on("console", (message) => message.type() === "error" && complaints.push(message.text()));
    page.on("pageerror", (error) => complaints.push(String(error)));
    contexts.set(name, { context, page, complaints });
  }
  return contexts.get(name);
}

const verbs = {
  async open({ url, options }, { page }) {
    await page.goto(url, { waitUntil: "load" });
  },
  // Opens a page that goes on by itself, and waits until the browser is at an address that begins with `at`.
  async arrive({ url, at }, { page }) {
    await page.goto(url, { waitUntil: "commit" });
    await page.waitForURL((now) => now.href.startsWith(at), { waitUntil: "load" });
  },
  // Starts for a page that may never be there.
  async depart({ url }, { page }) {
    await page.goto(url, { waitUntil: "commit" });
  },
  async fill({ id, value }, { page }) {
    await page.locator(`#${id}`).fill(value);
  },
  async click({ id }, { page }) {
    // Waits for the document that the click brings, through every redirect.
    await Promise.all([page.waitForNavigation({ waitUntil: "load" }), page.locator(`#${id}`).click()]);
  },
  async press({ key }, { page }) {
    await Promise.all([page.waitForNavigation({ waitUntil: "load" }), page.keyboard.press(key)]);
  },
  async reload(_, { page }) {
    await page.reload({ waitUntil: "load" });
  },
  async back(_, { page }) {
    await page.goBack({ waitUntil: "load" });
  },
  async screenshot({ path }, { page }) {
    await page.screenshot({ path, fullPage: true });
  },
  async evaluate({ script }, { page }) {
    return { value: await page.evaluate(script) };
  },
  async look() {},
};

async function seen({ page, complaints }) {
  const ids = await page.evaluate(() => Array.from(document.querySelectorAll("[id]"), (element) => element.id));
  const text = await page.evaluate(() => document.body?.innerText ?? "");
  return { url: page.url(), ids, text, lang: await page.evaluate(() => document.documentElement.lang), complaints };
}

const say = (message) => process.stdout.write(JSON.stringify(message) + "\n");
say({ ready: true });
for await (const line of readline.createInterface({ input: process.stdin })) {
  const command = JSON.parse(line);
  try {
    const at = await profile(command.profile ?? "main", command.options);
    at.page.setDefaultTimeout(30_000);
    const result = await verbs[command.verb](command, at);
    say({ ...(await seen(at)), ...result });
  } catch (error) {
    say({ failed: `${command.verb}: ${error}` });
  }
}
await browser.close();
