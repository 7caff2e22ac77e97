// Stripe's Payment Element: the card is typed into Stripe's own frame, and never comes near this page.
//
// The form stays what it is while the page around it changes (hx-morph-skip). While a payment is on its way, also in the dialogue
// of 3-D Secure, the form is busy, and the page holds back what is new (live.ts). It is no <form>, so nothing is ever sent but by
// this script.
import type { Stripe, StripeConstructor, StripeElements, StripeError } from '@stripe/stripe-js';
import { isBusy, letGo } from './busy';

declare global {
  interface Window {
    Stripe?: StripeConstructor;
  }
}

interface Card {
  stripe: Stripe;
  elements: StripeElements;
}

const cards = new WeakMap<HTMLElement, Card>();
let loading: Promise<StripeConstructor> | undefined;

beginAll();
// The form may come later, as when the bank's page has led to nothing.
document.addEventListener('htmx:after:swap', beginAll);
document.addEventListener('click', ({ target }) => {
  const form = target instanceof Element ? target.closest('button')?.closest<HTMLElement>('#card-form') : null;
  if (form) void (cards.has(form) ? press(form) : begin(form));
});
// A page out of the browser's memory shows what was under way when it was left.
addEventListener('pageshow', ({ persisted }) => {
  if (persisted) location.reload();
});

function beginAll(): void {
  document.querySelectorAll<HTMLElement>('#card-form:not([data-begun])').forEach((form) => void begin(form));
}

/** Puts the card's fields into the form. If that fails, its button tries again. */
async function begin(form: HTMLElement): Promise<void> {
  form.dataset.begun = '';
  tell(form, '');
  rest(form, true);
  try {
    const [constructor, secret] = await Promise.all([load(), clientSecret(form)]);
    const stripe = constructor(form.dataset.key ?? '');
    const elements = stripe.elements({ clientSecret: secret, appearance: { theme: isDark() ? 'night' : 'stripe' } });
    const card = elements.create('payment');
    card.on('ready', () => rest(form, false));
    card.on('loaderror', ({ error }) => {
      cards.delete(form);
      tell(form, error.message ?? 'The card form could not be loaded.');
      rest(form, false);
    });
    cards.set(form, { stripe, elements });
    card.mount(part(form, '#card'));
  } catch (error) {
    tell(form, error instanceof Error ? error.message : String(error));
    rest(form, false);
  }
}

// Stripe asks that its script is loaded from its own host, so that it is always the newest.
function load(): Promise<StripeConstructor> {
  loading ??= new Promise<StripeConstructor>((resolve, reject) => {
    const script = document.createElement('script');
    const fail = () => {
      loading = undefined;
      reject(new Error('The card form could not be loaded. Please check your connection, and press the button to try again.'));
    };
    script.src = 'https://js.stripe.com/v3/';
    script.onload = () => (window.Stripe ? resolve(window.Stripe) : fail());
    script.onerror = fail;
    document.head.append(script);
  });
  return loading;
}

async function clientSecret(form: HTMLElement): Promise<string> {
  const answer = await fetch(form.dataset.intent ?? '', { method: 'POST' });
  if (answer.redirected) location.reload();
  if (!answer.ok || answer.redirected) throw new Error('This order cannot be paid now. Please load the page again.');
  const { clientSecret } = (await answer.json()) as { clientSecret?: string };
  if (!clientSecret) throw new Error('This order is being paid already.');
  return clientSecret;
}

/** Pays once, however often the button is pressed. */
async function press(form: HTMLElement): Promise<void> {
  const card = cards.get(form);
  if (!card || isBusy(form)) return;
  form.setAttribute('aria-busy', 'true');
  rest(form, true);
  tell(form, '');
  try {
    const problem = await pay(form, card);
    if (problem) tell(form, problem);
    rest(form, !problem);
  } catch (error) {
    console.warn(error);
    tell(form, 'The payment could not be made. Please try again.');
    rest(form, false);
  } finally {
    form.removeAttribute('aria-busy');
    letGo(form);
  }
}

/** What keeps the payment from being made, in words; nothing if it is made. */
async function pay(form: HTMLElement, { stripe, elements }: Card): Promise<string | undefined> {
  const { error: incomplete } = await elements.submit();
  if (incomplete) return words(incomplete);
  const back = new URL(form.dataset.return ?? '', location.href).href;
  const confirmed = await stripe.confirmPayment({ elements, redirect: 'if_required', confirmParams: { return_url: back } });
  const status = (confirmed.paymentIntent ?? confirmed.error?.payment_intent)?.status;
  if (status === 'succeeded') return settle(form, 'Payment received. Your passes are being made…');
  if (status === 'processing') return settle(form, 'Your payment is in progress.');
  return confirmed.error ? words(confirmed.error) : 'The payment is not made yet.';
}

// The page itself says the rest, as soon as Stripe has told Docket.
function settle(form: HTMLElement, text: string): undefined {
  const told = document.createElement('p');
  told.className = 'lead';
  told.setAttribute('role', 'status');
  told.textContent = text;
  form.replaceChildren(told);
}

// Stripe's texts of these are for buyers, those of others for programmers.
function words({ type, code, message }: StripeError): string {
  const forBuyers = type === 'card_error' || type === 'validation_error' || code === 'payment_intent_authentication_failure';
  return (forBuyers && message) || 'The payment could not be made. Please try again.';
}

function tell(form: HTMLElement, text: string): void {
  const problem = part(form, '#card-problem');
  problem.textContent = text;
  problem.hidden = text === '';
}

function rest(form: HTMLElement, resting: boolean): void {
  form.querySelectorAll('button').forEach((button) => (button.disabled = resting));
}

function part(form: HTMLElement, selector: string): HTMLElement {
  const found = form.querySelector<HTMLElement>(selector);
  if (!found) throw new Error(`the form lacks ${selector}`);
  return found;
}

function isDark(): boolean {
  return matchMedia('(prefers-color-scheme: dark)').matches;
}
