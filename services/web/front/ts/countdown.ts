// <time data-deadline data-now>: counts down by the server's clock, whatever the visitor's one shows.

const offsets = new WeakMap<Element, number>();

function offsetOf(time: HTMLTimeElement): number {
  let offset = offsets.get(time);
  if (offset === undefined) {
    offset = Date.parse(time.dataset.now ?? '') - Date.now();
    if (Number.isNaN(offset)) offset = 0;
    offsets.set(time, offset);
  }
  return offset;
}

function left(time: HTMLTimeElement): number {
  const deadline = Date.parse(time.dataset.deadline ?? '');
  return Math.max(0, Math.ceil((deadline - Date.now() - offsetOf(time)) / 1000));
}

function show(time: HTMLTimeElement): void {
  const seconds = left(time);
  const text = `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')}`;
  if (time.textContent !== text) time.textContent = text;
  time.parentElement?.classList.toggle('late', seconds < 60);
}

export function startCountdowns(): void {
  const all = () => document.querySelectorAll<HTMLTimeElement>('time[data-deadline]').forEach(show);
  all();
  setInterval(all, 250);
  document.addEventListener('htmx:after:swap', all);
}
