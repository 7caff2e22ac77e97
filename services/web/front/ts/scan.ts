// Check-in without waiting for pages: codes come from the camera, from a scanner that types, or from fingers.
import { Camera, detector, type Detect } from './camera';
import { LastScans, type CheckIn } from './scans';
import { allowSound, signal } from './signals';

const DOOR = 'docket.door';
// A pass that stays in front of the camera is one scan. It counts again after it was out of sight for so long.
const OUT_OF_SIGHT = 3000;

function element<T extends Element>(selector: string): T {
  const found = document.querySelector<T>(selector);
  if (!found) throw new Error(`the page lacks ${selector}`);
  return found;
}

const form = element<HTMLFormElement>('#check-in');
const code = element<HTMLInputElement>('#check-in [name="code"]');
const door = element<HTMLInputElement>('#check-in [name="place"]');
const result = element<HTMLElement>('#result');
const here = location.pathname;
const scans = new LastScans(element('#scans'), element('#scan'), here, (scan) => void undo(scan));
let busy = false;

// A scan has a key, the same until its verdict is there: sent again after an answer that was lost, it is the same scan.
let [scanned, key] = ['', ''];

function keyOf(...scan: string[]): string {
  const named = JSON.stringify(scan);
  if (named !== scanned) {
    const bytes = crypto.getRandomValues(new Uint8Array(16));
    [scanned, key] = [named, Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')];
  }
  return key;
}

/** Sends what a form would, and shows the verdict; answers that verdict if there is one. */
async function send(path: string, fields: Record<string, string>): Promise<HTMLElement | undefined> {
  if (busy) return undefined;
  busy = true;
  form.setAttribute('aria-busy', 'true');
  try {
    const body = new URLSearchParams({ ...fields, key: keyOf(path, ...Object.values(fields)) });
    const answer = await fetch(path, { method: 'POST', body, headers: { 'hx-request': 'true' } });
    if (!answer.redirected) return show(await answer.text());
    location.assign(`/signin?next=${encodeURIComponent(here)}`);
  } catch {
    return show('');
  } finally {
    busy = false;
    form.removeAttribute('aria-busy');
  }
  return undefined;
}

async function check(): Promise<void> {
  const verdict = await send(here, { code: code.value, place: door.value });
  if (!verdict) return;
  code.value = '';
  scans.add(verdict, checkInOf(verdict.querySelector('form')));
}

async function undo(checkIn: CheckIn): Promise<void> {
  const verdict = await send(`${here}/undo`, { order: checkIn.order, pass: checkIn.pass, at: checkIn.at });
  if (verdict?.dataset.verdict === 'undone') scans.undone(checkIn);
}

/** The check-in that a verdict offers to undo. */
function checkInOf(offer: HTMLFormElement | null): CheckIn | undefined {
  if (!offer) return undefined;
  const field = (name: string) => new FormData(offer).get(name)?.toString() ?? '';
  return { order: field('order'), pass: field('pass'), at: field('at') };
}

// An answer without a verdict says nothing of the pass: the page has words of its own for that, and keeps the code.
function show(html: string): HTMLElement | undefined {
  const told = new DOMParser().parseFromString(html, 'text/html').querySelector<HTMLElement>('[data-verdict]');
  const verdict = told ?? element<HTMLTemplateElement>('#unchecked').content.firstElementChild?.cloneNode(true);
  if (!(verdict instanceof HTMLElement)) return undefined;
  result.replaceChildren(verdict);
  verdict.focus();
  signal(verdict.dataset.verdict !== 'no' && verdict.dataset.verdict !== 'unknown');
  if (!told) return undefined;
  scanned = '';
  return verdict;
}

// Whoever types or scans without having chosen a field means the next code.
document.addEventListener('keydown', (event) => {
  const elsewhere = event.target !== document.body && !(event.target instanceof HTMLElement && event.target.dataset.verdict);
  if (event.key.length === 1 && event.key !== ' ' && !elsewhere && !event.ctrlKey && !event.metaKey && !event.altKey) code.focus();
});

form.addEventListener('submit', (event) => {
  event.preventDefault();
  void check();
});

// Browsers allow no sound before somebody has touched the page.
document.addEventListener('pointerdown', allowSound);
document.addEventListener('keydown', allowSound);

result.addEventListener('submit', (event) => {
  const checkIn = event.target instanceof HTMLFormElement ? checkInOf(event.target) : undefined;
  if (!checkIn) return;
  event.preventDefault();
  void undo(checkIn);
});

door.value ||= remembered();
door.addEventListener('change', () => {
  try {
    localStorage.setItem(DOOR, door.value);
  } catch {
    // A browser that keeps nothing asks for the door each time.
  }
});

function remembered(): string {
  try {
    return localStorage.getItem(DOOR) ?? '';
  } catch {
    return '';
  }
}

useCamera();

function useCamera(): void {
  const state = element<HTMLElement>('#camera-state');
  const toggle = element<HTMLButtonElement>('#camera-switch');
  const torch = element<HTMLButtonElement>('#torch');
  element<HTMLElement>('#camera').hidden = false;
  if (!navigator.mediaDevices) {
    state.textContent = 'The camera works only at an address with https. Type the code, or use a scanner that types.';
    toggle.hidden = true;
    return;
  }
  const camera = new Camera(element<HTMLVideoElement>('#view'), once(found));
  let detect: Detect | undefined;

  const rest = () => {
    camera.stop();
    toggle.textContent = 'Start the camera';
    torch.hidden = true;
    torch.setAttribute('aria-pressed', 'false');
  };
  const begin = async () => {
    toggle.disabled = true;
    try {
      detect ??= await detector(form.dataset.decoder);
      await camera.start(detect);
      toggle.textContent = 'Stop the camera';
      torch.hidden = !camera.hasLight;
      state.textContent = 'Hold a pass in front of the camera, and it is checked in at once.';
    } catch (error) {
      rest();
      state.textContent = reason(error);
    } finally {
      toggle.disabled = false;
    }
  };

  toggle.addEventListener('click', () => {
    if (!camera.runs) return void begin();
    rest();
    state.textContent = 'The camera is off.';
  });
  torch.addEventListener('click', async () => {
    const on = torch.getAttribute('aria-pressed') !== 'true';
    await camera.light(on);
    torch.setAttribute('aria-pressed', String(on));
  });
  addEventListener('pagehide', rest);
  addEventListener('pageshow', (event) => {
    if (event.persisted) void begin();
  });
  void begin();
}

function found(text: string): boolean {
  if (busy) return false;
  code.value = text;
  void check();
  return true;
}

// Passes each code on once while it is in sight; one that could not be taken comes again.
function once(take: (code: string) => boolean): (code: string) => void {
  let [last, seen] = ['', 0];
  return (code) => {
    const now = Date.now();
    const same = code === last && now - seen < OUT_OF_SIGHT;
    if (same) seen = now;
    else if (take(code)) [last, seen] = [code, now];
  };
}

function reason(error: unknown): string {
  const name = error instanceof DOMException ? error.name : '';
  if (name === 'NotAllowedError') {
    return 'The browser does not allow the camera here. Allow it for this page in the browser’s settings, then start it.';
  }
  if (name === 'NotFoundError') return 'This device has no camera. Type the code, or use a scanner that types.';
  return 'The camera could not be started. Try again, or type the code.';
}
