// Check-in without waiting for pages: codes come from the camera, from a scanner that types, or from fingers.
import { Camera, detector, type Detect } from './camera';
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
let busy = false;

// A scan has a key, the same until its verdict is there: sent again after an answer that was lost, it is the same scan.
let [scanned, key] = ['', ''];

function keyOf(code: string, door: string): string {
  const scan = JSON.stringify([code, door]);
  if (scan !== scanned) {
    const bytes = crypto.getRandomValues(new Uint8Array(16));
    [scanned, key] = [scan, Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')];
  }
  return key;
}

async function ask(): Promise<void> {
  if (busy) return;
  busy = true;
  form.setAttribute('aria-busy', 'true');
  try {
    const body = new URLSearchParams({ code: code.value, place: door.value, key: keyOf(code.value, door.value) });
    const answer = await fetch('/check-in', { method: 'POST', body, headers: { 'hx-request': 'true' } });
    if (answer.redirected) location.assign('/signin?next=%2Fcheck-in');
    else show(await answer.text());
  } catch {
    show('');
  } finally {
    busy = false;
    form.removeAttribute('aria-busy');
  }
}

// An answer without a verdict says nothing of the pass: the page has words of its own for that, and keeps the code.
function show(html: string): void {
  const told = new DOMParser().parseFromString(html, 'text/html').querySelector<HTMLElement>('[data-verdict]');
  const verdict = told ?? element<HTMLTemplateElement>('#unchecked').content.firstElementChild?.cloneNode(true);
  if (!(verdict instanceof HTMLElement)) return;
  result.replaceChildren(verdict);
  verdict.focus();
  if (told) code.value = scanned = '';
  signal(verdict.dataset.verdict === 'yes');
}

// Whoever types or scans on with the verdict in focus means the next code.
result.addEventListener('keydown', (event) => {
  if (event.key.length === 1 && !event.ctrlKey && !event.metaKey && !event.altKey) code.focus();
});

form.addEventListener('submit', (event) => {
  event.preventDefault();
  allowSound();
  void ask();
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

if (navigator.mediaDevices) offerCamera();

function offerCamera(): void {
  const state = element<HTMLElement>('#camera-state');
  const toggle = element<HTMLButtonElement>('#camera-switch');
  const torch = element<HTMLButtonElement>('#torch');
  const camera = new Camera(element<HTMLVideoElement>('#view'), once(found));
  let detect: Detect | undefined;

  const rest = () => {
    camera.stop();
    toggle.textContent = 'Scan with the camera';
    torch.hidden = true;
    torch.setAttribute('aria-pressed', 'false');
  };
  const begin = async () => {
    detect ??= await detector(form.dataset.decoder);
    await camera.start(detect);
    toggle.textContent = 'Stop the camera';
    torch.hidden = !camera.hasLight;
  };

  toggle.addEventListener('click', async () => {
    allowSound();
    if (camera.runs) return rest();
    toggle.disabled = true;
    try {
      await begin();
      state.textContent = 'Scanning. Hold a pass in front of the camera.';
    } catch (error) {
      rest();
      state.textContent = reason(error);
    } finally {
      toggle.disabled = false;
    }
  });
  torch.addEventListener('click', async () => {
    const on = torch.getAttribute('aria-pressed') !== 'true';
    await camera.light(on);
    torch.setAttribute('aria-pressed', String(on));
  });
  addEventListener('pagehide', rest);
  element<HTMLElement>('#camera').hidden = false;
}

function found(text: string): boolean {
  if (busy) return false;
  code.value = text;
  void ask();
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
  if (name === 'NotAllowedError') return 'The browser does not allow the camera here. Allow it in the settings of this page.';
  if (name === 'NotFoundError') return 'This device has no camera. Type the code instead.';
  return 'The camera could not be started. Type the code instead.';
}
