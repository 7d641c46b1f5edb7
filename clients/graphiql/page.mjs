// Actions of a user on the page at /.
import assert from 'node:assert/strict';
import { password } from '../shared/server.mjs';

// Chromium logs every response with a status of 400 or above; other tests check how the page handles these. GraphiQL's
// dialogs lack a description.
const known = ['Failed to load resource', 'Warning: Missing `Description`'];

// open opens the page in a new profile, and collects its requests and the browser's complaints. script runs before the
// page's own scripts.
export async function open(browser, server, options, script) {
  const page = await browser.newPage({ viewport: { width: 1280, height: 800 }, ...options });
  page.setDefaultTimeout(20_000);
  if (script) await page.addInitScript(script);
  const requests = [];
  const complaints = [];
  page.on('request', (r) => { if (!r.url().startsWith('data:')) requests.push(r.url()); });
  page.on('pageerror', (error) => complaints.push(String(error)));
  page.on('console', (message) => {
    const text = message.text();
    if (['error', 'warning'].includes(message.type()) && !known.some((start) => text.startsWith(start))) complaints.push(text);
  });
  page.on('requestfailed', (r) => complaints.push(`${r.url()}: ${r.failure().errorText}`));
  await page.goto(`${server.url}/`);
  return { page, requests, complaints };
}

// fill fills in the panel's form and submits it.
export async function fill(page, button, name, secret) {
  await page.getByLabel('E-mail').fill(name);
  await page.getByLabel('Password').fill(secret);
  await page.locator('form').getByRole('button', { name: button }).click();
}

// press clicks the panel's last button with the name.
export const press = (page, name) => page.locator('.account').getByRole('button', { name, exact: true }).last().click();

// section opens or closes a section of the panel.
export const section = (page, title) => page.locator('summary', { hasText: title }).click();

// signUp registers an account by clicking and returns its address.
export async function signUp(page, email = `user-${crypto.randomUUID()}@example.com`) {
  await fill(page, 'Create account', email, password);
  await page.locator('.account-who', { hasText: email }).waitFor({ state: 'attached' }); // only visible on a phone
  return email;
}

// request waits for the next request of the operation.
export const request = (page, operation) => page.waitForRequest((r) => r.postData()?.includes(`"operationName":"${operation}"`));

// openTab opens the tab of an operation and waits until GraphiQL would run that operation: it reads the name from the
// editor's text with a delay.
export async function openTab(page, name) {
  await page.getByRole('tab', { name }).click();
  await page.waitForFunction(
    (wanted) => [...document.querySelectorAll('.graphiql-query-editor .CodeMirror')].some((e) => e.CodeMirror.operationName === wanted),
    name,
  );
}

// clear empties the response window.
export const clear = (page) => page.locator('.result-window .CodeMirror').evaluate((element) => element.CodeMirror.setValue(''));

// execute presses the button and waits for the response.
export async function execute(page) {
  await clear(page);
  await page.getByRole('button', { name: /^Execute query/ }).click();
  await page.waitForFunction(() => document.querySelector('.result-window .CodeMirror').CodeMirror.getValue() !== '');
}

// response returns the displayed response.
export const response = async (page) => JSON.parse(await result(page));

export const result = (page) => page.locator('.result-window .CodeMirror').evaluate((element) => element.CodeMirror.getValue());

// setEditor replaces the text of the editor in the section with the label.
export async function setEditor(page, label, text) {
  const editor = page.getByRole('region', { name: label }).locator('.CodeMirror:visible').first();
  await editor.evaluate((element, value) => element.CodeMirror.setValue(value), text);
}

// inView checks that the whole element is visible without scrolling.
export async function inView(locator) {
  const { box, width, height } = await locator.evaluate((element) => ({
    box: element.getBoundingClientRect().toJSON(), width: innerWidth, height: innerHeight,
  }));
  const seen = box.height > 0 && box.top >= 0 && box.left >= 0 && box.bottom <= height && box.right <= width;
  assert.ok(seen, `${locator} is at ${JSON.stringify(box)} in a window of ${width} by ${height}`);
}

// stored returns all data that the page has stored in the browser.
export async function stored(page) {
  const kept = await page.evaluate(() => JSON.stringify({ ...localStorage }) + JSON.stringify({ ...sessionStorage }) + document.cookie + window.location);
  assert.ok(kept.includes('graphiql:'), 'the page stored nothing');
  return kept + JSON.stringify(await page.context().cookies());
}
