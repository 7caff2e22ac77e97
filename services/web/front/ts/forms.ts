// A form is sent once: its buttons rest until the next page is there, also when news come meanwhile, and wake when one comes
// back to this page.

export function sendOnce(): void {
  const sent = new Set<HTMLFormElement>();
  document.addEventListener('submit', (event) => {
    const form = event.target;
    // By its attribute: a field that is called "method" takes the place of the form's own property.
    if (!(form instanceof HTMLFormElement) || form.getAttribute('method') !== 'post' || event.defaultPrevented) return;
    sent.add(form);
    // After the event, so that the value of the button pressed still goes with the form.
    setTimeout(() => setButtons(form, true));
  });
  document.addEventListener('htmx:after:swap', () => sent.forEach((form) => setButtons(form, true)));
  addEventListener('pageshow', () => {
    sent.clear();
    document.querySelectorAll('form').forEach((form) => setButtons(form, false));
  });
}

function setButtons(form: HTMLFormElement, resting: boolean): void {
  form.querySelectorAll<HTMLButtonElement>('button').forEach((button) => (button.disabled = resting));
}

// A time zone that was guessed by the server is the visitor's own, if it is one of those that can be chosen.
export function guessZone(): void {
  const field = document.querySelector<HTMLInputElement>('input[data-own-zone]');
  const own = Intl.DateTimeFormat().resolvedOptions().timeZone;
  if (field && [...(field.list?.options ?? [])].some((option) => option.value === own)) field.value = own;
}
